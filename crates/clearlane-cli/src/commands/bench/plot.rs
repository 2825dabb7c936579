//! Latency over gallery size, as a picture.

use clearlane_simulate::search::{SearchReport, SearchRow};

use crate::page::chart::{Axis, Chart, Mark, Series, document};

/// The median latencies of a report over gallery size, both axes logarithmic, a line for each mode; whiskers reach from
/// the median to the 99th percentile. An SVG document.
pub(super) fn svg(report: &SearchReport) -> String {
    let mut modes: Vec<_> = report.rows.iter().map(|row| row.mode).collect();
    modes.sort_unstable_by_key(|mode| *mode as u8);
    modes.dedup();
    let series = modes.into_iter().map(|mode| {
        let rows: Vec<&SearchRow> = report.rows.iter().filter(|row| row.mode == mode).collect();
        Series {
            name: format!("{mode:?}").to_lowercase(),
            points: rows.iter().map(|row| (row.size as f64, row.p50)).collect(),
            band: rows.iter().map(|row| (row.size as f64, row.p50, row.p99)).collect(),
            mark: Mark::Dots,
        }
    });
    document(&Chart {
        title: "Latency of a search over the size of the gallery",
        x: Axis::decades("templates in the gallery", report.rows.iter().map(|row| row.size as f64)),
        y: Axis::decades("ms", report.rows.iter().flat_map(|row| [row.p50, row.p99])),
        series: series.collect(),
    })
}
