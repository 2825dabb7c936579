//! What the demonstration came to.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Walk;

/// Counts and latencies of all passages.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub(super) gallery: usize,
    pub(super) passages: usize,
    pub(super) admitted: usize,
    pub(super) referred: usize,
    /// Admitted as somebody else, or without being enrolled.
    pub(super) wrongly_admitted: usize,
    /// Admitted of all plain captures of the enrolled, of their hard ones, and of non-enrolled subjects.
    pub(super) plain: Share,
    pub(super) hard: Share,
    pub(super) non_enrolled: Share,
    /// From frame to decision and record, in milliseconds.
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) budget_ms: f64,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Share {
    pub(super) admitted: usize,
    pub(super) of: usize,
}

impl Totals {
    pub(super) fn of(walks: &[Walk<'_>], gallery: usize, budget: Duration) -> Self {
        let share = |belongs: &dyn Fn(&Walk<'_>) -> bool| {
            let group = || walks.iter().filter(|walk| belongs(walk));
            Share { admitted: group().filter(|walk| walk.admitted_as.is_some()).count(), of: group().count() }
        };
        let mut times: Vec<f64> = walks.iter().map(|walk| 1e3 * walk.passage.times.total.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let percentile = |part: f64| {
            let last = times.len().saturating_sub(1);
            times.get(((times.len() as f64 * part) as usize).min(last)).copied().unwrap_or_default()
        };
        let admitted = walks.iter().filter(|walk| walk.admitted_as.is_some()).count();
        Self {
            gallery,
            passages: walks.len(),
            admitted,
            referred: walks.len() - admitted,
            wrongly_admitted: walks.iter().filter(|walk| walk.is_wrong()).count(),
            plain: share(&|walk| walk.enrolled && walk.kind == "plain"),
            hard: share(&|walk| walk.enrolled && walk.kind != "plain"),
            non_enrolled: share(&|walk| !walk.enrolled),
            p50_ms: percentile(0.5),
            p95_ms: percentile(0.95),
            p99_ms: percentile(0.99),
            budget_ms: 1e3 * budget.as_secs_f64(),
        }
    }

    /// Whether the gate opened for nobody wrongly.
    pub(super) fn is_safe(&self) -> bool {
        self.wrongly_admitted == 0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.admitted, self.of)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        writeln!(f, "{} passages against {} templates", self.passages, self.gallery)?;
        writeln!(f, "  admitted          {}", self.admitted)?;
        writeln!(f, "  referred          {}", self.referred)?;
        writeln!(f, "  wrongly admitted  {}", self.wrongly_admitted)?;
        writeln!(f, "  plain captures    {} admitted", self.plain)?;
        writeln!(f, "  hard captures     {} admitted", self.hard)?;
        writeln!(f, "  non-enrolled      {} admitted", self.non_enrolled)?;
        write!(
            f,
            "  frame to decision p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms; the budget is {:.0} ms",
            self.p50_ms, self.p95_ms, self.p99_ms, self.budget_ms
        )
    }
}
