//! `clearlane lane simulate`.

use std::path::{Path, PathBuf};

use clap::Args;
use clearlane::Policy;
use clearlane_simulate::{DayPlan, DayReport};
use clearlane_template::without_temporary_name;
use serde::Serialize;

use super::latencies;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// The policy of the pilot ports.
const POLICY: &str = include_str!("../../../policies/shenzhen-bay-and-gongbei.toml");

/// Live through a day at a busy port, with synthetic templates in place of pictures
///
/// Enrolled travellers and non-enrolled subjects pass through the real search, rules, decision and crossing records; each record is on disk
/// before its passage is answered. Templates are random directions, whose false match rates are known exactly, so that this
/// shows the lanes' work and not a model's accuracy; they stand for whatever populations the policy serves. The face decides alone, and presentation attack detection passes. The
/// register is made in a folder of its own, which is removed at the end.
///
/// Exit code 0 where nobody was wrongly admitted, every passage was recorded, and the register with its chain of records is
/// sound; 1 otherwise.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// Travellers who are enrolled
    #[arg(long, value_name = "N", default_value_t = DayPlan::default().enrolled, value_parser = clap::value_parser!(u64).range(1..))]
    enrolled: u64,
    /// Passages of the day
    #[arg(long, value_name = "N", default_value_t = DayPlan::default().passages, value_parser = clap::value_parser!(u64).range(1..))]
    passages: u64,
    /// The share of passages by non-enrolled subjects, in [0, 1]
    #[arg(long, value_name = "SHARE", default_value_t = DayPlan::default().non_enrolled, value_parser = share)]
    non_enrolled: f64,
    /// How many lanes work at once; they share register and gallery
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    lanes: u8,
    /// Values of a template
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(4..=4096))]
    dimension: u16,
    /// Decides everything that is random
    #[arg(long, value_name = "N", default_value_t = DayPlan::default().seed)]
    seed: u64,
    /// The rules of the port (TOML) [default: those of the pilot ports]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Make the register in a folder within this one: on the disk that is to be measured [default: the system's folder for
    /// temporary files]
    #[arg(long, value_name = "DIR")]
    within: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  clearlane lane simulate
  clearlane lane simulate --passages 2000 --lanes 1 --within /var/lib/port --json";

/// The day and how it went.
#[derive(Debug, Serialize)]
struct Day<'a> {
    enrolled: u64,
    lanes: usize,
    dimension: usize,
    seed: u64,
    #[serde(flatten)]
    report: &'a DayReport,
}

pub(super) fn run(args: &SimulateArgs, output: &Output) -> Result<Exit> {
    let policy = args.policy.as_ref().map_or_else(|| Policy::from_toml(POLICY), Policy::open);
    let policy = policy.map_err(|error| Failure::of(Exit::Input, &error))?;
    let plan = DayPlan {
        enrolled: args.enrolled,
        passages: args.passages,
        non_enrolled: args.non_enrolled,
        lanes: usize::from(args.lanes),
        dimension: usize::from(args.dimension),
        seed: args.seed,
        ..DayPlan::default()
    };
    let within = args.within.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&within)
        .map_err(without_temporary_name)
        .map_err(|error| Failure::writing(&within, &error))?;
    let report = live(&plan, folder.path(), policy, output)?;
    let day =
        Day { enrolled: plan.enrolled, lanes: plan.lanes, dimension: plan.dimension, seed: plan.seed, report: &report };
    output.result(&day, || text(&day))?;
    Ok(Exit::answer(report.wrong_admissions == 0 && report.sound && report.records == report.passages))
}

fn live(plan: &DayPlan, folder: &Path, policy: Policy, output: &Output) -> Result<DayReport> {
    let progress = output.progress(plan.passages, "passages");
    let report = plan.run(&folder.join("day.register"), policy, |_| progress.step());
    progress.done();
    Ok(report?)
}

fn text(day: &Day<'_>) -> String {
    let report = day.report;
    let sound = if report.sound { "sound" } else { "NOT sound" };
    format!(
        "{} passages, {} of them by non-enrolled subjects, among {} enrolled, on {} lanes; threshold {:.4}\n\
         \x20 admitted as themselves  {}\n\
         \x20 referred                {}\n\
         \x20 wrongly admitted        {}\n\
         \x20 recorded                {}; register and chain of records {sound}\n\
         {:.0} passages a second, {:.1} s in all\n{}",
        report.passages,
        report.non_enrolled,
        day.enrolled,
        day.lanes,
        report.threshold,
        report.admitted,
        report.metrics.referred,
        report.wrong_admissions,
        report.records,
        report.rate,
        report.elapsed.as_secs_f64(),
        latencies(&report.metrics)
    )
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share in [0, 1], such as 0.05".to_owned())
}
