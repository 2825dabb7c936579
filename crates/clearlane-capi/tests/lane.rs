//! A lane through the C ABI, from files to a decision, on the built-in models.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr;

use clearlane_capi::{
    Decision, Files, FramePointer, LaneHandle, clearlane_check, clearlane_close, clearlane_free_decision,
    clearlane_free_string, clearlane_metrics, clearlane_open, clearlane_pass, clearlane_refresh,
    clearlane_verify_claim,
};

#[test]
fn a_frame_without_a_face_is_referred_with_its_reason_as_json() {
    let (lane, _port) = open();
    let pixels = vec![128; 320 * 240];
    let mut decision = Decision::default();
    let picture = grey(&pixels, 240);
    // SAFETY: the lane is open, the frame describes `pixels`, and the decision is writable.
    let status =
        unsafe { clearlane_pass(lane, &raw const picture, 1, ptr::null(), 0, 0, &raw mut decision, ptr::null_mut()) };
    assert_eq!(status, 0);
    assert!(!decision.admitted && !decision.has_subject && decision.has_record);
    // SAFETY: a decision that was made has its JSON.
    let json = unsafe { CStr::from_ptr(decision.json) }.to_str().unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["decision"], "refer");
    assert_eq!(json["reasons"][0]["reason"], "no-face");
    assert!(json["times"]["total"].as_u64().unwrap() > 0 && decision.total_us > 0);
    // SAFETY: the decision was filled above, and is freed twice to show that this does no harm.
    unsafe {
        clearlane_free_decision(&raw mut decision);
        clearlane_free_decision(&raw mut decision);
    }
    // SAFETY: as above; the frame shows no claim either.
    let status = unsafe {
        clearlane_verify_claim(
            lane,
            &raw const picture,
            1,
            &raw const picture,
            1,
            ptr::null(),
            0,
            0,
            &raw mut decision,
            ptr::null_mut(),
        )
    };
    assert_eq!((status, decision.admitted), (0, false));
    // SAFETY: the lane is open, and closed once; strings and decisions come from the library.
    unsafe {
        clearlane_free_decision(&raw mut decision);
        let metrics = clearlane_metrics(lane);
        assert!(CStr::from_ptr(metrics).to_str().unwrap().contains("\"referred\":2"));
        clearlane_free_string(metrics);
        let mut sound = false;
        assert_eq!(clearlane_check(lane, &raw mut sound, ptr::null_mut()), 0);
        assert!(sound);
        assert_eq!(clearlane_refresh(lane, ptr::null_mut()), 0);
        clearlane_close(lane);
    }
}

#[test]
fn bytes_that_are_no_frame_get_a_status_and_a_message() {
    let (lane, _port) = open();
    let pixels = vec![128; 320 * 240];
    let refused = |picture: FramePointer| {
        let (mut decision, mut message) = (Decision::default(), ptr::null_mut());
        // SAFETY: the lane is open; the frame describes no more than `pixels`; the outputs are writable.
        let status = unsafe {
            clearlane_pass(lane, &raw const picture, 1, ptr::null(), 0, 0, &raw mut decision, &raw mut message)
        };
        assert!(!decision.admitted && decision.json.is_null());
        // SAFETY: a failure with room for a message has one.
        let text = unsafe { CStr::from_ptr(message) }.to_str().unwrap().to_owned();
        // SAFETY: the message comes from the library.
        unsafe { clearlane_free_string(message) };
        (status, text)
    };
    let (status, text) = refused(grey(&pixels, 241));
    assert_eq!(status, 3);
    assert!(text.contains("76800") && text.contains("77120"), "{text}");
    assert_eq!(refused(FramePointer { stride: 1, ..grey(&pixels, 240) }).0, 3);
    assert_eq!(refused(FramePointer { format: 9, ..grey(&pixels, 240) }).0, 1);
    assert_eq!(refused(FramePointer { pixels: ptr::null(), ..grey(&pixels, 240) }).0, 1);
    assert_eq!(refused(FramePointer { size: usize::MAX, ..grey(&pixels, 240) }).0, 1);
    // SAFETY: the lane is open and not used any more.
    unsafe { clearlane_close(lane) };
}

fn grey(pixels: &[u8], height: u32) -> FramePointer {
    FramePointer { pixels: pixels.as_ptr(), size: pixels.len(), width: 320, height, stride: 320, format: 2 }
}

/// A lane of a port with one traveller.
fn open() -> (*mut LaneHandle, common::Port) {
    let port = common::Port::new();
    let text = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
    let strings = [text(&port.register), text(&port.keys), text(&port.policy)];
    let (place, lane) = (CString::new("shenzhen-bay").unwrap(), CString::new("lane 1").unwrap());
    let files = Files {
        witness_path: ptr::null(),
        register_path: strings[0].as_ptr(),
        keys_path: strings[1].as_ptr(),
        policy_path: strings[2].as_ptr(),
        models_path: ptr::null(),
        detector: ptr::null(),
        embedder: ptr::null(),
        pad: ptr::null(),
        pad_count: 0,
        claim_issuer: ptr::null(),
        port: place.as_ptr(),
        lane: lane.as_ptr(),
        direction: 1,
    };
    let (mut opened, mut message): (*mut LaneHandle, *mut c_char) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all strings live until the call is over, and the outputs are writable.
    let status = unsafe { clearlane_open(&raw const files, &raw mut opened, &raw mut message) };
    // SAFETY: a failure with room for a message has one.
    assert!(status == 0, "{}", unsafe { CStr::from_ptr(message) }.to_string_lossy());
    (opened, port)
}
