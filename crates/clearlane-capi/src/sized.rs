//! Structs that begin with their size, so that a program and a library of different ages understand each other.
//!
//! The size is the caller's `sizeof`. A smaller struct of an older header is taken with zeros for what it lacks; a larger one of
//! a newer header is taken if what this library does not know is zero.

use std::mem::MaybeUninit;
use std::slice;

use crate::pointer::{checked, count_checked};
use crate::status::{CLEARLANE_SIZE, Failure};

/// A struct that the caller fills.
///
/// # Safety
/// The type is `#[repr(C)]`, begins with its size as a `usize`, and any bytes are a value of it.
pub(crate) unsafe trait Input: Copy {
    /// The header's name.
    const NAME: &'static str;
    /// The bytes that every caller has.
    const LEAST: usize;
}

/// A struct that the library fills.
///
/// # Safety
/// The type is `#[repr(C)]` and begins with its size as a `usize`.
pub(crate) unsafe trait Output: Copy {
    /// The header's name.
    const NAME: &'static str;
    /// The bytes that every caller has.
    const LEAST: usize;
}

/// No struct of any version is larger: a size above is a mistake, and reading as far might crash.
const MOST: usize = 1024;

fn size_checked(size: usize, least: usize, align: usize, name: &str, place: &str) -> Result<usize, Failure> {
    if (least..=MOST).contains(&size) && size.is_multiple_of(align) {
        return Ok(size);
    }
    let message = format!(
        "expected `{place}.size` to be sizeof({name}), {least} bytes or more, got {size}: set it to sizeof({name})"
    );
    Err(Failure::new(CLEARLANE_SIZE, message))
}

/// The struct at `pointer`.
///
/// # Safety
/// `pointer` is null or points to a struct of which as many bytes are readable as its size says.
pub(crate) unsafe fn input<T: Input>(pointer: *const T, place: &str) -> Result<T, Failure> {
    checked(pointer, place)?;
    // SAFETY: not null, aligned, and every struct begins with its size.
    let size = size_checked(unsafe { pointer.cast::<usize>().read() }, T::LEAST, align_of::<T>(), T::NAME, place)?;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's promise for the bytes from `known` to `size`.
    let unknown = unsafe { slice::from_raw_parts(pointer.cast::<u8>().add(known), size - known) };
    if let Some(offset) = unknown.iter().position(|byte| *byte != 0) {
        let message = format!(
            "`{place}` has a field at byte {} that this library does not know: update the library, or leave it zero",
            known + offset
        );
        return Err(Failure::new(CLEARLANE_SIZE, message));
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are readable there and writable here; any bytes are a value of an `Input`.
    unsafe {
        pointer.cast::<u8>().copy_to_nonoverlapping(value.as_mut_ptr().cast(), known);
        Ok(value.assume_init())
    }
}

/// The structs of an array, each as far from the next as the first one says that it is large.
///
/// # Safety
/// `pointer` points to `count` structs as [`input`] asks, or is null where `count` is 0.
pub(crate) unsafe fn inputs<T: Input>(pointer: *const T, count: usize, place: &str) -> Result<Vec<T>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's promise about the first.
    let first = unsafe { input(pointer, place) }?;
    // SAFETY: as above.
    let stride = unsafe { pointer.cast::<usize>().read() };
    count_checked(count, stride, place)?;
    let mut values = vec![first];
    for index in 1..count {
        let place = format!("{place}[{index}]");
        let pointer = pointer.wrapping_byte_add(index * stride);
        // SAFETY: the caller's promise about each.
        let (size, value) = unsafe { (pointer.cast::<usize>().read(), input(pointer, &place)?) };
        if size != stride {
            let message = format!("expected `{place}.size` to be that of the first, {stride}, got {size}");
            return Err(Failure::new(CLEARLANE_SIZE, message));
        }
        values.push(value);
    }
    Ok(values)
}

/// A place for a struct of the caller's, all zero but its size.
pub(crate) struct Place<T> {
    pointer: *mut T,
    size: usize,
}

/// The place at `pointer`, set to zero.
///
/// # Safety
/// `pointer` is null or points to a struct of which as many bytes are writable as its size says, by nobody else meanwhile.
pub(crate) unsafe fn output<T: Output>(pointer: *mut T, place: &str) -> Result<Place<T>, Failure> {
    checked(pointer, place)?;
    // SAFETY: not null, aligned, and every struct begins with its size.
    let size = size_checked(unsafe { pointer.cast::<usize>().read() }, T::LEAST, align_of::<T>(), T::NAME, place)?;
    // SAFETY: the caller's promise for `size` bytes.
    unsafe { pointer.cast::<u8>().add(size_of::<usize>()).write_bytes(0, size - size_of::<usize>()) };
    Ok(Place { pointer, size })
}

/// The places of an array of the caller's; the first one's size holds for all.
///
/// # Safety
/// As [`output`], for `count` structs; null where `count` is 0.
pub(crate) unsafe fn outputs<T: Output>(pointer: *mut T, count: usize, place: &str) -> Result<Vec<Place<T>>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's promise about the first.
    let first = unsafe { output(pointer, place) }?;
    let stride = first.size;
    count_checked(count, stride, place)?;
    let mut places = vec![first];
    for index in 1..count {
        let pointer = pointer.wrapping_byte_add(index * stride);
        // SAFETY: the caller's promise about each, for as many bytes as the first one has.
        unsafe {
            pointer.cast::<u8>().write_bytes(0, stride);
            pointer.cast::<usize>().write(stride);
        }
        places.push(Place { pointer, size: stride });
    }
    Ok(places)
}

impl<T: Output> Place<T> {
    /// Fills the place, as far as the caller has one, and leaves its size.
    pub(crate) fn fill(&self, value: &T) {
        let after_size = size_of::<usize>();
        let length = self.size.min(size_of::<T>()) - after_size;
        // SAFETY: `output` has seen to it that `size` bytes are writable; `value` has `size_of::<T>()`.
        unsafe {
            let from = (&raw const *value).cast::<u8>().add(after_size);
            from.copy_to_nonoverlapping(self.pointer.cast::<u8>().add(after_size), length);
        }
    }
}
