//! Pictures as the caller's cameras give them.

use std::mem::offset_of;
use std::ptr;

use clearlane::{Frame, FrameError, PixelFormat, Rotation, YuvColour};

use crate::number::numbers;
use crate::pointer::{checked, list};
use crate::sized::{Input, Output, input, inputs};
use crate::status::{CLEARLANE_FRAME, Failure};

/// How a frame's pixels lie in memory, 8 bits a sample where nothing else is said.
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
/// Two pixels in four bytes: U, Y0, V, Y1.
pub const CLEARLANE_UYVY: clearlane_pixel_format = 6;
/// Four bytes a pixel: red, green, blue, and one that is passed over.
pub const CLEARLANE_RGBA8: clearlane_pixel_format = 7;
/// Four bytes a pixel: blue, green, red, and one that is passed over.
pub const CLEARLANE_BGRA8: clearlane_pixel_format = 8;
/// A plane of luma, then planes of U and of V at half the width, the height and the stride.
pub const CLEARLANE_I420: clearlane_pixel_format = 9;
/// As CLEARLANE_NV12 in one buffer, in 16 bits of which the upper 10 are used, the lower byte first.
pub const CLEARLANE_P010: clearlane_pixel_format = 10;
/// 16 bits a pixel, the lower byte first: near infrared.
pub const CLEARLANE_GRAY16: clearlane_pixel_format = 11;

numbers!(
    every format, PixelFormat, "a pixel format",
    CLEARLANE_RGB8 = PixelFormat::Rgb8,
    CLEARLANE_BGR8 = PixelFormat::Bgr8,
    CLEARLANE_GRAY8 = PixelFormat::Gray8,
    CLEARLANE_NV12 = PixelFormat::Nv12,
    CLEARLANE_YUYV = PixelFormat::Yuyv,
    CLEARLANE_UYVY = PixelFormat::Uyvy,
    CLEARLANE_RGBA8 = PixelFormat::Rgba8,
    CLEARLANE_BGRA8 = PixelFormat::Bgra8,
    CLEARLANE_I420 = PixelFormat::I420,
    CLEARLANE_P010 = PixelFormat::P010,
    CLEARLANE_GRAY16 = PixelFormat::Gray16
);

/// By how much a frame is turned clockwise to stand upright: how the camera is mounted.
pub type clearlane_rotation = i32;

/// It stands upright.
pub const CLEARLANE_UPRIGHT: clearlane_rotation = 0;
/// A quarter turn.
pub const CLEARLANE_CLOCKWISE_90: clearlane_rotation = 1;
/// Half a turn.
pub const CLEARLANE_CLOCKWISE_180: clearlane_rotation = 2;
/// Three quarters.
pub const CLEARLANE_CLOCKWISE_270: clearlane_rotation = 3;

numbers!(
    every rotation, Rotation, "a rotation",
    CLEARLANE_UPRIGHT = Rotation::None,
    CLEARLANE_CLOCKWISE_90 = Rotation::Clockwise90,
    CLEARLANE_CLOCKWISE_180 = Rotation::Clockwise180,
    CLEARLANE_CLOCKWISE_270 = Rotation::Clockwise270
);

/// The matrix and the range of frames in a YUV format.
pub type clearlane_yuv_colour = i32;

/// ITU-R BT.601, luma 16 to 235: most USB cameras.
pub const CLEARLANE_BT601_LIMITED: clearlane_yuv_colour = 0;
/// ITU-R BT.601, luma 0 to 255: JPEG and MJPEG.
pub const CLEARLANE_BT601_FULL: clearlane_yuv_colour = 1;
/// ITU-R BT.709, luma 16 to 235: most HD video.
pub const CLEARLANE_BT709_LIMITED: clearlane_yuv_colour = 2;
/// ITU-R BT.709, luma 0 to 255.
pub const CLEARLANE_BT709_FULL: clearlane_yuv_colour = 3;

numbers!(
    every colour, YuvColour, "a YUV colour",
    CLEARLANE_BT601_LIMITED = YuvColour::Bt601Limited,
    CLEARLANE_BT601_FULL = YuvColour::Bt601Full,
    CLEARLANE_BT709_LIMITED = YuvColour::Bt709Limited,
    CLEARLANE_BT709_FULL = YuvColour::Bt709Full
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
    /// How the camera is mounted; all coordinates are those of the upright picture.
    pub rotation: clearlane_rotation,
    /// Not read.
    pub reserved: u32,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_frame {
    const NAME: &'static str = "clearlane_frame";
    const LEAST: usize = offset_of!(Self, chroma);
}

// SAFETY: `repr(C)` and its size first.
unsafe impl Output for clearlane_frame {
    const NAME: &'static str = "clearlane_frame";
    const LEAST: usize = offset_of!(Self, chroma);
}

impl Default for clearlane_frame {
    /// Without pixels, with its size set.
    fn default() -> Self {
        Self {
            size: size_of::<Self>(),
            pixels: ptr::null(),
            length: 0,
            stride: 0,
            width: 0,
            height: 0,
            format: 0,
            colour: CLEARLANE_BT601_LIMITED,
            chroma: ptr::null(),
            chroma_length: 0,
            chroma_stride: 0,
            rotation: CLEARLANE_UPRIGHT,
            reserved: 0,
        }
    }
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
    let (format, colour, rotation) = (format(frame.format)?, colour(frame.colour)?, rotation(frame.rotation)?);
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
    Ok(given.map_err(refused)?.with_yuv_colour(colour).with_rotation(rotation))
}
