//! What a capture's quality says of its recognition: false non-matches that remain where the worst captures are discarded.

use std::fmt::Write as _;

use clap::Args;
use clearlane_embed::{Component, Quality};
use clearlane_eval::{DiscardPoint, Estimate, QualityComparison, Scores, error_versus_discard};
use serde::Serialize;

use super::templates::TemplateArgs;
use crate::failure::{Exit, Failure, Result};
use crate::output::table;
use crate::thresholds::rate;

/// Which shares of the comparisons are discarded.
const DISCARDED: [f64; 5] = [0.0, 0.01, 0.05, 0.1, 0.2];

/// What stands for a component that was not assessed, above every value.
const NOT_ASSESSED: u8 = u8::MAX;

/// The lowest of all components that were assessed: what a policy's floors judge by.
const LOWEST: &str = "LowestOfAll";

/// Whether errors are reported over what quality discards.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Quality")]
pub(super) struct QualityArgs {
    /// Report what the quality components are good for: FNMR where the mated comparisons of the worst 1, 5, 10 and 20 % are
    /// discarded, by each component and by the lowest of all
    ///
    /// A comparison is as good as the poorer of its two captures. Those with a capture that gave no template take no part.
    #[arg(long)]
    quality: bool,
    /// The false match rate whose threshold decides there, in (0, 1)
    #[arg(long, value_name = "RATE", default_value = "1e-3", value_parser = rate, requires = "quality")]
    quality_fmr: f64,
}

/// A capture's component values, 0 to 100, in the order of [`Component::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Values([u8; Self::SIZE]);

impl Default for Values {
    fn default() -> Self {
        Self([NOT_ASSESSED; Self::SIZE])
    }
}

impl Values {
    pub(super) const SIZE: usize = Component::ALL.len();

    pub(super) fn of(quality: &Quality) -> Self {
        Self(Component::ALL.map(|component| quality.get(component).map_or(NOT_ASSESSED, |measure| measure.value)))
    }

    pub(super) fn to_bytes(self) -> [u8; Self::SIZE] {
        self.0
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        Self(*bytes)
    }

    /// The poorer of two captures; not assessed where either was not.
    fn poorer(self, other: Self) -> Self {
        let poorer = |at: usize| match (self.0[at], other.0[at]) {
            (NOT_ASSESSED, _) | (_, NOT_ASSESSED) => NOT_ASSESSED,
            (a, b) => a.min(b),
        };
        Self(std::array::from_fn(poorer))
    }

    /// The value of each component and, last, the lowest of those that bear on recognition.
    fn each(self) -> impl Iterator<Item = Option<u8>> {
        let bearing = Component::ALL.into_iter().zip(self.0).filter(|(component, _)| component.bears_on_recognition());
        let lowest = bearing.map(|(_, value)| value).min();
        self.0.into_iter().chain(lowest).map(|value| (value != NOT_ASSESSED).then_some(value))
    }
}

/// The names of what [`Values::each`] gives.
fn names() -> impl Iterator<Item = &'static str> {
    Component::ALL.into_iter().map(Component::name).chain([LOWEST])
}

/// The errors that remain, by each component.
#[derive(Debug, Serialize)]
pub(super) struct QualityFigures {
    target_fmr: f64,
    threshold: f32,
    /// At the threshold.
    fmr: Estimate,
    error_versus_discard: Vec<ComponentPoint>,
}

#[derive(Debug, Serialize)]
struct ComponentPoint {
    component: &'static str,
    #[serde(flatten)]
    point: DiscardPoint,
}

impl QualityArgs {
    pub(super) fn is_asked(&self) -> bool {
        self.quality
    }

    /// An error where qualities are asked for of pictures that have none.
    pub(super) fn check(&self, how: &TemplateArgs) -> Result<()> {
        if self.quality && how.aligned {
            let message = "no quality is assessed of faces that were aligned before";
            return Err(Failure::new(Exit::Usage, message).with_help("give the pictures as they were captured"));
        }
        Ok(())
    }

    /// What was asked for of a test with these `scores`; each mated comparison with the qualities of its captures.
    pub(super) fn figures(
        &self,
        scores: impl FnOnce() -> Result<Scores>,
        mated: impl IntoIterator<Item = (f32, Values, Values)>,
    ) -> Result<Option<QualityFigures>> {
        if !self.quality {
            return Ok(None);
        }
        let at = scores()?.at_fmr(self.quality_fmr)?;
        let mut comparisons: Vec<Vec<QualityComparison>> = names().map(|_| Vec::new()).collect();
        for (score, left, right) in mated {
            for (comparisons, value) in comparisons.iter_mut().zip(left.poorer(right).each()) {
                comparisons.extend(value.map(|value| QualityComparison { score, quality: value.into() }));
            }
        }
        let mut points = Vec::new();
        for (component, comparisons) in names().zip(&comparisons).filter(|(_, comparisons)| !comparisons.is_empty()) {
            let found = error_versus_discard(comparisons, at.threshold, &DISCARDED)?;
            points.extend(found.into_iter().map(|point| ComponentPoint { component, point }));
        }
        Ok(Some(QualityFigures {
            target_fmr: self.quality_fmr,
            threshold: at.threshold,
            fmr: at.fmr.exact_estimate(),
            error_versus_discard: points,
        }))
    }
}

/// The figures in words; nothing where none were asked for.
pub(super) fn described(figures: Option<&QualityFigures>) -> String {
    let Some(QualityFigures { target_fmr, threshold, fmr, error_versus_discard }) = figures else {
        return String::new();
    };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\nError versus discard: FNMR in percent (95 %) at the threshold {threshold:.4} of FMR {target_fmr:.0e} ({} of {} \
         non-mated), the comparisons of the worst captures discarded",
        fmr.rate.events, fmr.rate.trials
    );
    let cell = |ComponentPoint { point, .. }: &ComponentPoint| {
        let Estimate { rate, interval, .. } = point.fnmr;
        let nothing_is_that_poor = point.target > 0.0 && point.discarded == 0.0;
        if nothing_is_that_poor {
            return "-".to_owned();
        }
        let [value, low, high] = [rate.value(), interval.low, interval.high].map(|share| 100.0 * share);
        format!("{value:.2} ({low:.2}-{high:.2}) of {}", rate.trials)
    };
    let rows: Vec<Vec<String>> = error_versus_discard
        .chunk_by(|a, b| a.component == b.component)
        .map(|points| std::iter::once(points[0].component.to_owned()).chain(points.iter().map(cell)).collect())
        .collect();
    text.push_str(&table(&["component", "all", "less 1 %", "less 5 %", "less 10 %", "less 20 %"], &[], &rows));
    text.push_str(
        "  -: the worst share of comparisons has one value, and is discarded together or not. Intervals take comparisons as \
         independent.\n",
    );
    text
}
