//! Pictures as gate cameras give them: borrowed where possible, in the camera's own pixel format.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use clearlane_infer::Wiped;

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

/// A picture with 8-bit samples: width, height, stride and pixel format over borrowed or owned bytes. Owned ones are wiped when
/// the frame is dropped; borrowed ones are the camera's.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    format: PixelFormat,
    colour: YuvColour,
    width: u32,
    height: u32,
    packed: Plane<'a>,
    chroma: Option<Plane<'a>>,
}

/// Bytes of a picture. Owned ones are wiped when they are dropped.
#[derive(Clone)]
pub struct Pixels<'a>(Source<'a>);

#[derive(Clone)]
enum Source<'a> {
    Borrowed(&'a [u8]),
    Owned(Wiped<u8>),
}

impl Pixels<'_> {
    /// The bytes in memory of their own, which nobody wipes from now on.
    #[must_use]
    pub fn into_owned(self) -> Vec<u8> {
        match self.0 {
            Source::Borrowed(bytes) => bytes.to_vec(),
            Source::Owned(bytes) => bytes.into_vec(),
        }
    }
}

impl<'a> From<Cow<'a, [u8]>> for Pixels<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => Self(Source::Borrowed(bytes)),
            Cow::Owned(bytes) => Self(Source::Owned(bytes.into())),
        }
    }
}

impl Deref for Pixels<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Borrowed(bytes) => bytes,
            Source::Owned(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Pixels<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// No face in any log: the bytes are counted, not shown.
impl fmt::Debug for Pixels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pixels").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Plane<'a> {
    data: Pixels<'a>,
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
        // Bytes that are refused are wiped as well.
        let data = Pixels::from(data.into());
        check_size(width, height)?;
        if format != PixelFormat::Nv12 {
            let packed = Plane::new(data, stride, row_bytes(format, width), height)?;
            return Ok(Self { format, colour: YuvColour::default(), width, height, packed, chroma: None });
        }
        let luma_bytes = stride.saturating_mul(height as usize);
        if data.len() < luma_bytes {
            return Err(FrameError::TooShort { len: data.len(), needed: luma_bytes });
        }
        let (luma, chroma) = match data.0 {
            Source::Borrowed(data) => (Source::Borrowed(&data[..luma_bytes]), Source::Borrowed(&data[luma_bytes..])),
            Source::Owned(mut data) => {
                let chroma = Wiped::from(data[luma_bytes..].to_vec());
                data.truncate(luma_bytes);
                (Source::Owned(data), Source::Owned(chroma))
            }
        };
        Self::of_planes(width, height, (Pixels(luma), stride), (Pixels(chroma), stride.next_multiple_of(2)))
    }

    /// An NV12 frame from two planes, each with its stride in bytes.
    pub fn nv12(
        width: u32,
        height: u32,
        (luma, luma_stride): (impl Into<Cow<'a, [u8]>>, usize),
        (chroma, chroma_stride): (impl Into<Cow<'a, [u8]>>, usize),
    ) -> Result<Self, FrameError> {
        let (luma, chroma) = (Pixels::from(luma.into()), Pixels::from(chroma.into()));
        Self::of_planes(width, height, (luma, luma_stride), (chroma, chroma_stride))
    }

    fn of_planes(
        width: u32,
        height: u32,
        (luma, luma_stride): (Pixels<'a>, usize),
        (chroma, chroma_stride): (Pixels<'a>, usize),
    ) -> Result<Self, FrameError> {
        check_size(width, height)?;
        let packed = Plane::new(luma, luma_stride, width as usize, height)?;
        let chroma_row = 2 * width.div_ceil(2) as usize;
        let chroma = Plane::new(chroma, chroma_stride, chroma_row, height.div_ceil(2))?;
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
    pub fn to_rgb8(&self) -> Pixels<'_> {
        let width = self.width as usize;
        if self.format == PixelFormat::Rgb8 {
            return self.packed.compact(3 * width, self.height);
        }
        let mut rgb = Wiped::zeroed(3 * width * self.height as usize);
        let mut pixels = Wiped::zeroed(width);
        for (y, row) in rgb.chunks_exact_mut(3 * width).enumerate() {
            self.row(y, 0, &mut pixels);
            for (out, [r, g, b, _]) in row.chunks_exact_mut(3).zip(&*pixels) {
                out.copy_from_slice(&[*r, *g, *b]);
            }
        }
        Pixels(Source::Owned(rgb))
    }

    /// The luma of each row, one byte a pixel: as the camera gave it, or of RGB by ITU-R BT.601. Taken row by row, it costs
    /// no memory but a row's.
    pub fn luma_rows(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        /// In 1/256.
        fn luma([r, g, b]: [u8; 3]) -> u8 {
            ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b)) >> 8) as u8
        }
        (0..self.height as usize).map(|y| {
            let row = self.packed_row(y);
            match self.format {
                PixelFormat::Gray8 | PixelFormat::Nv12 => Cow::Borrowed(row),
                PixelFormat::Rgb8 => row.as_chunks().0.iter().map(|&rgb| luma(rgb)).collect(),
                PixelFormat::Bgr8 => row.as_chunks().0.iter().map(|&[b, g, r]| luma([r, g, b])).collect(),
                // In a row of odd width the last pair has one pixel.
                PixelFormat::Yuyv => {
                    row.as_chunks().0.iter().take(self.width as usize).map(|&[luma, _]| luma).collect()
                }
            }
        })
    }

    /// The RGB of a row's pixels from column `x` on, which must be even; the fourth byte is 0.
    #[inline(always)]
    pub(crate) fn row(&self, y: usize, x: usize, out: &mut [[u8; 4]]) {
        debug_assert!(x.is_multiple_of(2), "pairs of pixels share their chroma");
        let row = self.packed_row(y);
        match self.format {
            PixelFormat::Rgb8 => {
                for (out, &[r, g, b]) in out.iter_mut().zip(row[3 * x..].as_chunks().0) {
                    *out = [r, g, b, 0];
                }
            }
            PixelFormat::Bgr8 => {
                for (out, &[b, g, r]) in out.iter_mut().zip(row[3 * x..].as_chunks().0) {
                    *out = [r, g, b, 0];
                }
            }
            PixelFormat::Gray8 => {
                for (out, &value) in out.iter_mut().zip(&row[x..]) {
                    *out = [value, value, value, 0];
                }
            }
            PixelFormat::Nv12 => {
                let convert = YuvToRgb::new(self.colour);
                let (luma, chroma) = (&row[x..], &self.chroma_row(y / 2)[x..]);
                let (blocks, rest) = out.as_chunks_mut();
                for ((out, luma), chroma) in blocks.iter_mut().zip(luma.as_chunks().0).zip(chroma.as_chunks().0) {
                    convert.block(out, luma, chroma);
                }
                let done = blocks.len() * YuvToRgb::BLOCK;
                let pairs = luma[done..].chunks(2).zip(chroma[done..].as_chunks().0);
                for (out, (luma, &[u, v])) in rest.chunks_mut(2).zip(pairs) {
                    convert.pair(out, luma, u, v);
                }
            }
            PixelFormat::Yuyv => {
                let convert = YuvToRgb::new(self.colour);
                let (blocks, rest) = out.as_chunks_mut();
                let (pairs, rest_pairs) = row[2 * x..].as_chunks::<4>().0.split_at(blocks.len() * YuvToRgb::BLOCK / 2);
                for (out, pairs) in blocks.iter_mut().zip(pairs.as_chunks::<{ YuvToRgb::BLOCK / 2 }>().0) {
                    let (mut luma, mut chroma) = ([0; YuvToRgb::BLOCK], [0; YuvToRgb::BLOCK]);
                    for (pair, &[first, u, second, v]) in pairs.iter().enumerate() {
                        (luma[2 * pair], luma[2 * pair + 1]) = (first, second);
                        (chroma[2 * pair], chroma[2 * pair + 1]) = (u, v);
                    }
                    convert.block(out, &luma, &chroma);
                }
                for (out, &[first, u, second, v]) in rest.chunks_mut(2).zip(rest_pairs) {
                    convert.pair(out, &[first, second], u, v);
                }
            }
        }
    }

    /// A row of the packed (or luma) plane, without padding.
    #[inline]
    pub(crate) fn packed_row(&self, y: usize) -> &[u8] {
        &self.packed.data[y * self.packed.stride..][..row_bytes(self.format, self.width)]
    }

    /// A row of an NV12 frame's chroma plane, without padding; empty in other formats.
    #[inline]
    pub(crate) fn chroma_row(&self, y: usize) -> &[u8] {
        let row = 2 * self.width.div_ceil(2) as usize;
        self.chroma.as_ref().map_or(&[], |plane| &plane.data[y * plane.stride..][..row])
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

    /// Pixels that are converted side by side.
    const BLOCK: usize = 16;

    /// A block of pixels; each pair of them has its U and V in `chroma`.
    #[inline(always)]
    fn block(self, out: &mut [[u8; 4]; Self::BLOCK], luma: &[u8; Self::BLOCK], chroma: &[u8; Self::BLOCK]) {
        // Each byte twice, in arithmetic on pairs, which the compiler carries out for all of them at once.
        let (mut u, mut v) = ([0; Self::BLOCK], [0; Self::BLOCK]);
        let twice = u.as_chunks_mut().0.iter_mut().zip(v.as_chunks_mut().0);
        for ((u, v), pair) in twice.zip(chroma.as_chunks().0) {
            let pair = u16::from_le_bytes(*pair);
            *u = ((pair & 0xFF) * 0x0101).to_le_bytes();
            *v = ((pair >> 8) * 0x0101).to_le_bytes();
        }
        for (((out, &y), u), v) in out.iter_mut().zip(luma).zip(u).zip(v) {
            *out = self.pixel(y, u, v);
        }
    }

    /// One or two pixels that share their chroma.
    #[inline(always)]
    fn pair(self, out: &mut [[u8; 4]], luma: &[u8], u: u8, v: u8) {
        for (out, &y) in out.iter_mut().zip(luma) {
            *out = self.pixel(y, u, v);
        }
    }

    #[inline(always)]
    fn pixel(self, y: u8, u: u8, v: u8) -> [u8; 4] {
        let luma = (i32::from(y) - self.black) * self.y + 32_768;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let level = |chroma: i32| ((luma + chroma) >> 16).clamp(0, 255) as u8;
        [level(self.v_to_r * v), level(self.u_to_g * u + self.v_to_g * v), level(self.u_to_b * u), 0]
    }

    /// The same in floats and unrounded, for pixels that resizing has made of several.
    #[inline(always)]
    pub(crate) fn unrounded(self, y: f32, u: f32, v: f32) -> [f32; 3] {
        const ONE: f32 = 1.0 / 65_536.0;
        let luma = (y - self.black as f32) * (self.y as f32 * ONE);
        let (u, v) = (u - 128.0, v - 128.0);
        let factor = |fixed: i32| fixed as f32 * ONE;
        let red = luma + factor(self.v_to_r) * v;
        let green = luma + factor(self.u_to_g) * u + factor(self.v_to_g) * v;
        let blue = luma + factor(self.u_to_b) * u;
        [red.clamp(0.0, 255.0), green.clamp(0.0, 255.0), blue.clamp(0.0, 255.0)]
    }
}

impl<'a> Plane<'a> {
    fn new(data: Pixels<'a>, stride: usize, row: usize, rows: u32) -> Result<Self, FrameError> {
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

    fn compact(&self, row: usize, rows: u32) -> Pixels<'_> {
        let rows = rows as usize;
        if self.stride == row {
            return Pixels(Source::Borrowed(&self.data[..row * rows]));
        }
        let mut packed = Wiped::with_capacity(row * rows);
        (0..rows).for_each(|y| packed.extend_from_slice(&self.data[y * self.stride..][..row]));
        Pixels(Source::Owned(packed))
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

pub(crate) fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    let fits = |side| (1..=MAX_SIDE).contains(&side);
    if fits(width) && fits(height) { Ok(()) } else { Err(FrameError::Size { width, height }) }
}
