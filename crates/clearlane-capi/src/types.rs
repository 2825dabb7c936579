//! The structs of the header, field by field.

use std::ffi::{CString, c_char};
use std::ptr;

use clearlane::{Lane, Passage};

use crate::convert::json;
use crate::guard::Failure;

/// `clearlane_status`.
pub type Status = i32;

/// `clearlane_lane`.
pub struct LaneHandle(pub(crate) Lane);

/// `clearlane_files`.
#[repr(C)]
#[derive(Debug)]
pub struct Files {
    /// The register.
    pub register_path: *const c_char,
    /// Its keys.
    pub keys_path: *const c_char,
    /// The rules.
    pub policy_path: *const c_char,
    /// A folder of models, or null.
    pub models_path: *const c_char,
    /// The detector's name, or null.
    pub detector: *const c_char,
    /// The embedder's name, or null.
    pub embedder: *const c_char,
    /// The names of the models for PAD.
    pub pad: *const *const c_char,
    /// How many names there are.
    pub pad_count: usize,
    /// The claim issuer's public key file, or null.
    pub claim_issuer: *const c_char,
    /// The port's id.
    pub port: *const c_char,
    /// The lane's name.
    pub lane: *const c_char,
    /// The direction.
    pub direction: i32,
    /// The file that remembers the register's newest root, or null.
    pub witness_path: *const c_char,
}

/// `clearlane_frame`.
#[repr(C)]
#[derive(Debug)]
pub struct FramePointer {
    /// The first byte.
    pub pixels: *const u8,
    /// How many bytes there are.
    pub size: usize,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row's start to the next.
    pub stride: usize,
    /// The pixel format.
    pub format: i32,
}

/// `clearlane_evidence`.
#[repr(C)]
#[derive(Debug)]
pub struct EvidenceItem {
    /// The matcher's name.
    pub matcher: *const c_char,
    /// Whose reference it compared with.
    pub subject: u64,
    /// Its score.
    pub score: f64,
}

/// `clearlane_decision`.
#[repr(C)]
#[derive(Debug)]
pub struct Decision {
    /// Whether the gate opens.
    pub admitted: bool,
    /// Whether `subject` is set.
    pub has_subject: bool,
    /// Who passes, or whom an officer should think of.
    pub subject: u64,
    /// Whether `score` and `threshold` are set.
    pub has_comparison: bool,
    /// The comparison score.
    pub score: f32,
    /// What it had to reach.
    pub threshold: f32,
    /// Whether `margin` is set.
    pub has_margin: bool,
    /// By how much the subject leads.
    pub margin: f32,
    /// Whether `record` is set.
    pub has_record: bool,
    /// The crossing record's number.
    pub record: u64,
    /// Microseconds from the call to the answer.
    pub total_us: u64,
    /// All of it as JSON.
    pub json: *mut c_char,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            admitted: false,
            has_subject: false,
            subject: 0,
            has_comparison: false,
            score: 0.0,
            threshold: 0.0,
            has_margin: false,
            margin: 0.0,
            has_record: false,
            record: 0,
            total_us: 0,
            json: ptr::null_mut(),
        }
    }
}

impl Decision {
    pub(crate) fn new(passage: &Passage) -> Result<Self, Failure> {
        let json: CString = json(passage)?;
        let subject = match passage.decision {
            clearlane::Decision::Admit { subject } => Some(subject),
            clearlane::Decision::Refer { subject, .. } => subject,
        };
        let comparison = passage.comparison;
        let margin = comparison.and_then(|comparison| comparison.margin);
        Ok(Self {
            admitted: passage.decision.is_admission(),
            has_subject: subject.is_some(),
            subject: subject.map_or(0, |subject| subject.0),
            has_comparison: comparison.is_some(),
            score: comparison.map_or(0.0, |comparison| comparison.score),
            threshold: comparison.map_or(0.0, |comparison| comparison.threshold),
            has_margin: margin.is_some(),
            margin: margin.unwrap_or(0.0),
            has_record: passage.record.is_some(),
            record: passage.record.unwrap_or(0),
            total_us: u64::try_from(passage.times.total.as_micros()).unwrap_or(u64::MAX),
            json: json.into_raw(),
        })
    }
}
