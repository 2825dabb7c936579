//! The C ABI of clearlane, described in `include/clearlane.h`. It wraps the public Rust API and nothing else: pointers are
//! checked and turned into Rust values here, and no panic crosses the boundary.

mod convert;
mod guard;
mod types;

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use clearlane::{Lane, Passage, Port, PortOptions};

use convert::{evidence, frames, optional, output, path, shared, text, texts};
use guard::{Failure, guarded};
pub use types::{Decision, EvidenceItem, Files, FramePointer, LaneHandle, Status};

/// The library's version, ended by a zero byte.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// See `clearlane_version` in the header.
#[unsafe(no_mangle)]
pub extern "C" fn clearlane_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// See `clearlane_open` in the header.
///
/// # Safety
/// `files` points to a valid struct with valid strings; `lane` and `message` point to writable pointers or are null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_open(
    files: *const Files,
    lane: *mut *mut LaneHandle,
    message: *mut *mut c_char,
) -> Status {
    guarded(message, || {
        // SAFETY: the caller's promise about `lane`, which is checked for null.
        let lane = unsafe { output(lane, "lane") }?;
        *lane = ptr::null_mut();
        // SAFETY: the caller's promise about `files`, which is checked for null.
        let files = unsafe { shared(files, "files") }?;
        // SAFETY: the caller's promise about the strings in `files`, each checked for null.
        let (options, name, direction) = unsafe {
            let mut options = PortOptions::new(path(files.register_path, "register_path")?)
                .key_file(path(files.keys_path, "keys_path")?)
                .policy_file(path(files.policy_path, "policy_path")?)
                .port(text(files.port, "port")?.parse().map_err(Failure::argument)?)
                .pad(texts(files.pad, files.pad_count, "pad")?);
            if let Some(witness) = optional(files.witness_path, "witness_path")? {
                options = options.witness(witness);
            }
            if let Some(models) = optional(files.models_path, "models_path")? {
                options = options.models(models);
            }
            if let Some(detector) = optional(files.detector, "detector")? {
                options = options.detector(detector);
            }
            if let Some(embedder) = optional(files.embedder, "embedder")? {
                options = options.embedder(embedder);
            }
            if let Some(issuer) = optional(files.claim_issuer, "claim_issuer")? {
                options = options.claim_issuer(issuer);
            }
            (options, text(files.lane, "lane")?, convert::direction(files.direction)?)
        };
        let port = Port::open(options).map_err(Failure::open)?;
        let opened = port.lane(name, direction).map_err(Failure::argument)?;
        *lane = Box::into_raw(Box::new(LaneHandle(opened)));
        Ok(())
    })
}

/// See `clearlane_close` in the header.
///
/// # Safety
/// `lane` came from [`clearlane_open`] and was not closed, or is null; no other call uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_close(lane: *mut LaneHandle) {
    guarded(ptr::null_mut(), || {
        if !lane.is_null() {
            // SAFETY: the pointer came from `Box::into_raw` in `clearlane_open`, by the caller's promise for the last time.
            drop(unsafe { Box::from_raw(lane) });
        }
        Ok(())
    });
}

/// See `clearlane_pass` in the header.
///
/// # Safety
/// `lane` is open; `frames` and `evidence` point to as many valid structs as stated; `decision` is writable; `message`
/// points to a writable pointer or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_pass(
    lane: *const LaneHandle,
    frames: *const FramePointer,
    frame_count: usize,
    evidence: *const EvidenceItem,
    evidence_count: usize,
    budget_us: u64,
    decision: *mut Decision,
    message: *mut *mut c_char,
) -> Status {
    // SAFETY: the caller's promises are those of `decide`.
    unsafe {
        decide(lane, (frames, frame_count), (evidence, evidence_count), decision, message, |lane, frames, evidence| {
            Ok(lane.pass(frames, evidence, budget(budget_us)))
        })
    }
}

/// See `clearlane_verify_claim` in the header.
///
/// # Safety
/// As [`clearlane_pass`]; `claim_frames` points to as many valid structs as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_verify_claim(
    lane: *const LaneHandle,
    claim_frames: *const FramePointer,
    claim_frame_count: usize,
    frames: *const FramePointer,
    frame_count: usize,
    evidence: *const EvidenceItem,
    evidence_count: usize,
    budget_us: u64,
    decision: *mut Decision,
    message: *mut *mut c_char,
) -> Status {
    // SAFETY: the caller's promises are those of `decide`, and cover `claim_frames`.
    unsafe {
        decide(lane, (frames, frame_count), (evidence, evidence_count), decision, message, |lane, frames, evidence| {
            let claim_frames = self::frames(claim_frames, claim_frame_count, "claim_frames")?;
            Ok(lane.verify_claim(&claim_frames, frames, evidence, budget(budget_us)))
        })
    }
}

/// See `clearlane_refresh` in the header.
///
/// # Safety
/// `lane` is open; `message` points to a writable pointer or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_refresh(lane: *const LaneHandle, message: *mut *mut c_char) -> Status {
    guarded(message, || {
        // SAFETY: the caller's promise about `lane`, which is checked for null.
        let lane = unsafe { shared(lane, "lane") }?;
        lane.0.port().poll().map_err(Failure::register)?;
        Ok(())
    })
}

/// See `clearlane_check` in the header.
///
/// # Safety
/// `lane` is open; `sound` is writable; `message` points to a writable pointer or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_check(
    lane: *const LaneHandle,
    sound: *mut bool,
    message: *mut *mut c_char,
) -> Status {
    guarded(message, || {
        // SAFETY: the caller's promise about `sound`, which is checked for null.
        let sound = unsafe { output(sound, "sound") }?;
        *sound = false;
        // SAFETY: the caller's promise about `lane`, which is checked for null.
        let lane = unsafe { shared(lane, "lane") }?;
        lane.0.port().check(|_, _| {}).map_err(Failure::register)?;
        *sound = lane.0.port().is_sound();
        Ok(())
    })
}

/// See `clearlane_metrics` in the header.
///
/// # Safety
/// `lane` is open, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_metrics(lane: *const LaneHandle) -> *mut c_char {
    let mut json = ptr::null_mut();
    guarded(ptr::null_mut(), || {
        // SAFETY: the caller's promise about `lane`, which is checked for null.
        let lane = unsafe { shared(lane, "lane") }?;
        json = convert::json(&lane.0.port().metrics().snapshot())?.into_raw();
        Ok(())
    });
    json
}

/// See `clearlane_free_decision` in the header.
///
/// # Safety
/// `decision` was filled by this library or zeroed, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_free_decision(decision: *mut Decision) {
    if !decision.is_null() {
        // SAFETY: the caller's promise; `json` came from `CString::into_raw` and is null once it was freed.
        unsafe {
            clearlane_free_string((*decision).json);
            (*decision).json = ptr::null_mut();
        }
    }
}

/// See `clearlane_free_string` in the header.
///
/// # Safety
/// `text` came from this library and was not freed, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_free_string(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: every string given out comes from `CString::into_raw`.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// What both ways of passing share.
///
/// # Safety
/// Pointers are as [`clearlane_pass`] asks.
unsafe fn decide(
    lane: *const LaneHandle,
    (pictures, picture_count): (*const FramePointer, usize),
    (items, item_count): (*const EvidenceItem, usize),
    decision: *mut Decision,
    message: *mut *mut c_char,
    pass: impl FnOnce(&Lane, &[clearlane_embed::Frame<'_>], &[clearlane::Evidence]) -> Result<Passage, Failure>,
) -> Status {
    guarded(message, || {
        // SAFETY: the caller's promise about `decision`, which is checked for null.
        let decision = unsafe { output(decision, "decision") }?;
        // Shut, whatever comes.
        *decision = Decision::default();
        // SAFETY: the caller's promises about `lane`, `frames` and `evidence`, each checked for null.
        let (lane, frames, evidence) = unsafe {
            (shared(lane, "lane")?, frames(pictures, picture_count, "frames")?, evidence(items, item_count)?)
        };
        *decision = Decision::new(&pass(&lane.0, &frames, &evidence)?)?;
        Ok(())
    })
}

fn budget(microseconds: u64) -> Option<Duration> {
    (microseconds > 0).then(|| Duration::from_micros(microseconds))
}
