//! Pictures as the caller's cameras give them.

use std::mem::offset_of;

use clearlane::{Frame, FrameError, PixelFormat, YuvColour};

use crate::number::numbers;
use crate::pointer::{checked, list};
use crate::sized::{Input, input, inputs};
use crate::status::{CLEARLANE_FRAME, Failure};

/// How a frame's pixels lie in memory, 8 bits a sample.
pub type clearlane_pixel_format = i32;

/// Three bytes a pixel: red, green, blue.
pub const CLEARLANE_RGB8: clearlane_pixel_format = 1;
/// Three bytes a pixel: blue, green, red.
pub const CLEARLANE_BGR8: clearlane_pixel_format = 2;
/// One byte a pixel.
pub const CLEARLANE_GRAY8: clearlane_pixel_format = 3;
/// A plane of luma, then a plane of interleaved U and V at half the width and half the height.
pub const CLEARLANE_NV12: clearlane_pixel_format = 4;
/// Two pixels in four bytes: Y0, U, Y1, V.
pub const CLEARLANE_YUYV: clearlane_pixel_format = 5;

numbers!(
    every format, PixelFormat, "a pixel format",
    CLEARLANE_RGB8 = PixelFormat::Rgb8,
    CLEARLANE_BGR8 = PixelFormat::Bgr8,
    CLEARLANE_GRAY8 = PixelFormat::Gray8,
    CLEARLANE_NV12 = PixelFormat::Nv12,
    CLEARLANE_YUYV = PixelFormat::Yuyv
);

/// The matrix and the range of NV12 and YUYV frames.
pub type clearlane_yuv_colour = i32;

/// ITU-R BT.601, luma 16 to 235: most USB cameras.
pub const CLEARLANE_BT601_LIMITED: clearlane_yuv_colour = 0;
/// ITU-R BT.601, luma 0 to 255: JPEG and MJPEG.
pub const CLEARLANE_BT601_FULL: clearlane_yuv_colour = 1;
/// ITU-R BT.709, luma 16 to 235: most HD video.
pub const CLEARLANE_BT709_LIMITED: clearlane_yuv_colour = 2;

numbers!(
    every colour, YuvColour, "a YUV colour",
    CLEARLANE_BT601_LIMITED = YuvColour::Bt601Limited,
    CLEARLANE_BT601_FULL = YuvColour::Bt601Full,
    CLEARLANE_BT709_LIMITED = YuvColour::Bt709Limited
);

/// A picture, as the camera's buffer has it. It is read during the call and not copied.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_frame {
    /// sizeof(clearlane_frame).
    pub size: usize,
    /// The first byte.
    pub pixels: *const u8,
    /// Bytes at `pixels`.
    pub length: usize,
    /// Bytes from one row's start to the next.
    pub stride: usize,
    /// Pixels a row, 1 to 32768.
    pub width: u32,
    /// Rows, 1 to 32768.
    pub height: u32,
    /// How the pixels lie in memory.
    pub format: clearlane_pixel_format,
    /// What YUV samples mean; no effect on other formats.
    pub colour: clearlane_yuv_colour,
    /// The chroma plane of an NV12 frame in two buffers; NULL: it follows the luma in `pixels`, with the same stride.
    pub chroma: *const u8,
    /// Bytes at `chroma`.
    pub chroma_length: usize,
    /// Bytes from one row of `chroma` to the next.
    pub chroma_stride: usize,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_frame {
    const NAME: &'static str = "clearlane_frame";
    const LEAST: usize = offset_of!(Self, chroma);
}

/// # Safety
/// `pointer` is null or points to a frame whose pixels are readable for their length; all outlive the call.
pub(crate) unsafe fn frame<'a>(pointer: *const clearlane_frame, name: &str) -> Result<Frame<'a>, Failure> {
    // SAFETY: the caller's promise.
    unsafe { of(&input(pointer, name)?, name) }
}

/// # Safety
/// `pointer` points to `count` frames as [`frame`] asks, or is null where `count` is 0.
pub(crate) unsafe fn frames<'a>(
    pointer: *const clearlane_frame,
    count: usize,
    name: &str,
) -> Result<Vec<Frame<'a>>, Failure> {
    // SAFETY: the caller's promise.
    let given = unsafe { inputs(pointer, count, name) }?;
    // SAFETY: the caller's promise about each frame's pixels.
    given.iter().enumerate().map(|(index, frame)| unsafe { of(frame, &format!("{name}[{index}]")) }).collect()
}

/// # Safety
/// The frame's pixels are readable for their length and outlive the call.
unsafe fn of<'a>(frame: &clearlane_frame, name: &str) -> Result<Frame<'a>, Failure> {
    let refused = |error: FrameError| Failure::new(CLEARLANE_FRAME, format!("`{name}`: {error}"));
    let plane = |pointer: *const u8, length, field| -> Result<&'a [u8], Failure> {
        let name = format!("{name}.{field}");
        checked(pointer, &name)?;
        // SAFETY: the caller's promise about each plane's bytes.
        unsafe { list(pointer, length, &name) }
    };
    let (format, colour) = (format(frame.format)?, colour(frame.colour)?);
    let pixels = plane(frame.pixels, frame.length, "pixels")?;
    let (width, height) = (frame.width, frame.height);
    let given = if frame.chroma.is_null() {
        Frame::new(format, width, height, frame.stride, pixels)
    } else if format == PixelFormat::Nv12 {
        let chroma = plane(frame.chroma, frame.chroma_length, "chroma")?;
        Frame::nv12(width, height, (pixels, frame.stride), (chroma, frame.chroma_stride))
    } else {
        return Err(Failure::argument(format!("`{name}.chroma` is for CLEARLANE_NV12 alone: leave it NULL")));
    };
    Ok(given.map_err(refused)?.with_yuv_colour(colour))
}
