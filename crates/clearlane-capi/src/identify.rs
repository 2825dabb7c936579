//! Identification: who is it, without a gate.

use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr;
use std::time::{Duration, Instant};

use clearlane::search::{Candidate, Completeness};
use clearlane::{Identification, IdentifyError, IdentifyOptions, Port};
use serde_json::json;

use crate::frame::{clearlane_frame, frame};
use crate::guard::guarded;
use crate::handle::get;
use crate::json;
use crate::pointer::place;
use crate::port::clearlane_port;
use crate::sized::{Input, Output, input, output, outputs};
use crate::status::{Failure, clearlane_status};
use crate::text::give;

/// How an identification is done.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_identify_options {
    /// sizeof(clearlane_identify_options).
    pub size: usize,
    /// How often somebody who is not enrolled may be taken for somebody who is, above 0 and below 1: the threshold follows from
    /// it and from the number of references, for those whom the policy serves. Without a policy it is the strictest of all
    /// populations on whom the model was measured.
    pub fpir: f64,
    /// By how much the candidate must lead the next subject.
    pub margin: f32,
    /// The least score of candidates who are listed. 0: what `fpir` and `margin` need.
    pub list_from: f32,
    /// The time for the search in microseconds. 0: no end.
    pub budget_us: u64,
}

// SAFETY: `repr(C)`, its size first, numbers only.
unsafe impl Input for clearlane_identify_options {
    const NAME: &'static str = "clearlane_identify_options";
    const LEAST: usize = offset_of!(Self, margin);
}

/// A subject that a search found.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_candidate {
    /// sizeof(clearlane_candidate), set by the caller in the first of an array.
    pub size: usize,
    /// The register's number for the subject, or the gallery's.
    pub subject: u64,
    /// The number of its best template for the frame or the probe.
    pub template_id: u64,
    /// Cosine similarity, -1 to 1.
    pub score: f32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: `repr(C)` and its size first.
unsafe impl Output for clearlane_candidate {
    const NAME: &'static str = "clearlane_candidate";
    const LEAST: usize = size_of::<Self>();
}

impl clearlane_candidate {
    pub(crate) fn new(found: &Candidate) -> Self {
        Self {
            size: size_of::<Self>(),
            subject: found.subject.0,
            template_id: found.template.0,
            score: found.score,
            reserved: 0,
        }
    }
}

/// The outcome of an identification. Free its `json` with clearlane_free().
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_identification {
    /// sizeof(clearlane_identification), set by the caller.
    pub size: usize,
    /// Whether `subject` is set: who it is.
    pub identified: bool,
    /// Whether `margin` is set.
    pub has_margin: bool,
    /// Whether all references were searched.
    pub complete: bool,
    /// Zero.
    pub reserved: [u8; 5],
    /// The register's number for the subject.
    pub subject: u64,
    /// How many candidates were written, the best first.
    pub candidate_count: usize,
    /// What the score had to reach.
    pub threshold: f32,
    /// By how much the first candidate leads the next subject, at least.
    pub margin: f32,
    /// Why nobody is identified, with phrases in English and Chinese, and how long each stage took.
    pub json: *mut c_char,
}

// SAFETY: `repr(C)` and its size first.
unsafe impl Output for clearlane_identification {
    const NAME: &'static str = "clearlane_identification";
    const LEAST: usize = size_of::<Self>();
}

/// What makes scores with the face in a frame doubtful, worst first, as a JSON list with the quality component, its values and
/// phrases in English and Chinese; freed by clearlane_free(). CLEARLANE_NO_TEMPLATE where the frame shows no face.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_doubts(
    port: *const clearlane_port,
    frame: *const clearlane_frame,
    json: *mut *mut c_char,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let json = place(json, "json")?;
            *json = ptr::null_mut();
            let port = get::<Port>(port)?;
            let frame = self::frame(frame, "frame")?;
            let observed = port.extractor().map_err(IdentifyError::from)?.observe(&frame);
            let doubts = observed.map_err(IdentifyError::from)?.quality.doubts();
            *json = give(&serde_json::to_string(&doubts).map_err(Failure::internal)?);
            Ok(())
        })
    }
}

/// Says whom a frame shows (1:N), without opening a gate: nothing is recorded and no rule is asked. Writes up to `capacity`
/// candidates; `candidates` may be NULL where that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_identify(
    port: *const clearlane_port,
    frame: *const clearlane_frame,
    options: *const clearlane_identify_options,
    identification: *mut clearlane_identification,
    candidates: *mut clearlane_candidate,
    capacity: usize,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let identification = output(identification, "identification")?;
            let places = outputs(candidates, capacity, "candidates")?;
            let port = get::<Port>(port)?;
            let frame = self::frame(frame, "frame")?;
            let found = port.identify(&frame, &settings(&port, &input(options, "options")?, capacity)?)?;
            for (place, found) in places.iter().zip(&found.candidates) {
                place.fill(&clearlane_candidate::new(found));
            }
            identification.fill(&outcome(&found, capacity)?);
            Ok(())
        })
    }
}

fn settings(port: &Port, given: &clearlane_identify_options, capacity: usize) -> Result<IdentifyOptions, Failure> {
    if !(given.fpir > 0.0 && given.fpir < 1.0) {
        return Err(Failure::argument(format!("expected an `fpir` above 0 and below 1, got {}", given.fpir)));
    }
    if !(given.margin >= 0.0 && given.margin <= 2.0) {
        return Err(Failure::argument(format!("expected a `margin` of 0 to 2, got {}", given.margin)));
    }
    if !(-1.0..=1.0).contains(&given.list_from) {
        return Err(Failure::argument(format!("expected a `list_from` of -1 to 1, got {}", given.list_from)));
    }
    let mut options = port.identify_options(given.fpir, given.margin)?;
    options.candidates = capacity.max(2);
    options.list_from = (given.list_from != 0.0).then_some(given.list_from);
    if given.budget_us > 0 {
        // A budget beyond what the clock can say is none.
        options.deadline = Instant::now().checked_add(Duration::from_micros(given.budget_us));
    }
    Ok(options)
}

fn outcome(found: &Identification, capacity: usize) -> Result<clearlane_identification, Failure> {
    let times = json::reread(serde_json::to_string(&found.times))?;
    let json = json!({ "reasons": json::reasons(&found.reasons)?, "times": times });
    Ok(clearlane_identification {
        size: size_of::<clearlane_identification>(),
        identified: found.subject.is_some(),
        has_margin: found.margin.is_some(),
        complete: found.completeness == Completeness::Complete,
        reserved: [0; 5],
        subject: found.subject.map_or(0, |subject| subject.0),
        candidate_count: found.candidates.len().min(capacity),
        threshold: found.threshold,
        margin: found.margin.unwrap_or(0.0),
        json: give(&json.to_string()),
    })
}
