//! A port whose models were not calibrated on whom its policy serves does not open, and the message says who is missing.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::ffi::{CStr, CString};
use std::ptr::null_mut;

use clearlane_capi::*;
use common::port::Port;

#[test]
fn a_port_opens_for_the_populations_on_whom_its_model_was_calibrated_and_for_no_other() {
    let place = Port::new();
    let rules = std::fs::read_to_string(&place.policy).unwrap();
    let text = |path: &std::path::Path| CString::new(path.to_str().unwrap()).unwrap();
    for (served, missing) in [
        ("\"fictional-people\"", None),
        ("\"east-asian-adults\"", Some("`east-asian-adults`")),
        ("\"fictional-people\", \"elders\"", Some("`elders`")),
    ] {
        assert!(rules.contains("[\"fictional-people\"]"));
        let policy = place.folder.path().join("served.toml");
        std::fs::write(&policy, rules.replace("[\"fictional-people\"]", &format!("[{served}]"))).unwrap();
        let (register, keys, policy) = (text(&place.register), text(&place.keys), text(&policy));
        // SAFETY: all zero is a valid value of this struct: NULL and 0 stand for what is left out.
        let mut options: clearlane_port_options = unsafe { std::mem::zeroed() };
        options.size = size_of::<clearlane_port_options>();
        (options.register_path, options.key_file, options.policy_path) =
            (register.as_ptr(), keys.as_ptr(), policy.as_ptr());
        let (mut port, mut message) = (null_mut(), null_mut());
        // SAFETY: all pointers are valid, and the texts live as long as the call.
        let status = unsafe { clearlane_port_open(&raw const options, &raw mut port, &raw mut message) };
        let Some(missing) = missing else {
            assert_eq!(status, CLEARLANE_OK);
            // SAFETY: the port was opened above and is closed once.
            unsafe { clearlane_port_close(port) };
            continue;
        };
        assert_eq!(status, CLEARLANE_OPEN, "{served}");
        // SAFETY: a status other than OK comes with a message, which is freed once.
        let said = unsafe { CStr::from_ptr(message) }.to_str().unwrap().to_owned();
        // SAFETY: as above.
        unsafe { clearlane_free(message.cast()) };
        for word in [missing, "`fictional-people`", "clearlane calibrate"] {
            assert!(said.contains(word), "{said}");
        }
    }
}
