//! Passages that take frames as the camera gives them.

use std::ffi::c_char;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clearlane::{Lane, Language, Passage, PassageSession, PassageStep};

use crate::decision::clearlane_decision;
use crate::frame::{clearlane_frame, frame};
use crate::guard::guarded;
use crate::handle::{self, Handle, close, get};
use crate::lane::{clearlane_evidence, clearlane_lane, evidence};
use crate::pointer::place;
use crate::sized::{Output, Place, input, output};
use crate::status::{Failure, clearlane_status};
use crate::text::constant;

/// One traveller before the camera of a lane. Threads that use it at once wait for each other.
pub struct clearlane_session(());

/// A session, until it has decided, and its decision from then on.
#[derive(Default)]
struct Session {
    running: Option<PassageSession>,
    decided: Option<Passage>,
}

impl Handle for Mutex<Session> {
    const NAME: &'static str = "a session";
    type Pointer = clearlane_session;
}

/// What came of a frame.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_step {
    /// sizeof(clearlane_step), set by the caller.
    pub size: usize,
    /// Whether the passage is decided and recorded: the decision says how.
    pub decided: bool,
    /// Zero.
    pub reserved: [u8; 7],
    /// What the traveller should do, in one word, such as "come-closer"; NULL where nothing is to be said. Never freed.
    pub guidance: *const c_char,
    /// The same for the lane's screen, in English. Never freed.
    pub phrase_en: *const c_char,
    /// The same in Chinese (simplified). Never freed.
    pub phrase_zh: *const c_char,
}

// SAFETY: `repr(C)` and its size first.
unsafe impl Output for clearlane_step {
    const NAME: &'static str = "clearlane_step";
    const LEAST: usize = size_of::<Self>();
}

impl Default for clearlane_step {
    /// Undecided and with nothing to say, with its size set.
    fn default() -> Self {
        let (size, none) = (size_of::<Self>(), ptr::null());
        Self { size, decided: false, reserved: [0; 7], guidance: none, phrase_en: none, phrase_zh: none }
    }
}

/// A passage that takes frames one by one, follows the face, says what the traveller should do, and decides as soon as it may, or
/// with what it has `patience_us` microseconds after its first frame (0: 10 s).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_session_open(
    lane: *const clearlane_lane,
    patience_us: u64,
    session: *mut *mut clearlane_session,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let session = place(session, "session")?;
            *session = ptr::null_mut();
            let mut running = get::<Lane>(lane)?.passage();
            if patience_us > 0 {
                running = running.with_patience(Duration::from_micros(patience_us));
            }
            *session = handle::open(Mutex::new(Session { running: Some(running), decided: None }))?;
            Ok(())
        })
    }
}

/// Takes the next frame. After the decision, frames change nothing and the decision comes again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_session_frame(
    session: *const clearlane_session,
    frame: *const clearlane_frame,
    step: *mut clearlane_step,
    decision: *mut clearlane_decision,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks.
    unsafe {
        advance(session, step, decision, message, |running| {
            let frame = self::frame(frame, "frame")?;
            Ok(Some(running.frame(&frame)))
        })
    }
}

/// Takes another matcher's score for whom the traveller turns out to be. The step is decided where that was all that lacked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_session_evidence(
    session: *const clearlane_session,
    evidence: *const clearlane_evidence,
    step: *mut clearlane_step,
    decision: *mut clearlane_decision,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks.
    unsafe {
        advance(session, step, decision, message, |running| {
            let item = input(evidence, "evidence")?;
            Ok(running.evidence(self::evidence(&item)?))
        })
    }
}

/// Decides with the frames that came: the traveller went away, or nothing better is to come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_session_finish(
    session: *const clearlane_session,
    decision: *mut clearlane_decision,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let decision = output(decision, "decision")?;
            let session = get::<Mutex<Session>>(session)?;
            let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
            if session.decided.is_none() {
                session.decided = session.running.take().map(PassageSession::finish);
            }
            tell(&session, &decision)
        })
    }
}

/// Closes a session. One that has not decided records nothing. NULL is passed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_session_close(session: *mut clearlane_session) -> clearlane_status {
    // SAFETY: null is no place for a message.
    unsafe { guarded(ptr::null_mut(), || close::<Mutex<Session>>(session)) }
}

/// What frames and evidence share.
///
/// # Safety
/// Pointers are as the head of the header asks.
unsafe fn advance(
    session: *const clearlane_session,
    step: *mut clearlane_step,
    decision: *mut clearlane_decision,
    message: *mut *mut c_char,
    take: impl FnOnce(&mut PassageSession) -> Result<Option<PassageStep>, Failure>,
) -> clearlane_status {
    // SAFETY: the caller's promises; each pointer is checked for null.
    unsafe {
        guarded(message, || {
            // Shut, whatever comes.
            let (decision, step) = (output(decision, "decision")?, output(step, "step")?);
            let session = get::<Mutex<Session>>(session)?;
            let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = match &mut session.running {
                Some(running) => take(running)?,
                None => None,
            };
            match taken {
                Some(PassageStep::Continue(guidance)) => step.fill(&clearlane_step {
                    guidance: constant(guidance.code()),
                    phrase_en: constant(guidance.phrase(Language::English)),
                    phrase_zh: constant(guidance.phrase(Language::Chinese)),
                    ..clearlane_step::default()
                }),
                Some(PassageStep::Decided(passage)) => {
                    *session = Session { running: None, decided: Some(*passage) };
                }
                None => {}
            }
            if session.running.is_none() {
                tell(&session, &decision)?;
                step.fill(&clearlane_step { decided: true, ..clearlane_step::default() });
            }
            Ok(())
        })
    }
}

fn tell(session: &Session, decision: &Place<clearlane_decision>) -> Result<(), Failure> {
    let lost = || Failure::internal("the session was lost to a defect of the library; its log says more");
    decision.fill(&clearlane_decision::new(session.decided.as_ref().ok_or_else(lost)?)?);
    Ok(())
}
