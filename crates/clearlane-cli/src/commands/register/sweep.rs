//! `clearlane register sweep`.

use clap::Args;
use clearlane_store::{Erasure, Sweep};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::Output;
use crate::registers::RegisterArgs;

/// Take out those whose enrolment has ended or who withdrew their consent: to be run daily
///
/// What goes is deleted and overwritten, as by `register revoke`. With --forget-after, the names and ids of those who were
/// revoked so long ago go too.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clearlane register sweep --forget-after 365 --register port.db --key-file port.key"
)]
pub(crate) struct SweepArgs {
    /// The day; an enrolment ends after its last day [default: today, on this machine's clock]
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<Date>,
    /// Forget entirely who was revoked more than so many days ago [default: nobody]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16))]
    forget_after: Option<u16>,
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn run(args: &SweepArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open()?;
    let day = args.day.unwrap_or_else(|| Zoned::now().date());
    let forget = args.forget_after.map_or(Timestamp::MIN, |days| {
        Timestamp::now().saturating_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
    });
    let Sweep { expired, withdrawn, forgotten, erasure } = register.sweep(day, forget)?;
    let erased = erasure == Erasure::Complete;
    let ids = |ids: &[clearlane::SubjectId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    let value = json!({
        "day": day, "expired": ids(&expired), "withdrawn": ids(&withdrawn), "forgotten": forgotten, "erased": erased,
    });
    output.result(&value, || {
        format!("{} had ended and {} had withdrawn; {forgotten} are forgotten\n", expired.len(), withdrawn.len())
    })?;
    if !erased {
        output.note("another process still reads the write-ahead log; it is emptied at the next write");
    }
    Ok(Exit::Yes)
}
