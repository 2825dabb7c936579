//! What a passage comes to: the gate opens, or an officer is asked.

use std::time::Duration;

use clearlane_embed::Timings;
use clearlane_template::SubjectId;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::reason::Reason;

/// Whether the gate opens. The machine rejects nobody: all that is short of admission goes to an officer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// The gate opens for this subject.
    Admit {
        /// Who passes.
        subject: SubjectId,
    },
    /// An officer looks at the traveller.
    Refer {
        /// Who it most probably is, where anybody came near: a help for the officer, not an identification.
        subject: Option<SubjectId>,
        /// Why, all that applies; never empty.
        reasons: Vec<Reason>,
    },
}

/// One traveller's way through the lane.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[must_use = "the gate opens by the decision"]
pub struct Passage {
    /// What it came to.
    #[serde(flatten)]
    pub decision: Decision,
    /// The comparison behind it, where there was one.
    pub comparison: Option<Comparison>,
    /// When.
    pub time: Timestamp,
    /// The number of the crossing record; `None` where it could not be written, which is itself a reason to refer.
    pub record: Option<u64>,
    /// How long each stage took.
    pub times: StageTimes,
}

/// The comparison behind a decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// With whom.
    pub subject: SubjectId,
    /// The comparison score: cosine similarity, in [-1, 1].
    pub score: f32,
    /// What the face alone had to reach.
    pub threshold: f32,
    /// By how much the subject leads the next one, at least; `None` in a 1:1 comparison.
    pub margin: Option<f32>,
}

/// How long each stage of a passage took; zero where it was not needed. As JSON in whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StageTimes {
    /// Frames to templates: the stages of an extraction, over all frames.
    #[serde(flatten)]
    pub extraction: Timings,
    /// Reading a claim's QR code and checking it.
    #[serde(serialize_with = "microseconds")]
    pub claim: Duration,
    /// Searching the gallery, or comparing with one reference.
    #[serde(serialize_with = "microseconds")]
    pub search: Duration,
    /// Evidence and eligibility.
    #[serde(serialize_with = "microseconds")]
    pub rules: Duration,
    /// Writing the crossing record, until it is on disk.
    #[serde(serialize_with = "microseconds")]
    pub record: Duration,
    /// All of it, from the call, or from the first frame of a session, to the answer.
    #[serde(serialize_with = "microseconds")]
    pub total: Duration,
}

impl Decision {
    /// Whether the gate opens.
    #[must_use]
    pub fn is_admission(&self) -> bool {
        matches!(self, Self::Admit { .. })
    }

    /// Why it does not; empty where it does.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Admit { .. } => &[],
            Self::Refer { reasons, .. } => reasons,
        }
    }
}

impl StageTimes {
    /// Each stage's name with its time: those of an extraction ([`clearlane_embed::Stage::name`]), `claim`, `search`, `rules` and `record`.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> + use<> {
        // Whoever adds a stage is told here.
        let Self { extraction, claim, search, rules, record, total: _ } = *self;
        let others = [("claim", claim), ("search", search), ("rules", rules), ("record", record)];
        extraction.iter().map(|(stage, time)| (stage.name(), time)).chain(others)
    }

    /// Frames to templates.
    #[must_use]
    pub fn capture(&self) -> Duration {
        self.extraction.total()
    }
}

fn microseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
