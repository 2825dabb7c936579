//! Lanes: a traveller's frames and evidence in, one decision out.

use std::ffi::c_char;
use std::mem::offset_of;
use std::ptr;
use std::time::Duration;

use clearlane::{Direction, Evidence, Frame, Lane, Passage, Port, ShownDocument, SubjectId};

use crate::decision::clearlane_decision;
use crate::frame::{clearlane_frame, frame, frames};
use crate::guard::guarded;
use crate::handle::{self, Handle, close, get};
use crate::number::numbers;
use crate::pointer::{place, text};
use crate::port::clearlane_port;
use crate::sized::{Input, input, inputs, output};
use crate::status::{Failure, clearlane_status};

/// The way that travellers take, seen from the mainland. 0 is neither: where a direction is only asked for, it means both.
pub type clearlane_direction = i32;

/// Into the mainland.
pub const CLEARLANE_ENTRY: clearlane_direction = 1;
/// Out of the mainland.
pub const CLEARLANE_EXIT: clearlane_direction = 2;

numbers!(direction, Direction, "a direction", CLEARLANE_ENTRY = Direction::Entry, CLEARLANE_EXIT = Direction::Exit);

/// One lane of a port. Any number of threads may use it.
pub struct clearlane_lane(());

impl Handle for Lane {
    const NAME: &'static str = "a lane";
    type Pointer = clearlane_lane;
}

/// Another matcher's comparison of this traveller with one subject's reference.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_evidence {
    /// sizeof(clearlane_evidence).
    pub size: usize,
    /// The matcher's name in the policy.
    pub matcher: *const c_char,
    /// Whose reference it compared with.
    pub subject: u64,
    /// Its score, on its own scale.
    pub score: f64,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_evidence {
    const NAME: &'static str = "clearlane_evidence";
    const LEAST: usize = size_of::<Self>();
}

/// One traveller's passage.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_passage {
    /// sizeof(clearlane_passage).
    pub size: usize,
    /// The traveller before the camera: one frame or several.
    pub frames: *const clearlane_frame,
    /// How many.
    pub frame_count: usize,
    /// Scores of other matchers; may be NULL where there are none.
    pub evidence: *const clearlane_evidence,
    /// How many.
    pub evidence_count: usize,
    /// The time until the answer in microseconds. 0: the policy's.
    pub budget_us: u64,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_passage {
    const NAME: &'static str = "clearlane_passage";
    const LEAST: usize = offset_of!(Self, evidence);
}

/// A document that the traveller shows, as its reader gives it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_document {
    /// sizeof(clearlane_document).
    pub size: usize,
    /// Its kind in the words of the policy, such as "mainland-travel-permit-hk-macao".
    pub kind: *const c_char,
    /// Its number. It is looked up as a keyed digest and goes nowhere else.
    pub number: *const c_char,
    /// The portrait in its chip.
    pub portrait: *const clearlane_frame,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_document {
    const NAME: &'static str = "clearlane_document";
    const LEAST: usize = size_of::<Self>();
}

/// A lane of a port that has a policy. `name` is 1 to 64 bytes and stands in the crossing records. The lane keeps what it needs
/// of the port, which may be closed before it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_lane_open(
    port: *const clearlane_port,
    name: *const c_char,
    direction: clearlane_direction,
    lane: *mut *mut clearlane_lane,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let lane = place(lane, "lane")?;
            *lane = ptr::null_mut();
            let port = get::<Port>(port)?;
            *lane = handle::open(port.lane(text(name, "name")?, self::direction(direction)?)?)?;
            Ok(())
        })
    }
}

/// Closes a lane. Calls that are under way end as they would. NULL is passed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_lane_close(lane: *mut clearlane_lane) -> clearlane_status {
    // SAFETY: null is no place for a message.
    unsafe { guarded(ptr::null_mut(), || close::<Lane>(lane)) }
}

/// The traveller shows nothing (1:N): identifies them among all who are enrolled. Whatever goes wrong with the traveller is a
/// reason in the decision, not a status.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_pass(
    lane: *const clearlane_lane,
    passage: *const clearlane_passage,
    decision: *mut clearlane_decision,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks.
    unsafe {
        decide(lane, passage, decision, message, |lane, taken| {
            Ok(lane.pass(&taken.frames, &taken.evidence, taken.budget))
        })
    }
}

/// The traveller shows a claim (1:1), a QR code in one of `claim_frames`: compares them with the one it names. A claim that is
/// found good is used up, whatever the decision.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_verify_claim(
    lane: *const clearlane_lane,
    claim_frames: *const clearlane_frame,
    claim_frame_count: usize,
    passage: *const clearlane_passage,
    decision: *mut clearlane_decision,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks.
    unsafe {
        decide(lane, passage, decision, message, |lane, taken| {
            let claims = frames(claim_frames, claim_frame_count, "claim_frames")?;
            Ok(lane.verify_claim(&claims, &taken.frames, &taken.evidence, taken.budget))
        })
    }
}

/// The traveller shows a document (1:1): compares them with its portrait and with the enrolment of its holder. That the document
/// is genuine is for its reader to say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_verify_document(
    lane: *const clearlane_lane,
    document: *const clearlane_document,
    passage: *const clearlane_passage,
    decision: *mut clearlane_decision,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks.
    unsafe {
        decide(lane, passage, decision, message, |lane, taken| {
            let given = input(document, "document")?;
            let kind = text(given.kind, "document.kind")?.parse().map_err(Failure::argument)?;
            let number = text(given.number, "document.number")?;
            let portrait = frame(given.portrait, "document.portrait")?;
            let shown = ShownDocument { kind, number, portrait: &portrait };
            Ok(lane.verify_document(&shown, &taken.frames, &taken.evidence, taken.budget))
        })
    }
}

/// A passage as Rust takes it.
struct Taken<'a> {
    frames: Vec<Frame<'a>>,
    evidence: Vec<Evidence>,
    budget: Option<Duration>,
}

/// What all ways of passing share.
///
/// # Safety
/// Pointers are as the head of the header asks.
unsafe fn decide(
    lane: *const clearlane_lane,
    passage: *const clearlane_passage,
    decision: *mut clearlane_decision,
    message: *mut *mut c_char,
    pass: impl FnOnce(&Lane, &Taken<'_>) -> Result<Passage, Failure>,
) -> clearlane_status {
    // SAFETY: the caller's promises; each pointer is checked for null.
    unsafe {
        guarded(message, || {
            // Shut, whatever comes.
            let decision = output(decision, "decision")?;
            let lane = get::<Lane>(lane)?;
            let given = input(passage, "passage")?;
            let evidence = inputs(given.evidence, given.evidence_count, "evidence")?;
            let taken = Taken {
                frames: frames(given.frames, given.frame_count, "frames")?,
                evidence: evidence.iter().map(|item| self::evidence(item)).collect::<Result<_, _>>()?,
                budget: (given.budget_us > 0).then(|| Duration::from_micros(given.budget_us)),
            };
            decision.fill(&clearlane_decision::new(&pass(&lane, &taken)?)?);
            Ok(())
        })
    }
}

/// # Safety
/// The matcher's name is as the head of the header asks.
pub(crate) unsafe fn evidence(item: &clearlane_evidence) -> Result<Evidence, Failure> {
    // SAFETY: the caller's promise.
    let matcher = unsafe { text(item.matcher, "evidence.matcher") }?.to_owned();
    Ok(Evidence { matcher, subject: SubjectId(item.subject), score: item.score })
}
