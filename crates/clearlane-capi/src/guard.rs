//! Where every call passes: what goes wrong becomes a status and a message, and a panic stops here.

use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::status::{CLEARLANE_OK, Failure, clearlane_status};
use crate::text::give;

/// Runs `work`; its failure, or its panic, becomes the status and, where there is room for one, the message.
///
/// # Safety
/// `message` is null or points to a writable pointer.
pub(crate) unsafe fn guarded(
    message: *mut *mut c_char,
    work: impl FnOnce() -> Result<(), Failure>,
) -> clearlane_status {
    // A place that is no place for a pointer gets none.
    let message = if message.is_aligned() { message } else { ptr::null_mut() };
    if !message.is_null() {
        // SAFETY: not null, aligned, and the caller's promise.
        unsafe { message.write(ptr::null_mut()) };
    }
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return CLEARLANE_OK,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::internal("a defect of the library; its log says more"),
    };
    if !message.is_null() {
        // SAFETY: as above.
        unsafe { message.write(give(&failure.message)) };
    }
    failure.status
}
