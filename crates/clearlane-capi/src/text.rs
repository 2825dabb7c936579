//! Text that is given out: most is freed by the caller, some stays for good.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use crate::guard::guarded;
use crate::status::{CLEARLANE_HANDLE, Failure, clearlane_status};

/// A buffer that the caller has.
struct Given(*mut [u8]);

// SAFETY: the table alone frees it, under its lock.
unsafe impl Send for Given {}

impl Drop for Given {
    fn drop(&mut self) {
        // SAFETY: it came from `Box::into_raw` in `give`, and is dropped once.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// The buffers that were given out and not freed, by address.
static GIVEN: Mutex<BTreeMap<usize, Given>> = Mutex::new(BTreeMap::new());

/// `text` with a zero byte at its end, until `clearlane_free` gets it.
pub(crate) fn give(text: &str) -> *mut c_char {
    // Zero bytes within a text would end it.
    let bytes = CString::new(text.replace('\0', " ")).unwrap_or_default().into_bytes_with_nul();
    let buffer = Box::into_raw(bytes.into_boxed_slice());
    let first = buffer.cast::<c_char>();
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(first.addr(), Given(buffer));
    first
}

/// `text` with a zero byte at its end, for as long as the process runs.
pub(crate) fn constant(text: &'static str) -> *const c_char {
    static CONSTANT: Mutex<BTreeMap<&str, CString>> = Mutex::new(BTreeMap::new());
    let mut constants = CONSTANT.lock().unwrap_or_else(PoisonError::into_inner);
    // The text lies where the map's entry points to, however the map is arranged.
    constants.entry(text).or_insert_with(|| CString::new(text).unwrap_or_default()).as_ptr()
}

/// Frees a text that came from this library: a message, JSON, a printed record. NULL is passed over; what is not a text of this
/// library's, or was freed and not given out anew, gets CLEARLANE_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_free(text: *mut c_void) -> clearlane_status {
    // SAFETY: null is no place for a message.
    unsafe {
        guarded(ptr::null_mut(), || {
            if text.is_null() {
                return Ok(());
            }
            let freed = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&text.addr());
            freed.map(drop).ok_or_else(|| Failure::new(CLEARLANE_HANDLE, "expected a text of this library"))
        })
    }
}
