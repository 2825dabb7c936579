//! Pictures as gate cameras give them: borrowed where possible, in the camera's own pixel format.

use std::borrow::Cow;
use std::fmt;

/// The largest width or height of a [`Frame`], in pixels.
pub const MAX_SIDE: u32 = 32_768;

/// How a frame's pixels lie in memory. Every format has 8 bits a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Three bytes a pixel: red, green, blue.
    Rgb8,
    /// Three bytes a pixel: blue, green, red.
    Bgr8,
    /// One byte a pixel.
    Gray8,
    /// A plane of luma, then a plane of interleaved U and V at half the width and half the height.
    Nv12,
    /// Two pixels in four bytes: Y0, U, Y1, V.
    Yuyv,
}

/// Which YUV a camera means: the matrix and the range of NV12 and YUYV frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum YuvColour {
    /// ITU-R BT.601, luma 16–235: most USB cameras, and OpenCV's meaning of NV12 and YUYV.
    #[default]
    Bt601Limited,
    /// ITU-R BT.601, luma 0–255: JPEG and MJPEG.
    Bt601Full,
    /// ITU-R BT.709, luma 16–235: most HD video.
    Bt709Limited,
}

/// A picture with 8-bit samples: width, height, stride and pixel format over borrowed or owned bytes.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    format: PixelFormat,
    colour: YuvColour,
    width: u32,
    height: u32,
    packed: Plane<'a>,
    chroma: Option<Plane<'a>>,
}

#[derive(Clone)]
struct Plane<'a> {
    data: Cow<'a, [u8]>,
    stride: usize,
}

/// No face in any log: the bytes are counted, not shown.
impl fmt::Debug for Plane<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("bytes", &self.data.len()).field("stride", &self.stride).finish()
    }
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A side is zero or over [`MAX_SIDE`].
    #[error("a frame of {width} x {height} pixels: each side must be 1 to {MAX_SIDE}")]
    Size {
        /// The width given.
        width: u32,
        /// The height given.
        height: u32,
    },
    /// A row of pixels does not fit into the stride.
    #[error("a stride of {stride} bytes is too small: a row of this frame takes {row}")]
    Stride {
        /// The stride given, in bytes.
        stride: usize,
        /// The bytes that one row takes.
        row: usize,
    },
    /// The buffer ends before the last pixel.
    #[error("{len} bytes are too few for this frame: it takes {needed}")]
    TooShort {
        /// The buffer's length.
        len: usize,
        /// The bytes that the geometry asks for.
        needed: usize,
    },
}

impl<'a> Frame<'a> {
    /// A frame over `data`, borrowed or owned, with `stride` bytes from one row's start to the next.
    ///
    /// [`PixelFormat::Nv12`] takes both planes from one buffer: `stride × height` bytes of luma, then the chroma plane
    /// with the same stride (rounded up to even). For planes in two buffers see [`Frame::nv12`].
    pub fn new(
        format: PixelFormat,
        width: u32,
        height: u32,
        stride: usize,
        data: impl Into<Cow<'a, [u8]>>,
    ) -> Result<Self, FrameError> {
        check_size(width, height)?;
        let data = data.into();
        if format != PixelFormat::Nv12 {
            let packed = Plane::new(data, stride, row_bytes(format, width), height)?;
            return Ok(Self { format, colour: YuvColour::default(), width, height, packed, chroma: None });
        }
        let luma_bytes = stride.saturating_mul(height as usize);
        if data.len() < luma_bytes {
            return Err(FrameError::TooShort { len: data.len(), needed: luma_bytes });
        }
        let (luma, chroma): (Cow<'a, [u8]>, Cow<'a, [u8]>) = match data {
            Cow::Borrowed(data) => (data[..luma_bytes].into(), data[luma_bytes..].into()),
            Cow::Owned(mut data) => {
                let chroma = data.split_off(luma_bytes);
                (data.into(), chroma.into())
            }
        };
        Self::nv12(width, height, (luma, stride), (chroma, stride.next_multiple_of(2)))
    }

    /// An NV12 frame from two planes, each with its stride in bytes.
    pub fn nv12(
        width: u32,
        height: u32,
        (luma, luma_stride): (impl Into<Cow<'a, [u8]>>, usize),
        (chroma, chroma_stride): (impl Into<Cow<'a, [u8]>>, usize),
    ) -> Result<Self, FrameError> {
        check_size(width, height)?;
        let packed = Plane::new(luma.into(), luma_stride, width as usize, height)?;
        let chroma_row = 2 * width.div_ceil(2) as usize;
        let chroma = Plane::new(chroma.into(), chroma_stride, chroma_row, height.div_ceil(2))?;
        let colour = YuvColour::default();
        Ok(Self { format: PixelFormat::Nv12, colour, width, height, packed, chroma: Some(chroma) })
    }

    /// An RGB frame without padding between its rows.
    pub fn rgb8(width: u32, height: u32, data: impl Into<Cow<'a, [u8]>>) -> Result<Self, FrameError> {
        Self::new(PixelFormat::Rgb8, width, height, 3 * width as usize, data)
    }

    /// The same frame with another meaning of its YUV samples. No effect on RGB, BGR and grey frames.
    #[must_use]
    pub fn with_yuv_colour(mut self, colour: YuvColour) -> Self {
        self.colour = colour;
        self
    }

    /// Pixels a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How the pixels lie in memory.
    #[must_use]
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// The meaning of YUV samples.
    #[must_use]
    pub fn yuv_colour(&self) -> YuvColour {
        self.colour
    }

    /// The whole frame as packed RGB, three bytes a pixel, without padding. Borrowed where it lies so already.
    #[must_use]
    pub fn to_rgb8(&self) -> Cow<'_, [u8]> {
        if self.format == PixelFormat::Rgb8 {
            return self.packed();
        }
        let mut rgb = vec![0; 3 * self.width as usize * self.height as usize];
        self.for_pixels(RgbInto(&mut rgb));
        Cow::Owned(rgb)
    }

    /// Calls `visitor` with a function that gives the RGB of a pixel, compiled for this frame's format.
    pub(crate) fn for_pixels<V: PixelVisitor>(&self, visitor: V) -> V::Output {
        let size = (self.width as usize, self.height as usize);
        let (data, stride) = (&*self.packed.data, self.packed.stride);
        match self.format {
            PixelFormat::Rgb8 => visitor.visit(size, |x, y| {
                let at = y * stride + 3 * x;
                [data[at], data[at + 1], data[at + 2]]
            }),
            PixelFormat::Bgr8 => visitor.visit(size, |x, y| {
                let at = y * stride + 3 * x;
                [data[at + 2], data[at + 1], data[at]]
            }),
            PixelFormat::Gray8 => visitor.visit(size, |x, y| [data[y * stride + x]; 3]),
            PixelFormat::Nv12 => {
                let convert = YuvToRgb::new(self.colour);
                let (chroma, chroma_stride) = self.chroma_plane();
                visitor.visit(size, |x, y| {
                    let at = y / 2 * chroma_stride + x / 2 * 2;
                    convert.rgb(data[y * stride + x], chroma[at], chroma[at + 1])
                })
            }
            PixelFormat::Yuyv => {
                let convert = YuvToRgb::new(self.colour);
                visitor.visit(size, |x, y| {
                    let at = y * stride + x / 2 * 4;
                    convert.rgb(data[at + x % 2 * 2], data[at + 1], data[at + 3])
                })
            }
        }
    }

    /// The packed (or luma) plane without padding between its rows. Borrowed where it lies so already.
    pub(crate) fn packed(&self) -> Cow<'_, [u8]> {
        self.packed.compact(row_bytes(self.format, self.width), self.height)
    }

    /// An NV12 frame's chroma plane without padding between its rows; empty in other formats.
    pub(crate) fn chroma(&self) -> Cow<'_, [u8]> {
        let row = 2 * self.width.div_ceil(2) as usize;
        self.chroma.as_ref().map_or_else(Cow::default, |plane| plane.compact(row, self.height.div_ceil(2)))
    }

    /// Only called on NV12 frames, which all have the plane.
    fn chroma_plane(&self) -> (&[u8], usize) {
        self.chroma.as_ref().map_or((&[], 0), |plane| (&plane.data, plane.stride))
    }
}

/// Something done with a frame's pixels, compiled once for each pixel format.
pub(crate) trait PixelVisitor {
    type Output;
    fn visit(self, size: (usize, usize), pixel: impl Fn(usize, usize) -> [u8; 3]) -> Self::Output;
}

struct RgbInto<'a>(&'a mut [u8]);

impl PixelVisitor for RgbInto<'_> {
    type Output = ();

    fn visit(self, (width, _): (usize, usize), pixel: impl Fn(usize, usize) -> [u8; 3]) {
        for (y, row) in self.0.chunks_exact_mut(3 * width).enumerate() {
            for (x, out) in row.chunks_exact_mut(3).enumerate() {
                out.copy_from_slice(&pixel(x, y));
            }
        }
    }
}

/// Integer YUV → RGB with 16 fractional bits. Coefficients from ITU-R BT.601-7 §2.5 and BT.709-6 §3.
#[derive(Clone, Copy)]
pub(crate) struct YuvToRgb {
    black: i32,
    y: i32,
    v_to_r: i32,
    u_to_g: i32,
    v_to_g: i32,
    u_to_b: i32,
}

impl YuvToRgb {
    pub(crate) fn new(colour: YuvColour) -> Self {
        let (red, blue, limited) = match colour {
            YuvColour::Bt601Limited => (0.299, 0.114, true),
            YuvColour::Bt601Full => (0.299, 0.114, false),
            YuvColour::Bt709Limited => (0.2126, 0.0722, true),
        };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = if limited { (16, 255.0 / 219.0, 255.0 / 224.0) } else { (0, 1.0, 1.0) };
        let fixed = |value: f64| (value * 65_536.0).round() as i32;
        Self {
            black,
            y: fixed(luma),
            v_to_r: fixed(chroma * 2.0 * (1.0 - red)),
            u_to_g: fixed(chroma * -2.0 * (1.0 - blue) * blue / green),
            v_to_g: fixed(chroma * -2.0 * (1.0 - red) * red / green),
            u_to_b: fixed(chroma * 2.0 * (1.0 - blue)),
        }
    }

    #[inline]
    pub(crate) fn rgb(self, y: u8, u: u8, v: u8) -> [u8; 3] {
        let luma = (i32::from(y) - self.black) * self.y + 32_768;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let byte = |value: i32| (value >> 16).clamp(0, 255) as u8;
        [byte(luma + self.v_to_r * v), byte(luma + self.u_to_g * u + self.v_to_g * v), byte(luma + self.u_to_b * u)]
    }
}

impl<'a> Plane<'a> {
    fn new(data: Cow<'a, [u8]>, stride: usize, row: usize, rows: u32) -> Result<Self, FrameError> {
        if stride < row {
            return Err(FrameError::Stride { stride, row });
        }
        // The last row may end without its padding.
        let needed = stride.saturating_mul(rows as usize - 1).saturating_add(row);
        if data.len() < needed {
            return Err(FrameError::TooShort { len: data.len(), needed });
        }
        Ok(Self { data, stride })
    }

    fn compact(&self, row: usize, rows: u32) -> Cow<'_, [u8]> {
        let rows = rows as usize;
        if self.stride == row {
            return Cow::Borrowed(&self.data[..row * rows]);
        }
        Cow::Owned((0..rows).flat_map(|y| &self.data[y * self.stride..][..row]).copied().collect())
    }
}

fn row_bytes(format: PixelFormat, width: u32) -> usize {
    let width = width as usize;
    match format {
        PixelFormat::Rgb8 | PixelFormat::Bgr8 => 3 * width,
        PixelFormat::Gray8 | PixelFormat::Nv12 => width,
        PixelFormat::Yuyv => 4 * width.div_ceil(2),
    }
}

fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    let fits = |side| (1..=MAX_SIDE).contains(&side);
    if fits(width) && fits(height) { Ok(()) } else { Err(FrameError::Size { width, height }) }
}
