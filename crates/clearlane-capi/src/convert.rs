//! Pointers into Rust values, checked as far as a pointer can be.

use std::ffi::{CStr, CString, c_char};
use std::path::PathBuf;
use std::slice;

use clearlane::{Direction, Evidence};
use clearlane_embed::{Frame, PixelFormat};

use crate::guard::Failure;
use crate::types::{EvidenceItem, FramePointer};

/// # Safety
/// `pointer` is null or points to a valid value that outlives the call.
pub(crate) unsafe fn shared<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// # Safety
/// `pointer` is null or points to a value that only the caller has, for the time of the call.
pub(crate) unsafe fn output<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// # Safety
/// `pointer` is null or points to text that ends with a zero byte and outlives the call.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, and the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Failure::argument(format!("`{name}` is not UTF-8")))
}

/// # Safety
/// As [`text`].
pub(crate) unsafe fn path(pointer: *const c_char, name: &str) -> Result<PathBuf, Failure> {
    // SAFETY: the caller's promise.
    Ok(PathBuf::from(unsafe { text(pointer, name) }?))
}

/// # Safety
/// As [`text`]; null is `None`.
pub(crate) unsafe fn optional<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>, Failure> {
    // SAFETY: the caller's promise.
    if pointer.is_null() { Ok(None) } else { unsafe { text(pointer, name) }.map(Some) }
}

/// # Safety
/// `pointer` points to `count` texts, each as [`text`] asks, or is null where `count` is 0.
pub(crate) unsafe fn texts(pointer: *const *const c_char, count: usize, name: &str) -> Result<Vec<String>, Failure> {
    // SAFETY: the caller's promise.
    let pointers = unsafe { list(pointer, count, name) }?;
    // SAFETY: the caller's promise about each text.
    pointers.iter().map(|pointer| Ok(unsafe { text(*pointer, name) }?.to_owned())).collect()
}

/// # Safety
/// `pointer` points to `count` valid values that outlive the call, or is null where `count` is 0.
unsafe fn list<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T], Failure> {
    match (count, pointer.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(null(name)),
        // No slice may span more than isize::MAX bytes.
        _ if count > isize::MAX as usize / size_of::<T>().max(1) => {
            Err(Failure::argument(format!("`{name}` cannot have {count} items")))
        }
        // SAFETY: not null, within the limit of a slice, and the caller's promise.
        _ => Ok(unsafe { slice::from_raw_parts(pointer, count) }),
    }
}

/// # Safety
/// `pointer` points to `count` valid structs whose pixels are readable for their size; all outlive the call.
pub(crate) unsafe fn frames<'a>(
    pointer: *const FramePointer,
    count: usize,
    name: &str,
) -> Result<Vec<Frame<'a>>, Failure> {
    // SAFETY: the caller's promise.
    let frames = unsafe { list(pointer, count, name) }?;
    let frame = |frame: &FramePointer| {
        // SAFETY: the caller's promise about `pixels` and `size`.
        let pixels: &'a [u8] = unsafe { list(frame.pixels, frame.size, "pixels") }?;
        Frame::new(format(frame.format)?, frame.width, frame.height, frame.stride, pixels).map_err(Failure::frame)
    };
    frames.iter().map(frame).collect()
}

/// # Safety
/// `pointer` points to `count` valid structs with valid strings; all outlive the call.
pub(crate) unsafe fn evidence(pointer: *const EvidenceItem, count: usize) -> Result<Vec<Evidence>, Failure> {
    // SAFETY: the caller's promise.
    let items = unsafe { list(pointer, count, "evidence") }?;
    let item = |item: &EvidenceItem| {
        // SAFETY: the caller's promise about the string.
        let matcher = unsafe { text(item.matcher, "matcher") }?.to_owned();
        Ok(Evidence { matcher, subject: clearlane::SubjectId(item.subject), score: item.score })
    };
    items.iter().map(item).collect()
}

pub(crate) fn direction(number: i32) -> Result<Direction, Failure> {
    match number {
        0 => Ok(Direction::Entry),
        1 => Ok(Direction::Exit),
        _ => Err(Failure::argument(format!("{number} is no direction"))),
    }
}

fn format(number: i32) -> Result<PixelFormat, Failure> {
    match number {
        0 => Ok(PixelFormat::Rgb8),
        1 => Ok(PixelFormat::Bgr8),
        2 => Ok(PixelFormat::Gray8),
        3 => Ok(PixelFormat::Nv12),
        4 => Ok(PixelFormat::Yuyv),
        _ => Err(Failure::argument(format!("{number} is no pixel format"))),
    }
}

pub(crate) fn json(value: &impl serde::Serialize) -> Result<CString, Failure> {
    let text = serde_json::to_string(value).map_err(Failure::internal)?;
    CString::new(text).map_err(Failure::internal)
}

fn null(name: &str) -> Failure {
    Failure::argument(format!("`{name}` is null"))
}
