//! `clearlane register sweep`.

use std::path::PathBuf;

use clap::Args;
use clearlane::Policy;
use clearlane_store::{Erasure, StoreError, Sweep, SweepPlan};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::registers::RegisterArgs;

/// Take out those whose enrolment has ended or who withdrew their consent: to be run daily
///
/// What goes is deleted and overwritten, as by `register revoke`. With --forget-after, the names and ids of those who were
/// revoked so long ago go too. The day is that of the policy's time zone. A clock that cannot be right, and a sweep that would
/// take out more than a tenth of those who are enrolled, are refused unless --confirm says that somebody has looked.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clearlane register sweep --policy port.toml --forget-after 365 --register port.db --key-file port.key"
)]
pub(crate) struct SweepArgs {
    /// The rules of the port (TOML), in whose time zone it is today
    #[arg(long, value_name = "FILE", required_unless_present = "day")]
    policy: Option<PathBuf>,
    /// The day, whatever the clock says; an enrolment ends after its last day
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<Date>,
    /// Sweep even where the clock or the number of those who would leave is implausible
    #[arg(long)]
    confirm: bool,
    /// Forget entirely who was revoked more than so many days ago [default: nobody]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16))]
    forget_after: Option<u16>,
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn run(args: &SweepArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open()?;
    let now = Timestamp::now();
    let day = match (args.day, &args.policy) {
        (Some(day), _) => day,
        (None, Some(path)) => {
            let policy = Policy::open(path).map_err(|error| Failure::of(Exit::Input, &error))?;
            now.to_zoned(policy.time_zone().clone()).date()
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "give --policy FILE or --day YYYY-MM-DD")),
    };
    let forget = args.forget_after.map_or(Timestamp::MIN, |days| {
        now.saturating_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
    });
    let plan = SweepPlan { forget, confirmed: args.confirm, ..SweepPlan::new(day, now) };
    let Sweep { expired, withdrawn, forgotten, erasure } = register.sweep(&plan).map_err(|error| match error {
        StoreError::SweepTooLarge { .. } => Failure::of(Exit::Register, &error)
            .with_help("look at the day; with --confirm they are taken out, for good"),
        error => error.into(),
    })?;
    let erased = erasure == Erasure::Complete;
    let ids = |ids: &[clearlane::SubjectId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    let value = json!({
        "day": day, "expired": ids(&expired), "withdrawn": ids(&withdrawn), "forgotten": forgotten, "erased": erased,
    });
    output.result(&value, || {
        format!("{} had ended and {} had withdrawn; {forgotten} are forgotten\n", expired.len(), withdrawn.len())
    })?;
    if !erased {
        output.note("another process still reads the write-ahead log: what was deleted is in it until a lane, or `clearlane register erase`, empties it");
    }
    Ok(Exit::Yes)
}
