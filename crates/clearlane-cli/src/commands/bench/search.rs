//! `clearlane bench search`: a front to the measurement in `benches/`.

use clap::Args;
use clearlane_benches::search::{SearchBench, SearchReport, SearchRow};

use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, table};

/// Search: latency, rate, bytes scanned and the share of the memory's bandwidth
///
/// Random unit vectors with a mate planted for each probe, or vectors from a file. Every row's candidate lists are
/// compared with those of exhaustive searches.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    bench: SearchBench,
}

const EXAMPLES: &str = "\
Examples:
  clearlane bench search --sizes 1000000 --dimension 512
  clearlane bench search --sizes 100000,1000000 --modes certified,sketch --threads 2 --json";

pub(super) fn run(args: &SearchArgs, output: &Output) -> Result<Exit> {
    let report = clearlane_benches::search::run(&args.bench, |doing| output.note(doing))
        .map_err(|error| Failure::of(Exit::Usage, &error))?;
    output.result(&report, || text(&report))?;
    Ok(Exit::Yes)
}

fn text(report: &SearchReport) -> String {
    let row = |row: &SearchRow| {
        vec![
            row.size.to_string(),
            format!("{:?}", row.mode).to_lowercase(),
            format!("{:.3}", row.p50),
            format!("{:.3}", row.p95),
            format!("{:.3}", row.p99),
            format!("{:.0}", row.rate),
            format!("{:.1}", row.bytes_scanned / 1e6),
            format!("{:.0} %", 100.0 * row.bandwidth_share),
            format!("{:.0}", row.survivors),
            format!("{:.4}", row.recall),
            format!("{:.0}", row.bytes_a_template),
            format!("{:.1}", row.build_seconds),
        ]
    };
    let rows: Vec<_> = report.rows.iter().map(row).collect();
    let header = [
        "SIZE",
        "MODE",
        "P50 ms",
        "P95",
        "P99",
        "PROBES/s",
        "MB READ",
        "BANDWIDTH",
        "SURVIVORS",
        "RECALL",
        "B/FACE",
        "BUILD s",
    ];
    let right: Vec<usize> = (0..header.len()).filter(|column| *column != 1).collect();
    let head = format!("kernel {}, memory reads at {:.1} GB/s\n", report.kernel, report.bandwidth);
    head + &table(&header, &right, &rows)
}
