//! `clearlane register erase`.

use clap::Args;
use clearlane_store::Erasure;
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::Output;
use crate::registers::RegisterArgs;

/// Empty the write-ahead log, so that nothing that was deleted is left in it
///
/// Revocations, sweeps and changes of keys do so themselves, unless another process reads at that moment; lanes try again
/// every second. Exit code 0 where nothing is left, 1 where another process still reads.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clearlane register erase --register port.db --key-file port.key")]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn run(args: &EraseArgs, output: &Output) -> Result<Exit> {
    let erased = args.register.open()?.erase()? == Erasure::Complete;
    output.result(&json!({ "erased": erased }), || {
        let text = if erased { "nothing that was deleted is left\n" } else { "another process still reads the log\n" };
        text.to_owned()
    })?;
    Ok(Exit::answer(erased))
}
