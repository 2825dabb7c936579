//! Pictures as gate cameras give them: borrowed where possible, in the camera's own pixel format.

mod deferred;
mod format;
mod pixels;
mod planes;
mod yuv;

use std::borrow::Cow;
use std::sync::Arc;

use clearlane_infer::Wiped;
pub(crate) use deferred::Deferred;
pub(crate) use format::Layout;
pub use format::{PixelFormat, YuvColour};
pub use pixels::Pixels;
use pixels::Source;
use planes::Plane;
pub(crate) use yuv::YuvToRgb;

use crate::decode::JpegPicture;
use crate::geometry::{BoundingBox, Similarity};
use crate::rotation::Rotation;

/// The largest width or height of a [`Frame`], in pixels.
pub const MAX_SIDE: u32 = 32_768;

/// A picture: width, height, stride and pixel format over borrowed or owned bytes. Owned ones are wiped when the frame is
/// dropped; borrowed ones are the camera's.
///
/// Samples of 16 bits are rounded to 8, and the two chroma planes of [`PixelFormat::I420`] become one, in memory of the frame's
/// own; all else is read where it lies. A frame may have a [`Rotation`]: its width, its height and all coordinates are those
/// of the upright picture, and nothing is copied for it.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    format: PixelFormat,
    layout: Layout,
    colour: YuvColour,
    rotation: Rotation,
    /// In memory.
    width: u32,
    height: u32,
    packed: Plane<'a>,
    chroma: Option<Plane<'a>>,
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
    /// [`PixelFormat::Nv12`] and [`PixelFormat::P010`] take both planes from one buffer: `stride × height` bytes of luma, then
    /// the chroma plane with the same stride (of NV12 rounded up to even). [`PixelFormat::I420`] takes its three from one: the
    /// planes of U and of V have half the stride, rounded up. For NV12 in two buffers see [`Frame::nv12`].
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
        let layout = match format {
            PixelFormat::Rgb8 => Layout::Packed3 { blue_first: false },
            PixelFormat::Bgr8 => Layout::Packed3 { blue_first: true },
            PixelFormat::Rgba8 => Layout::Packed4 { blue_first: false },
            PixelFormat::Bgra8 => Layout::Packed4 { blue_first: true },
            PixelFormat::Yuyv => Layout::Pairs { chroma_first: false },
            PixelFormat::Uyvy => Layout::Pairs { chroma_first: true },
            PixelFormat::Gray8 | PixelFormat::Gray16 => Layout::Gray,
            PixelFormat::Nv12 | PixelFormat::I420 | PixelFormat::P010 => {
                return planes::of_one_buffer(format, width, height, stride, data);
            }
        };
        let mut packed = Plane::new(data, stride, format.row_bytes(width), height)?;
        if format == PixelFormat::Gray16 {
            // 65,535 is 255 times 257.
            packed = packed.rounded(width as usize, height, |sample| ((u32::from(sample) + 128) / 257) as u8);
        }
        Ok(Self::of(format, layout, width, height, packed, None))
    }

    /// An NV12 frame from two planes, each with its stride in bytes.
    pub fn nv12(
        width: u32,
        height: u32,
        (luma, luma_stride): (impl Into<Cow<'a, [u8]>>, usize),
        (chroma, chroma_stride): (impl Into<Cow<'a, [u8]>>, usize),
    ) -> Result<Self, FrameError> {
        let (luma, chroma) = (Pixels::from(luma.into()), Pixels::from(chroma.into()));
        check_size(width, height)?;
        let luma = Plane::new(luma, luma_stride, width as usize, height)?;
        let chroma = Plane::new(chroma, chroma_stride, 2 * width.div_ceil(2) as usize, height.div_ceil(2))?;
        Ok(Self::of(PixelFormat::Nv12, Layout::Biplanar, width, height, luma, Some(chroma)))
    }

    fn of(
        format: PixelFormat,
        layout: Layout,
        width: u32,
        height: u32,
        packed: Plane<'a>,
        chroma: Option<Plane<'a>>,
    ) -> Self {
        let (colour, rotation) = (YuvColour::default(), Rotation::None);
        Self { format, layout, colour, rotation, width, height, packed, chroma }
    }

    /// A frame of a JPEG, whose pixels are made when they are looked at. Its sides are such as a frame may have.
    pub(crate) fn deferred(picture: JpegPicture) -> Frame<'static> {
        let [width, height] = [picture.width(), picture.height()];
        Frame::packed_rgb(width, height, Pixels(Source::Deferred(Arc::new(Deferred::new(picture)))))
    }

    /// As [`Frame::rgb8`], of as many bytes as the sides say.
    fn packed_rgb(width: u32, height: u32, data: Pixels<'a>) -> Self {
        debug_assert_eq!(data.count(), 3 * width as usize * height as usize, "a row has three bytes a pixel");
        let packed = Plane { data, stride: 3 * width as usize };
        Self::of(PixelFormat::Rgb8, Layout::Packed3 { blue_first: false }, width, height, packed, None)
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

    /// The same frame of a camera that is mounted so that its pictures have to be turned by `rotation` to stand upright.
    #[must_use]
    pub fn with_rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// By how much the frame has to be turned to stand upright.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// Pixels a row of the upright picture.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.rotation.turned([self.width, self.height])[0]
    }

    /// Rows of the upright picture.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.rotation.turned([self.width, self.height])[1]
    }

    /// Pixels a row, and rows, as they lie in memory.
    pub(crate) fn size_in_memory(&self) -> [u32; 2] {
        [self.width, self.height]
    }

    /// From upright coordinates to those in memory. None where they are the same.
    pub(crate) fn to_memory(&self) -> Option<Similarity> {
        (self.rotation != Rotation::None).then(|| self.rotation.to_memory(self.size_in_memory()))
    }

    /// The same frame over the same bytes.
    pub(crate) fn view(&self) -> Frame<'_> {
        let &Frame { format, layout, colour, rotation, width, height, ref packed, ref chroma } = self;
        let (packed, chroma) = (packed.view(), chroma.as_ref().map(Plane::view));
        Frame { format, layout, colour, rotation, width, height, packed, chroma }
    }

    /// A frame of the same picture in no fewer than `size` upright pixels and not in many more, where one is made more cheaply than
    /// all pixels are.
    pub(crate) fn reduced(&self, size: [usize; 2]) -> Option<Frame<'static>> {
        let Source::Deferred(picture) = &self.packed.data.0 else { return None };
        let ([width, height], rgb) = picture.reduced(self.rotation.inverse().turned(size))?;
        Some(Frame { rotation: self.rotation, ..Frame::packed_rgb(width, height, Pixels(Source::Owned(rgb))) })
    }

    /// Whether all pixels lie in memory.
    #[cfg(test)]
    pub(crate) fn is_made(&self) -> bool {
        !matches!(&self.packed.data.0, Source::Deferred(picture) if !picture.is_made())
    }

    /// Says that no more than a rectangle of the frame as it lies in memory will be looked at from now on. All else is there as
    /// well, at the price of all pixels.
    pub(crate) fn look_around(&self, rectangle: BoundingBox) {
        let Source::Deferred(picture) = &self.packed.data.0 else { return };
        let BoundingBox { x0, y0, x1, y1 } = rectangle;
        let range = |from: f32, to: f32, side: u32| {
            // A cast gives 0 for what is less. Rows are read from even columns on.
            let (from, to) = (from.floor() as u32 & !1, (to.ceil() as u32).saturating_add(1).min(side));
            (from, to.saturating_sub(from))
        };
        let ((x, width), (y, height)) = (range(x0, x1, self.width), range(y0, y1, self.height));
        if width > 0 && height > 0 {
            picture.make([x, y], [width, height]);
        }
    }

    /// Where a part of the upright picture lies in memory: its first column and row there, and its size.
    pub(crate) fn part_in_memory(&self, [x, y]: [u32; 2], [width, height]: [u32; 2]) -> ([u32; 2], [u32; 2]) {
        let size = self.size_in_memory().map(|side| side as usize);
        let corners =
            [[x, y], [x + width - 1, y + height - 1]].map(|at| self.rotation.place(size, at.map(|at| at as usize)));
        let first = [0, 1].map(|axis| corners[0][axis].min(corners[1][axis]) as u32);
        (first, self.rotation.turned([width, height]))
    }

    /// A part of the frame, over the same bytes and of the same rotation: from an even column and row in memory on. It must lie
    /// within the frame.
    pub(crate) fn window(&self, [x, y]: [u32; 2], [width, height]: [u32; 2]) -> Frame<'_> {
        debug_assert!(x.is_multiple_of(2) && y.is_multiple_of(2), "pairs of pixels share their chroma");
        debug_assert!(width > 0 && x + width <= self.width && height > 0 && y + height <= self.height);
        let column = match self.layout {
            Layout::Packed3 { .. } => 3 * x,
            Layout::Packed4 { .. } => 4 * x,
            Layout::Gray | Layout::Biplanar => x,
            Layout::Pairs { .. } => 2 * x,
        };
        Frame {
            format: self.format,
            layout: self.layout,
            colour: self.colour,
            rotation: self.rotation,
            width,
            height,
            packed: self.packed.from(column as usize, y),
            chroma: self.chroma.as_ref().map(|chroma| chroma.from(x as usize, y / 2)),
        }
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

    /// How the bytes that are worked on lie.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// The whole upright picture as packed RGB, three bytes a pixel, without padding. Borrowed where it lies so already.
    #[must_use]
    pub fn to_rgb8(&self) -> Pixels<'_> {
        let size = [self.width as usize, self.height as usize];
        let upright = self.rotation == Rotation::None;
        if upright && self.layout == (Layout::Packed3 { blue_first: false }) {
            return self.packed.compact(3 * size[0], self.height);
        }
        let mut rgb = Wiped::with_capacity(3 * size[0] * size[1]);
        if upright {
            let mut pixels = Wiped::zeroed(size[0]);
            for y in 0..size[1] {
                self.row(y, 0, &mut pixels);
                pixels.iter().for_each(|&[r, g, b, _]| rgb.extend_from_slice(&[r, g, b]));
            }
        } else {
            let mut pixels = Wiped::zeroed(size[0] * size[1]);
            for (y, row) in pixels.chunks_exact_mut(size[0]).enumerate() {
                self.row(y, 0, row);
            }
            self.rotation.upright(&pixels, size, |[r, g, b, _]: [u8; 4]| rgb.extend_from_slice(&[r, g, b]));
        }
        Pixels(Source::Owned(rgb))
    }

    /// As [`Frame::to_rgb8`], in memory of its own, which nobody wipes from now on: without a copy where it lies so already.
    #[must_use]
    pub fn into_rgb8(self) -> Vec<u8> {
        let row = 3 * self.width as usize;
        let lies_so = self.rotation == Rotation::None
            && self.layout == (Layout::Packed3 { blue_first: false })
            && self.packed.stride == row;
        if !lies_so {
            return self.to_rgb8().into_owned();
        }
        let mut rgb = self.packed.data.into_owned();
        rgb.truncate(row * self.height as usize);
        rgb
    }

    /// The luma of each row in memory, one byte a pixel: as the camera gave it, or of RGB by ITU-R BT.601. Taken row by row, it
    /// costs no memory but a row's. No rotation is applied.
    pub fn luma_rows(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        /// In 1/256.
        fn luma([r, g, b]: [u8; 3]) -> u8 {
            ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b)) >> 8) as u8
        }
        let ordered = |[a, b, c]: [u8; 3], blue_first| if blue_first { [c, b, a] } else { [a, b, c] };
        (0..self.height as usize).map(move |y| {
            let row = self.packed_row(y);
            match self.layout {
                Layout::Gray | Layout::Biplanar => Cow::Borrowed(row),
                Layout::Packed3 { blue_first } => {
                    row.as_chunks().0.iter().map(|&rgb| luma(ordered(rgb, blue_first))).collect()
                }
                Layout::Packed4 { blue_first } => {
                    row.as_chunks().0.iter().map(|&[a, b, c, _]| luma(ordered([a, b, c], blue_first))).collect()
                }
                // In a row of odd width the last pair has one pixel.
                Layout::Pairs { chroma_first } => {
                    let luma = row.iter().skip(usize::from(chroma_first)).step_by(2);
                    luma.take(self.width as usize).copied().collect()
                }
            }
        })
    }

    /// The RGB of the pixels of a row in memory from column `x` on, which must be even; the fourth byte is 0.
    #[inline(always)]
    pub(crate) fn row(&self, y: usize, x: usize, out: &mut [[u8; 4]]) {
        debug_assert!(x.is_multiple_of(2), "pairs of pixels share their chroma");
        if let Source::Deferred(picture) = &self.packed.data.0
            && let Some(row) = picture.row(y, x, out.len())
        {
            for (out, &[r, g, b]) in out.iter_mut().zip(row) {
                *out = [r, g, b, 0];
            }
            return;
        }
        let row = self.packed_row(y);
        match self.layout {
            Layout::Packed3 { blue_first: false } => {
                for (out, &[r, g, b]) in out.iter_mut().zip(row[3 * x..].as_chunks().0) {
                    *out = [r, g, b, 0];
                }
            }
            Layout::Packed3 { blue_first: true } => {
                for (out, &[b, g, r]) in out.iter_mut().zip(row[3 * x..].as_chunks().0) {
                    *out = [r, g, b, 0];
                }
            }
            Layout::Packed4 { blue_first: false } => {
                for (out, &[r, g, b, _]) in out.iter_mut().zip(row[4 * x..].as_chunks().0) {
                    *out = [r, g, b, 0];
                }
            }
            Layout::Packed4 { blue_first: true } => {
                for (out, &[b, g, r, _]) in out.iter_mut().zip(row[4 * x..].as_chunks().0) {
                    *out = [r, g, b, 0];
                }
            }
            Layout::Gray => {
                for (out, &value) in out.iter_mut().zip(&row[x..]) {
                    *out = [value, value, value, 0];
                }
            }
            Layout::Biplanar => {
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
            Layout::Pairs { chroma_first: false } => self.pairs(&row[2 * x..], out, |pair| pair),
            Layout::Pairs { chroma_first: true } => {
                self.pairs(&row[2 * x..], out, |[u, first, v, second]| [first, u, second, v]);
            }
        }
    }

    /// Pixels of pairs, which `ordered` brings into the order luma, U, luma, V.
    #[inline(always)]
    fn pairs(&self, row: &[u8], out: &mut [[u8; 4]], ordered: impl Fn([u8; 4]) -> [u8; 4]) {
        let convert = YuvToRgb::new(self.colour);
        let (blocks, rest) = out.as_chunks_mut();
        let (pairs, rest_pairs) = row.as_chunks::<4>().0.split_at(blocks.len() * YuvToRgb::BLOCK / 2);
        for (out, pairs) in blocks.iter_mut().zip(pairs.as_chunks::<{ YuvToRgb::BLOCK / 2 }>().0) {
            let (mut luma, mut chroma) = ([0; YuvToRgb::BLOCK], [0; YuvToRgb::BLOCK]);
            for (at, &pair) in pairs.iter().enumerate() {
                let [first, u, second, v] = ordered(pair);
                (luma[2 * at], luma[2 * at + 1]) = (first, second);
                (chroma[2 * at], chroma[2 * at + 1]) = (u, v);
            }
            convert.block(out, &luma, &chroma);
        }
        for (out, &pair) in rest.chunks_mut(2).zip(rest_pairs) {
            let [first, u, second, v] = ordered(pair);
            convert.pair(out, &[first, second], u, v);
        }
    }

    /// A row of the packed (or luma) plane, without padding.
    #[inline]
    pub(crate) fn packed_row(&self, y: usize) -> &[u8] {
        let width = self.width as usize;
        let bytes = match self.layout {
            Layout::Packed3 { .. } => 3 * width,
            Layout::Packed4 { .. } => 4 * width,
            Layout::Gray | Layout::Biplanar => width,
            Layout::Pairs { .. } => 4 * width.div_ceil(2),
        };
        &self.packed.data[y * self.packed.stride..][..bytes]
    }

    /// A row of the chroma plane, without padding; empty in other layouts.
    #[inline]
    pub(crate) fn chroma_row(&self, y: usize) -> &[u8] {
        let row = 2 * self.width.div_ceil(2) as usize;
        self.chroma.as_ref().map_or(&[], |plane| &plane.data[y * plane.stride..][..row])
    }
}

pub(crate) fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    let fits = |side| (1..=MAX_SIDE).contains(&side);
    if fits(width) && fits(height) { Ok(()) } else { Err(FrameError::Size { width, height }) }
}
