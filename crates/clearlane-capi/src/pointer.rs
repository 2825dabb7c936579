//! Pointers into Rust values, checked as far as a pointer can be.

use std::ffi::{CStr, c_char};
use std::slice;

use crate::status::Failure;

/// Null and misaligned pointers are refused: all that can be seen of one.
pub(crate) fn checked<T>(pointer: *const T, name: &str) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::argument(format!("`{name}` is NULL")));
    }
    if !pointer.is_aligned() {
        return Err(Failure::argument(format!("`{name}` is not aligned to {} bytes", align_of::<T>())));
    }
    Ok(())
}

/// No array spans more than `isize::MAX` bytes.
pub(crate) fn count_checked(count: usize, stride: usize, name: &str) -> Result<(), Failure> {
    if count > isize::MAX as usize / stride.max(1) {
        return Err(Failure::argument(format!("`{name}` cannot have {count} items: no memory holds them")));
    }
    Ok(())
}

/// A place for one plain value.
///
/// # Safety
/// `pointer` is null or points to a place that only the caller has, for the time of the call.
pub(crate) unsafe fn place<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T, Failure> {
    checked(pointer, name)?;
    // SAFETY: not null, aligned, and the caller's promise.
    Ok(unsafe { &mut *pointer })
}

/// # Safety
/// `pointer` is null or points to text that ends with a zero byte and outlives the call.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Failure> {
    checked(pointer, name)?;
    // SAFETY: not null, and the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|error| {
        Failure::argument(format!("expected `{name}` in UTF-8, got another byte after {} of them", error.valid_up_to()))
    })
}

/// # Safety
/// As [`text`]; null is `None`.
pub(crate) unsafe fn optional<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>, Failure> {
    // SAFETY: the caller's promise.
    if pointer.is_null() { Ok(None) } else { unsafe { text(pointer, name) }.map(Some) }
}

/// # Safety
/// `pointer` points to `count` texts, each as [`text`] asks, or is null where `count` is 0.
pub(crate) unsafe fn texts<'a>(
    pointer: *const *const c_char,
    count: usize,
    name: &str,
) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: the caller's promise.
    let pointers = unsafe { list(pointer, count, name) }?;
    // SAFETY: the caller's promise about each text.
    pointers.iter().map(|pointer| unsafe { text(*pointer, name) }).collect()
}

/// A buffer, set to zero.
///
/// # Safety
/// `pointer` points to `length` bytes that only the caller has, for the time of the call, or is null where `length` is 0.
pub(crate) unsafe fn buffer<'a>(pointer: *mut u8, length: usize, name: &str) -> Result<&'a mut [u8], Failure> {
    if length == 0 {
        return Ok(&mut []);
    }
    checked(pointer, name)?;
    count_checked(length, 1, name)?;
    // SAFETY: not null, within the limit of a slice, and the caller's promise.
    unsafe {
        pointer.write_bytes(0, length);
        Ok(slice::from_raw_parts_mut(pointer, length))
    }
}

/// # Safety
/// `pointer` points to `count` values that outlive the call, or is null where `count` is 0; any bytes are a value of `T`.
pub(crate) unsafe fn list<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    checked(pointer, name)?;
    count_checked(count, size_of::<T>(), name)?;
    // SAFETY: not null, aligned, within the limit of a slice, and the caller's promise.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}
