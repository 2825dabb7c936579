//! What goes wrong becomes a status and a message; a panic stops here.

use std::ffi::{CString, c_char};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::types::Status;

const OK: Status = 0;
const ARGUMENT: Status = 1;
const OPEN: Status = 2;
const FRAME: Status = 3;
const REGISTER: Status = 4;
const INTERNAL: Status = 5;

/// A status other than OK, and what to say.
pub(crate) struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    pub(crate) fn argument(message: impl Display) -> Self {
        Self { status: ARGUMENT, message: message.to_string() }
    }

    pub(crate) fn open(message: impl Display) -> Self {
        Self { status: OPEN, message: message.to_string() }
    }

    pub(crate) fn frame(message: impl Display) -> Self {
        Self { status: FRAME, message: message.to_string() }
    }

    pub(crate) fn register(message: impl Display) -> Self {
        Self { status: REGISTER, message: message.to_string() }
    }

    pub(crate) fn internal(message: impl Display) -> Self {
        Self { status: INTERNAL, message: message.to_string() }
    }
}

/// Runs `work`; its failure, or its panic, becomes the status and, where there is room for one, the message.
pub(crate) fn guarded(message: *mut *mut c_char, work: impl FnOnce() -> Result<(), Failure>) -> Status {
    say(message, ptr::null_mut());
    let worked = catch_unwind(AssertUnwindSafe(work));
    let failure = match worked {
        Ok(Ok(())) => return OK,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::internal("a defect of the library; its log says more"),
    };
    // Zero bytes within a message would end it.
    let text = CString::new(failure.message.replace('\0', " ")).unwrap_or_default();
    if !message.is_null() {
        say(message, text.into_raw());
    }
    failure.status
}

fn say(message: *mut *mut c_char, text: *mut c_char) {
    if !message.is_null() {
        // SAFETY: not null, and every exported function demands that it points to a writable pointer then.
        unsafe { *message = text };
    }
}
