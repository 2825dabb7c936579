//! `clearlane register revoke`.

use clap::Args;
use clearlane_store::{Erasure, Subject};
use serde_json::json;

use super::show::find;
use crate::failure::{Exit, Result};
use crate::output::Output;
use crate::registers::RegisterArgs;

/// Take subjects out for good: templates, documents and details are deleted and overwritten
///
/// All of those named are taken out, or none. What stays is their names and ids, and when and why they went.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clearlane register revoke Aaron --reason 'consent withdrawn' --register port.db")]
pub(crate) struct RevokeArgs {
    /// The subjects' names, or #ID
    #[arg(required = true)]
    subjects: Vec<String>,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn run(args: &RevokeArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open()?;
    let subjects = args.subjects.iter().map(|name| find(&register, name)).collect::<Result<Vec<Subject>>>()?;
    let ids: Vec<_> = subjects.iter().map(|subject| subject.id).collect();
    let erased = register.revoke_all(&ids, &args.reason)? == Erasure::Complete;
    let names: Vec<_> = subjects.iter().map(|subject| subject.key.as_str()).collect();
    output.result(&json!({ "revoked": names, "erased": erased }), || format!("revoked {}\n", names.join(", ")))?;
    if !erased {
        output.note("another process still reads the write-ahead log: what was deleted is in it until a lane, or `clearlane register erase`, empties it");
    }
    Ok(Exit::Yes)
}
