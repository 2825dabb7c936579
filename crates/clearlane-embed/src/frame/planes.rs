//! The planes of a frame, and formats that have several of them in one buffer.

use std::fmt;
use std::sync::Arc;

use clearlane_infer::Wiped;

use super::{Frame, FrameError, Layout, PixelFormat, Pixels, Source};

#[derive(Clone)]
pub(super) struct Plane<'a> {
    pub(super) data: Pixels<'a>,
    pub(super) stride: usize,
}

/// No face in any log: the bytes are counted, not shown.
impl fmt::Debug for Plane<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("bytes", &self.data.count()).field("stride", &self.stride).finish()
    }
}

impl<'a> Plane<'a> {
    pub(super) fn new(data: Pixels<'a>, stride: usize, row: usize, rows: u32) -> Result<Self, FrameError> {
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

    /// The same bytes; those that were not made yet, not made.
    pub(super) fn view(&self) -> Plane<'_> {
        let data = match &self.data.0 {
            Source::Deferred(picture) => Source::Deferred(Arc::clone(picture)),
            _ => Source::Borrowed(&self.data),
        };
        Plane { data: Pixels(data), stride: self.stride }
    }

    /// The same bytes without those before a row and a byte of it.
    pub(super) fn from(&self, byte: usize, row: u32) -> Plane<'_> {
        Plane { data: Pixels(Source::Borrowed(&self.data[row as usize * self.stride + byte..])), stride: self.stride }
    }

    /// `count` samples a row of 16 bits each, the lower byte first, as `round` makes them 8, in rows without padding.
    pub(super) fn rounded(&self, count: usize, rows: u32, round: impl Fn(u16) -> u8) -> Plane<'static> {
        let mut rounded = Wiped::zeroed(count * rows as usize);
        for (y, out) in rounded.chunks_exact_mut(count).enumerate() {
            let row = &self.data[y * self.stride..][..2 * count];
            for (out, &sample) in out.iter_mut().zip(row.as_chunks().0) {
                *out = round(u16::from_le_bytes(sample));
            }
        }
        Plane { data: Pixels(Source::Owned(rounded)), stride: count }
    }

    pub(super) fn compact(&self, row: usize, rows: u32) -> Pixels<'_> {
        let rows = rows as usize;
        if self.stride == row {
            return Pixels(Source::Borrowed(&self.data[..row * rows]));
        }
        let mut packed = Wiped::with_capacity(row * rows);
        (0..rows).for_each(|y| packed.extend_from_slice(&self.data[y * self.stride..][..row]));
        Pixels(Source::Owned(packed))
    }
}

/// NV12, P010 or I420 from one buffer: luma, and what follows it.
pub(super) fn of_one_buffer(
    format: PixelFormat,
    width: u32,
    height: u32,
    stride: usize,
    data: Pixels<'_>,
) -> Result<Frame<'_>, FrameError> {
    let luma_bytes = stride.saturating_mul(height as usize);
    if data.len() < luma_bytes {
        return Err(FrameError::TooShort { len: data.len(), needed: luma_bytes });
    }
    let (luma, rest) = split(data, luma_bytes);
    let luma = Plane::new(luma, stride, format.row_bytes(width), height)?;
    let (pairs, rows) = (width.div_ceil(2) as usize, height.div_ceil(2));
    let (luma, chroma) = match format {
        PixelFormat::P010 => {
            let chroma = Plane::new(rest, stride, 4 * pairs, rows)?;
            (luma.rounded(width as usize, height, eight_of_ten), chroma.rounded(2 * pairs, rows, eight_of_ten))
        }
        PixelFormat::I420 => (luma, interleaved(rest, stride.div_ceil(2), pairs, rows)?),
        _ => (luma, Plane::new(rest, stride.next_multiple_of(2), 2 * pairs, rows)?),
    };
    Ok(Frame::of(format, Layout::Biplanar, width, height, luma, Some(chroma)))
}

/// The upper ten bits of a video sample as eight: black and white of ten bits are four times those of eight.
fn eight_of_ten(sample: u16) -> u8 {
    ((sample >> 6) + 2).min(1020).wrapping_shr(2) as u8
}

/// The planes of U and of V, one after the other, as one of pairs.
fn interleaved(data: Pixels<'_>, stride: usize, pairs: usize, rows: u32) -> Result<Plane<'static>, FrameError> {
    let bytes = stride.saturating_mul(rows as usize);
    if data.len() < bytes {
        return Err(FrameError::TooShort { len: data.len(), needed: bytes });
    }
    let (u, v) = split(data, bytes);
    let (u, v) = (Plane::new(u, stride, pairs, rows)?, Plane::new(v, stride, pairs, rows)?);
    let mut both = Wiped::zeroed(2 * pairs * rows as usize);
    for (y, out) in both.chunks_exact_mut(2 * pairs).enumerate() {
        let (u, v) = (&u.data[y * stride..], &v.data[y * stride..]);
        for ((out, &u), &v) in out.as_chunks_mut().0.iter_mut().zip(u).zip(v) {
            *out = [u, v];
        }
    }
    Ok(Plane { data: Pixels(Source::Owned(both)), stride: 2 * pairs })
}

fn split(data: Pixels<'_>, at: usize) -> (Pixels<'_>, Pixels<'_>) {
    match data.0 {
        Source::Borrowed(data) => (Pixels(Source::Borrowed(&data[..at])), Pixels(Source::Borrowed(&data[at..]))),
        owned => {
            let mut data = Wiped::from(Pixels(owned).into_owned());
            let rest = Wiped::from(data[at..].to_vec());
            data.truncate(at);
            (Pixels(Source::Owned(data)), Pixels(Source::Owned(rest)))
        }
    }
}
