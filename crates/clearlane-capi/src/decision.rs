//! Decisions, as plain numbers and as JSON.

use std::ffi::c_char;
use std::ptr;

use clearlane::{Decision, Passage};

use crate::json;
use crate::sized::Output;
use crate::status::Failure;
use crate::text::give;

/// A decision. Free its `json` with clearlane_free(). Whatever goes wrong, `admitted` is false.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_decision {
    /// sizeof(clearlane_decision), set by the caller.
    pub size: usize,
    /// Open the gate if and only if this is true.
    pub admitted: bool,
    /// Whether `subject` is set: who passes, or whom an officer should think of.
    pub has_subject: bool,
    /// Whether `score` and `threshold` are set.
    pub has_comparison: bool,
    /// Whether `margin` is set.
    pub has_margin: bool,
    /// Whether `record` is set.
    pub has_record: bool,
    /// Zero.
    pub reserved: [u8; 3],
    /// The register's number for the subject.
    pub subject: u64,
    /// The number of the crossing record.
    pub record: u64,
    /// Microseconds from the call, or from the session's first frame, to the answer.
    pub total_us: u64,
    /// Cosine similarity, -1 to 1.
    pub score: f32,
    /// What the face alone had to reach.
    pub threshold: f32,
    /// By how much the subject leads the next one, at least.
    pub margin: f32,
    /// Zero.
    pub reserved_2: u32,
    /// All of it: every reason with its data and with phrases in English and Chinese, and how long each stage took.
    pub json: *mut c_char,
}

// SAFETY: `repr(C)` and its size first.
unsafe impl Output for clearlane_decision {
    const NAME: &'static str = "clearlane_decision";
    const LEAST: usize = size_of::<Self>();
}

impl Default for clearlane_decision {
    /// Shut, with its size set.
    fn default() -> Self {
        Self {
            size: size_of::<Self>(),
            admitted: false,
            has_subject: false,
            has_comparison: false,
            has_margin: false,
            has_record: false,
            reserved: [0; 3],
            subject: 0,
            record: 0,
            total_us: 0,
            score: 0.0,
            threshold: 0.0,
            margin: 0.0,
            reserved_2: 0,
            json: ptr::null_mut(),
        }
    }
}

impl clearlane_decision {
    pub(crate) fn new(passage: &Passage) -> Result<Self, Failure> {
        let mut json = json::reread(serde_json::to_string(passage))?;
        let subject = match &passage.decision {
            Decision::Admit { subject } => Some(*subject),
            Decision::Refer { subject, reasons } => {
                json["reasons"] = json::reasons(reasons)?;
                *subject
            }
        };
        let comparison = passage.comparison;
        let margin = comparison.and_then(|comparison| comparison.margin);
        Ok(Self {
            admitted: passage.decision.is_admission(),
            has_subject: subject.is_some(),
            has_comparison: comparison.is_some(),
            has_margin: margin.is_some(),
            has_record: passage.record.is_some(),
            subject: subject.map_or(0, |subject| subject.0),
            record: passage.record.unwrap_or(0),
            total_us: u64::try_from(passage.times.total.as_micros()).unwrap_or(u64::MAX),
            score: comparison.map_or(0.0, |comparison| comparison.score),
            threshold: comparison.map_or(0.0, |comparison| comparison.threshold),
            margin: margin.unwrap_or(0.0),
            json: give(&json.to_string()),
            ..Self::default()
        })
    }
}
