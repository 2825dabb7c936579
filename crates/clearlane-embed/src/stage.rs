//! The stages of an extraction, and the time that each takes.

use std::ops::{AddAssign, Index};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use tracing::{Span, debug_span};

/// A stage of an extraction, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Scaling the frame and finding faces.
    Detect,
    /// Cutting out the aligned face.
    Align,
    /// Measuring its quality.
    Quality,
    /// Presentation attack detection, where there are models for it.
    Pad,
    /// Making the template.
    Embed,
}

/// The time that each stage of an extraction took: zero for a stage that was left out. As JSON by name, in whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings([Duration; Stage::ALL.len()]);

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 5] = [Self::Detect, Self::Align, Self::Quality, Self::Pad, Self::Embed];

    /// The stage's name, as logs and reports have it: `detect`, `align`, `quality`, `pad` or `embed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Align => "align",
            Self::Quality => "quality",
            Self::Pad => "pad",
            Self::Embed => "embed",
        }
    }

    /// A span for the stage. Each has a place of its own in the code, since that is where its name stands.
    fn span(self) -> Span {
        match self {
            Self::Detect => debug_span!(Stage::Detect.name()),
            Self::Align => debug_span!(Stage::Align.name()),
            Self::Quality => debug_span!(Stage::Quality.name()),
            Self::Pad => debug_span!(Stage::Pad.name()),
            Self::Embed => debug_span!(Stage::Embed.name()),
        }
    }
}

impl Timings {
    /// Each stage with its time.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> + use<> {
        Stage::ALL.into_iter().zip(self.0)
    }

    /// The sum of all stages.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.0.iter().fold(Duration::ZERO, |sum, &time| sum.saturating_add(time))
    }

    /// Runs a stage within its span, and adds the time that it takes.
    pub(crate) fn timed<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let _entered = stage.span().entered();
        let start = Instant::now();
        let result = work();
        self.0[stage as usize] += start.elapsed();
        result
    }
}

impl Index<Stage> for Timings {
    type Output = Duration;

    fn index(&self, stage: Stage) -> &Duration {
        &self.0[stage as usize]
    }
}

impl AddAssign for Timings {
    fn add_assign(&mut self, other: Self) {
        for (time, more) in self.0.iter_mut().zip(other.0) {
            *time = time.saturating_add(more);
        }
    }
}

impl Serialize for Timings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        serializer.collect_map(self.iter().map(|(stage, time)| (stage.name(), microseconds(time))))
    }
}
