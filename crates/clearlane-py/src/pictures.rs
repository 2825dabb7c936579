//! Pictures: NumPy arrays of bytes that become frames where they lie.

use std::path::PathBuf;

use clearlane::{DecodeLimits, Frame, PixelFormat, Rotation};
use numpy::ndarray::{Array3, ArrayViewD};
use numpy::{
    IntoPyArray as _, PyArray3, PyArrayDyn, PyArrayMethods as _, PyReadonlyArrayDyn, PyUntypedArray,
    PyUntypedArrayMethods as _,
};
use pyo3::prelude::*;
use pyo3::types::PySequence;

use crate::failure::{Failure, Result, detached};

/// The orders of a picture's samples, their formats, and the arrays that they come in: so many samples a pixel in the last axis,
/// or planes one below the other.
const ORDERS: [(&str, PixelFormat, Shape); 8] = [
    ("rgb", PixelFormat::Rgb8, Shape::Packed(3)),
    ("bgr", PixelFormat::Bgr8, Shape::Packed(3)),
    ("rgba", PixelFormat::Rgba8, Shape::Packed(4)),
    ("bgra", PixelFormat::Bgra8, Shape::Packed(4)),
    ("yuyv", PixelFormat::Yuyv, Shape::Packed(2)),
    ("uyvy", PixelFormat::Uyvy, Shape::Packed(2)),
    ("nv12", PixelFormat::Nv12, Shape::Planes),
    ("i420", PixelFormat::I420, Shape::Planes),
];

/// How an array holds a picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// height x width x samples, or height x width of grey.
    Packed(usize),
    /// One and a half times the height x width: luma, and below it the chroma.
    Planes,
}

/// How the samples of a picture are ordered.
#[derive(Clone, Copy)]
struct Order {
    format: PixelFormat,
    shape: Shape,
}

impl Order {
    fn named(name: &str) -> Result<Self> {
        let known = ORDERS.iter().find(|(known, ..)| *known == name);
        let (_, format, shape) = known.ok_or_else(|| {
            let known: Vec<_> = ORDERS.iter().map(|(known, ..)| format!("{known:?}")).collect();
            Failure::input(format!("order: expected one of {}, got {name:?}", known.join(", ")))
        })?;
        Ok(Self { format: *format, shape: *shape })
    }

    /// What a picture of this order has to be, in words.
    fn expected(self) -> String {
        let shape = match self.shape {
            Shape::Packed(samples) => format!("height x width x {samples} or height x width (grey)"),
            Shape::Planes => "1.5 height x width, of even sides".to_owned(),
        };
        format!("a NumPy array of uint8, {shape}, whose rows are contiguous")
    }
}

/// Degrees clockwise by which a camera's pictures are turned to stand upright.
pub(crate) fn rotation(degrees: u32) -> Result<Rotation> {
    let known = Rotation::ALL.into_iter().find(|rotation| rotation.degrees() == degrees);
    known.ok_or_else(|| Failure::input(format!("rotation: expected 0, 90, 180 or 270 degrees, got {degrees}")))
}

/// Pictures that a call works on: kept alive, and not writable from Rust, meanwhile.
pub(crate) struct Pictures<'py> {
    arrays: Vec<PyReadonlyArrayDyn<'py, u8>>,
    order: Order,
    rotation: Rotation,
}

impl<'py> Pictures<'py> {
    /// Those of a list or tuple of arrays. `name` is the argument's.
    pub(crate) fn many(name: &str, list: &Bound<'py, PyAny>, order: &str) -> Result<Self> {
        // An array is no sequence of pictures, though it has a length; a generator may never end.
        let list = list
            .cast::<PySequence>()
            .map_err(|_| Failure::input(format!("{name}: expected a list of pictures, got {}", described(list))))?;
        let order = Order::named(order)?;
        let mut arrays = Vec::new();
        for item in list.try_iter()? {
            arrays.push(array(&format!("{name}[{}]", arrays.len()), &item?, order)?);
        }
        Ok(Self { arrays, order, rotation: Rotation::None })
    }

    pub(crate) fn one(name: &str, picture: &Bound<'py, PyAny>, order: &str) -> Result<Self> {
        let order = Order::named(order)?;
        Ok(Self { arrays: vec![array(name, picture, order)?], order, rotation: Rotation::None })
    }

    /// The same of a camera that is mounted in this way.
    pub(crate) fn turned(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    pub(crate) fn frames(&self) -> Result<Vec<Frame<'_>>> {
        self.arrays.iter().map(|array| Ok(frame(&array.as_array(), self.order)?.with_rotation(self.rotation))).collect()
    }

    /// The frame of [`Pictures::one`].
    pub(crate) fn frame(&self) -> Result<Frame<'_>> {
        self.frames()?.pop().ok_or_else(|| Failure::internal("one picture became none"))
    }
}

/// Reads a picture file: JPEG, JPEG 2000, PNG, WebP, BMP, PGM or PPM, or the portrait in the data group 2 (DG2) of a travel
/// document's chip.
///
/// Returns an array of uint8, height x width x 3, RGB and upright: EXIF orientation is applied, transparency is laid over
/// white. Pictures of more than `max_pixels`, files of more than 64 MiB, and damaged ones, raise PictureError before memory is
/// taken.
#[pyfunction]
#[pyo3(signature = (path, *, max_pixels=1 << 26))]
pub(crate) fn read_picture(py: Python<'_>, path: PathBuf, max_pixels: u64) -> Result<Bound<'_, PyArray3<u8>>> {
    let limits = DecodeLimits::default().with_max_pixels(max_pixels);
    let pixels = detached(py, || rgb(Frame::open(path, &limits)?))?;
    Ok(pixels.into_pyarray(py))
}

/// Reads a picture from the bytes of a file, as `read_picture` does.
#[pyfunction]
#[pyo3(signature = (data, *, max_pixels=1 << 26))]
pub(crate) fn decode_picture<'py>(py: Python<'py>, data: &[u8], max_pixels: u64) -> Result<Bound<'py, PyArray3<u8>>> {
    let limits = DecodeLimits::default().with_max_pixels(max_pixels);
    let pixels = detached(py, || rgb(Frame::decode(data, &limits)?))?;
    Ok(pixels.into_pyarray(py))
}

fn rgb(frame: Frame<'_>) -> Result<Array3<u8>> {
    let shape = (frame.height() as usize, frame.width() as usize, 3);
    Array3::from_shape_vec(shape, frame.into_rgb8()).map_err(|error| Failure::internal(error.to_string()))
}

fn array<'py>(name: &str, value: &Bound<'py, PyAny>, order: Order) -> Result<PyReadonlyArrayDyn<'py, u8>> {
    let refused = || Failure::input(format!("{name}: expected {}, got {}", order.expected(), described(value)));
    let array = value.cast::<PyArrayDyn<u8>>().map_err(|_| refused())?;
    let readonly = array.try_readonly().map_err(|error| Failure::input(format!("{name}: {error}")))?;
    match layout(&readonly.as_array(), order) {
        Some(_) => Ok(readonly),
        None => Err(refused()),
    }
}

/// What an object is, for messages: of an array the type, shape and strides.
fn described(value: &Bound<'_, PyAny>) -> String {
    let Ok(array) = value.cast::<PyUntypedArray>() else {
        let class = value.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string());
        return if value.is_none() { "None".to_owned() } else { format!("an object of type {class}") };
    };
    let (shape, strides) = (array.shape(), array.strides());
    format!("an array of {}, shape {shape:?}, strides {strides:?} (bytes)", array.dtype())
}

/// How a picture lies in memory.
struct Layout {
    format: PixelFormat,
    height: usize,
    width: usize,
    /// Bytes from one row's start to the next.
    stride: usize,
    /// Bytes from the first to the last, both included.
    length: usize,
}

/// `None` for arrays that are no picture of this order.
fn layout(array: &ArrayViewD<'_, u8>, order: Order) -> Option<Layout> {
    let (rows, width, samples) = match (order.shape, array.shape()) {
        (Shape::Packed(samples), &[height, width, last]) if last == samples => (height, width, samples),
        (_, &[height, width]) => (height, width, 1),
        _ => return None,
    };
    let (format, height) = match (order.shape, samples) {
        // Chroma is of two rows and two columns each.
        (Shape::Planes, _) if rows % 3 == 0 && rows % 2 == 0 && width % 2 == 0 => (order.format, rows / 3 * 2),
        (Shape::Planes, _) => return None,
        (Shape::Packed(_), 1) => (PixelFormat::Gray8, rows),
        // Pairs of pixels share their chroma.
        (Shape::Packed(2), _) if width % 2 != 0 => return None,
        (Shape::Packed(_), _) => (order.format, rows),
    };
    if rows == 0 || width == 0 {
        return None;
    }
    let row = width.checked_mul(samples)?;
    let strides = array.strides();
    let contiguous = (width == 1 || strides[1] == samples as isize) && (samples == 1 || strides[2] == 1);
    // A single row has no next one, and its stride means nothing.
    let stride = if rows == 1 { row } else { usize::try_from(strides[0]).ok()? };
    // Planes follow one another without padding where there are several: I420's chroma has half the stride.
    let packed = order.shape != Shape::Planes || stride == row;
    let length = stride * (rows - 1) + row;
    (contiguous && packed && stride >= row).then_some(Layout { format, height, width, stride, length })
}

/// A frame over the array's own bytes.
#[allow(unsafe_code)]
fn frame<'a>(array: &ArrayViewD<'a, u8>, order: Order) -> Result<Frame<'a>> {
    let Some(Layout { format, height, width, stride, length }) = layout(array, order) else {
        return Err(Failure::input(format!("expected {}", order.expected())));
    };
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
    if !fits(array.shape()) || !array.is_aligned() {
        return Err(refused());
    }
    array.try_readonly().map_err(|error| Failure::input(format!("{name}: {error}")))
}
