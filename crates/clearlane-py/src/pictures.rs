//! Pictures: NumPy arrays of bytes that become frames where they lie.

use clearlane::{DecodeLimits, Frame, PixelFormat};
use numpy::ndarray::{Array3, ArrayViewD};
use numpy::{
    IntoPyArray as _, PyArray3, PyArrayDescrMethods as _, PyArrayDyn, PyArrayMethods as _, PyReadonlyArrayDyn,
    PyUntypedArray, PyUntypedArrayMethods as _, dtype,
};
use pyo3::prelude::*;
use std::path::PathBuf;

use crate::failure::{Failure, Result, detached};

/// What a picture has to be, in words.
const EXPECTED: &str = "a NumPy array of uint8, height x width x 3 or height x width (grey), whose rows are contiguous";

/// Pictures that a call works on: kept alive, and not writable from Rust, meanwhile.
pub(crate) struct Pictures<'py> {
    arrays: Vec<PyReadonlyArrayDyn<'py, u8>>,
    colour: PixelFormat,
}

impl<'py> Pictures<'py> {
    /// Those of a list, tuple or other iterable of arrays. `name` is the argument's.
    pub(crate) fn many(name: &str, list: &Bound<'py, PyAny>, order: &str) -> Result<Self> {
        // An array is iterable: its rows would be taken for grey pictures.
        if list.is_instance_of::<PyUntypedArray>() {
            return Err(Failure::input(format!("{name}: expected a list of pictures, got {}", described(list))));
        }
        let unlisted = |_| Failure::input(format!("{name}: expected a list of pictures, got {}", described(list)));
        let mut arrays = Vec::new();
        for item in list.try_iter().map_err(unlisted)? {
            arrays.push(array(&format!("{name}[{}]", arrays.len()), &item?)?);
        }
        Ok(Self { arrays, colour: colour(order)? })
    }

    pub(crate) fn one(name: &str, picture: &Bound<'py, PyAny>, order: &str) -> Result<Self> {
        Ok(Self { arrays: vec![array(name, picture)?], colour: colour(order)? })
    }

    pub(crate) fn frames(&self) -> Result<Vec<Frame<'_>>> {
        self.arrays.iter().map(|array| frame(&array.as_array(), self.colour)).collect()
    }

    /// The frame of [`Pictures::one`].
    pub(crate) fn frame(&self) -> Result<Frame<'_>> {
        self.frames()?.pop().ok_or_else(|| Failure::internal("one picture became none"))
    }
}

/// Reads a picture file: JPEG, PNG, WebP, BMP, PGM or PPM.
///
/// Returns an array of uint8, height x width x 3, RGB and upright: EXIF orientation is applied, transparency is laid over
/// white. Files of more than 50 million pixels or 64 MiB, and damaged ones, raise PictureError before memory is taken.
#[pyfunction]
pub(crate) fn read_picture(py: Python<'_>, path: PathBuf) -> Result<Bound<'_, PyArray3<u8>>> {
    let pixels = detached(py, || rgb(&Frame::open(path, &DecodeLimits::default())?))?;
    Ok(pixels.into_pyarray(py))
}

/// Reads a picture from the bytes of a file, as `read_picture` does.
#[pyfunction]
pub(crate) fn decode_picture<'py>(py: Python<'py>, data: &[u8]) -> Result<Bound<'py, PyArray3<u8>>> {
    let pixels = detached(py, || rgb(&Frame::decode(data, &DecodeLimits::default())?))?;
    Ok(pixels.into_pyarray(py))
}

fn rgb(frame: &Frame<'_>) -> Result<Array3<u8>> {
    let shape = (frame.height() as usize, frame.width() as usize, 3);
    let pixels = frame.to_rgb8().into_owned();
    Array3::from_shape_vec(shape, pixels).map_err(|error| Failure::internal(error.to_string()))
}

fn colour(order: &str) -> Result<PixelFormat> {
    match order {
        "rgb" => Ok(PixelFormat::Rgb8),
        "bgr" => Ok(PixelFormat::Bgr8),
        _ => Err(Failure::input(format!("order: expected \"rgb\" or \"bgr\", got {order:?}"))),
    }
}

fn array<'py>(name: &str, value: &Bound<'py, PyAny>) -> Result<PyReadonlyArrayDyn<'py, u8>> {
    let refused = || Failure::input(format!("{name}: expected {EXPECTED}, got {}", described(value)));
    let array = value.cast::<PyArrayDyn<u8>>().map_err(|_| refused())?;
    let readonly = array.try_readonly().map_err(|error| Failure::input(format!("{name}: {error}")))?;
    match layout(&readonly.as_array()) {
        Some(_) => Ok(readonly),
        None => Err(refused()),
    }
}

/// What an object is, for messages: of an array the type, shape and strides.
pub(crate) fn described(value: &Bound<'_, PyAny>) -> String {
    let Ok(array) = value.cast::<PyUntypedArray>() else {
        let class = value.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string());
        return if value.is_none() { "None".to_owned() } else { format!("an object of type {class}") };
    };
    let (shape, strides) = (array.shape(), array.strides());
    format!("an array of {}, shape {shape:?}, strides {strides:?} (bytes)", array.dtype())
}

/// How a picture lies in memory.
struct Layout {
    height: usize,
    width: usize,
    channels: usize,
    /// Bytes from one row's start to the next.
    stride: usize,
}

/// `None` for arrays that are no picture.
fn layout(array: &ArrayViewD<'_, u8>) -> Option<Layout> {
    let (height, width, channels) = match *array.shape() {
        [height, width] => (height, width, 1),
        [height, width, 3] => (height, width, 3),
        _ => return None,
    };
    if height == 0 || width == 0 {
        return None;
    }
    let row = width.checked_mul(channels)?;
    let strides = array.strides();
    let contiguous = (width == 1 || strides[1] == channels as isize) && (channels == 1 || strides[2] == 1);
    // A single row has no next one, and its stride means nothing.
    let stride = if height == 1 { row } else { usize::try_from(strides[0]).ok()? };
    (contiguous && stride >= row).then_some(Layout { height, width, channels, stride })
}

/// A frame over the array's own bytes.
#[allow(unsafe_code)]
fn frame<'a>(array: &ArrayViewD<'a, u8>, colour: PixelFormat) -> Result<Frame<'a>> {
    let Some(Layout { height, width, channels, stride }) = layout(array) else {
        return Err(Failure::input(format!("expected {EXPECTED}")));
    };
    let format = if channels == 1 { PixelFormat::Gray8 } else { colour };
    let length = stride * (height - 1) + width * channels;
    // SAFETY: `layout` found that every byte of these rows lies between the array's first element and its last, which is at
    // `length` - 1, in one allocation that the view keeps borrowed for 'a. Bytes between rows are of the same allocation,
    // since the array is a view into it. Nobody in Rust writes to it; a Python thread that does so makes other pixels.
    let bytes = unsafe { std::slice::from_raw_parts(array.as_ptr(), length) };
    Ok(Frame::new(format, side(width), side(height), stride, bytes)?)
}

/// A side that is larger than any frame's stays so.
fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

/// An array of 32-bit floats that can be read in place.
pub(crate) fn floats<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
    expected: &str,
    fits: impl FnOnce(&[usize]) -> bool,
) -> Result<PyReadonlyArrayDyn<'py, f32>> {
    let refused = || Failure::input(format!("{name}: expected {expected}, got {}", described(value)));
    let array = value.cast::<PyArrayDyn<f32>>().map_err(|_| refused())?;
    if !fits(array.shape()) || !array.is_aligned() || !dtype::<f32>(value.py()).is_equiv_to(&array.dtype()) {
        return Err(refused());
    }
    array.try_readonly().map_err(|error| Failure::input(format!("{name}: {error}")))
}
