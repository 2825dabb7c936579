//! `clearlane register confirm-clock`.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::Output;
use crate::registers::RegisterArgs;

/// Say that this machine's clock is right, whatever the newest crossing record says
///
/// A lane refers everybody while its clock is behind the newest record, or more than 31 days ahead of it: days and expiries
/// cannot be judged by a clock that is wrong. Look at the clock first. It may be right all the same: a port was shut for
/// long, or records were made while a clock was ahead.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clearlane register confirm-clock --register port.db --key-file port.key")]
pub(crate) struct ConfirmClockArgs {
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn run(args: &ConfirmClockArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open()?;
    let (before, now) = (register.newest_time()?, Timestamp::now());
    register.confirm_clock(now)?;
    output.result(&json!({ "now": now, "newest_record": before }), || {
        let before = before.map_or_else(|| "there is no record as yet".to_owned(), |time| format!("it was {time}"));
        format!("the newest time is {now}; {before}\n")
    })?;
    Ok(Exit::Yes)
}
