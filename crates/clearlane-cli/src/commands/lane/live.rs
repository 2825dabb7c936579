//! The live table of running lanes, on standard error.

use std::fmt::Write as _;
use std::time::Duration;

use clearlane::MetricsSnapshot;

/// Passages a minute, latency, and referrals by reason.
pub(super) fn table(metrics: &MetricsSnapshot, elapsed: Duration) -> String {
    let passages = metrics.admitted + metrics.referred;
    let rate = passages as f64 * 60.0 / elapsed.as_secs_f64().max(1e-3);
    let total = metrics.stage("total").unwrap_or_default();
    let (p95, p99) = (total.p95_us as f64 / 1e3, total.p99_us as f64 / 1e3);
    let mut text = format!(
        "{rate:.0} passages a minute, p95 {p95:.1} ms, p99 {p99:.1} ms\n{:>8} admitted\n{:>8} referred",
        metrics.admitted, metrics.referred
    );
    for (reason, count) in &metrics.reasons {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{count:>8}   {reason}");
    }
    text
}
