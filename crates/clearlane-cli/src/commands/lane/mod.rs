//! `clearlane lane`: lanes as a port runs them, fed from files or simulated.

#[cfg(feature = "cluster")]
mod cluster;
mod live;
mod queue;
mod run;
mod simulate;

use clap::Subcommand;
use clearlane::{Latency, MetricsSnapshot};

use crate::failure::{Exit, Result};
use crate::output::{Output, table};

/// Run lanes as a port does, fed from files or simulated
#[derive(Debug, Subcommand)]
pub(crate) enum LaneCommand {
    Run(Box<run::RunArgs>),
    Simulate(simulate::SimulateArgs),
}

pub(super) fn run(command: &LaneCommand, output: &Output) -> Result<Exit> {
    match command {
        LaneCommand::Run(args) => run::run(args, output),
        LaneCommand::Simulate(args) => simulate::run(args, output),
    }
}

/// The latency of each stage that ran, in milliseconds, as a table.
fn latencies(metrics: &MetricsSnapshot) -> String {
    let ms = |time: u64| format!("{:.1}", time as f64 / 1e3);
    let row = |(stage, latency): &(&str, Latency)| {
        vec![(*stage).to_owned(), ms(latency.p50_us), ms(latency.p95_us), ms(latency.p99_us), ms(latency.max_us)]
    };
    let rows: Vec<_> = metrics.stages.iter().filter(|(_, latency)| latency.count > 0).map(row).collect();
    table(&["STAGE, ms", "P50", "P95", "P99", "MAX"], &[1, 2, 3, 4], &rows)
}
