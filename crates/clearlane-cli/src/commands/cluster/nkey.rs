//! `clearlane cluster nkey`.

use std::path::PathBuf;

use clap::Args;
use clearlane_cluster::create_user_key;
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::{Output, shown};

/// Make the nkey of a user of the brokers
///
/// The seed goes into the file, for the process that is this user; the public key is printed, for `cluster users`. A file that
/// is there already is left alone.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clearlane cluster nkey /etc/clearlane/node-1.nk")]
pub(crate) struct NkeyArgs {
    /// Where to write the seed; only its owner may read it
    file: PathBuf,
}

pub(super) fn run(args: &NkeyArgs, output: &Output) -> Result<Exit> {
    let public = create_user_key(&args.file)?;
    let value = json!({ "file": shown(&args.file), "public": public });
    output.result(&value, || format!("{public}\n"))?;
    Ok(Exit::Yes)
}
