//! How large the picture must be that a network sees, so that the smallest face that counts is found in it.
//!
//! The whole frame is looked at in the model's own input first. Where that shows a face that is large enough to be sure of, and of
//! whoever stands beside it, it is done. Otherwise the frame is looked at on finer scales, in tiles where they are large, and
//! whatever is small there once more by itself.

use serde::{Deserialize, Serialize};

use crate::frame::Frame;

/// The smallest face that counts, by the longer side of its box. Smaller ones are neither looked for nor given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmallestFace {
    /// In pixels of the frame; at least 1.
    Pixels(f32),
    /// As a share of the frame's shorter side, in (0, 1].
    Share(f32),
}

impl Default for SmallestFace {
    /// A twentieth: 36 pixels at 1280 × 720, 54 at 1920 × 1080, 108 at 3840 × 2160.
    fn default() -> Self {
        Self::Share(0.05)
    }
}

impl SmallestFace {
    /// One number in the place of both: pixels from 1 on, a share below.
    #[must_use]
    pub fn from_number(size: f32) -> Option<Self> {
        match size {
            pixels if pixels >= 1.0 && pixels.is_finite() => Some(Self::Pixels(pixels)),
            share if share > 0.0 && share < 1.0 => Some(Self::Share(share)),
            _ => None,
        }
    }

    /// In pixels of a frame.
    pub(super) fn pixels(self, frame: &Frame<'_>) -> f32 {
        match self {
            Self::Pixels(pixels) => pixels.max(1.0),
            Self::Share(share) => (share * frame.width().min(frame.height()) as f32).max(1.0),
        }
    }
}

/// From this size on, in pixels of a network's input, a face is found as surely as larger ones. Measured on fictional faces and on
/// LFW, scaled down: at 40 pixels the built-in detector finds four in a hundred fewer than at 100 and at 60 none fewer; SCRFD-500M finds
/// as many at 40 as at 100, YuNet at 28.
pub(super) const RELIABLE: f32 = 48.0;

/// A face of this size in the input ends the search: a traveller at a gate, 160 pixels of 1280 × 720, costs one look.
pub(super) const ENOUGH: f32 = 40.0;

/// The size, in the input, at which a small face is looked at again.
const CLOSE: f32 = 96.0;

/// Scales grow by no more than this from one to the next: most frames need the first alone.
const STEP: f32 = 2.5;

/// A picture is never enlarged by more: there would be nothing more to see.
const MOST_ENLARGED: f32 = 2.0;

/// Pixels of a tile's longer side.
const TILE: f32 = 1024.0;

/// Tiles share so many pixels that a face which did not end the search on the scale before lies in one of them as a whole.
const SHARED: f32 = STEP * ENOUGH;

/// The most pixels that a frame is looked at in, on its finest scale: thirty tiles. Larger scales are left out, whatever the
/// smallest face is.
const MOST_PIXELS: f32 = 30.0 * TILE * TILE;

/// A part of the upright frame, and the size of the picture that is made of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct View {
    pub(super) origin: [u32; 2],
    pub(super) size: [u32; 2],
    pub(super) scaled: [usize; 2],
}

impl View {
    /// Input pixels a pixel of the frame.
    pub(super) fn scale(&self) -> f32 {
        self.scaled[0] as f32 / self.size[0] as f32
    }
}

/// The scales to look at after the first, which has `first` input pixels a pixel of a frame of this size, until a face of
/// `smallest` pixels is found reliably: growing, the last one just fine enough.
pub(super) fn finer(size: [u32; 2], first: f32, smallest: f32) -> impl Iterator<Item = f32> {
    // A strip is looked at in tiles that are wider than it.
    let [width, height] = size.map(|side| (side as f32).max(TILE / 2.0));
    let affordable = (MOST_PIXELS / (width * height)).sqrt();
    let last = (RELIABLE / smallest).min(MOST_ENLARGED).min(affordable);
    let steps = if last > first { ((last / first).ln() / STEP.ln()).ceil().max(1.0) as i32 } else { 0 };
    let ratio = if steps > 0 { (last / first).powf(1.0 / steps as f32) } else { 1.0 };
    (1..=steps).map(move |step| first * ratio.powi(step))
}

/// The tiles of a frame of this size on a scale.
pub(super) fn tiles(size: [u32; 2], scale: f32) -> Vec<View> {
    let spans = size.map(|side| spans(side, scale));
    let view = |&(y, height): &(u32, u32), &(x, width): &(u32, u32)| View {
        origin: [x, y],
        size: [width, height],
        scaled: [width, height].map(|side| ((side as f32 * scale).round() as usize).max(1)),
    };
    spans[1].iter().flat_map(|row| spans[0].iter().map(move |column| view(row, column))).collect()
}

/// Equal spans that cover a side: where each begins, which is even, and how long it is.
fn spans(side: u32, scale: f32) -> Vec<(u32, u32)> {
    let (scaled, shared) = (side as f32 * scale, SHARED / scale);
    if scaled <= TILE {
        return vec![(0, side)];
    }
    let count = ((scaled - SHARED) / (TILE - SHARED)).ceil() as u32;
    // Two pixels more than equal parts: beginnings are rounded to even ones.
    let length = ((side as f32 + (count - 1) as f32 * shared) / count as f32).ceil() as u32 + 2;
    let length = even_before_and_after(length, side);
    let room = side.saturating_sub(length);
    (0..count)
        .map(|at| ((u64::from(room) * u64::from(at) / u64::from(count - 1)) as u32 & !1, length.min(side)))
        .collect()
}

/// A length, or one pixel more, that leaves an even rest of a side: a part of it that begins at an even pixel then does so from both
/// ends, and a frame may be turned.
fn even_before_and_after(length: u32, side: u32) -> u32 {
    length + side.saturating_sub(length) % 2
}

/// The square around a face's box in which it is looked at again, in a picture of at most `side` pixels.
pub(super) fn closer(centre: [f32; 2], face: f32, frame: [u32; 2], side: usize) -> View {
    let scale = (CLOSE / face).min(MOST_ENLARGED);
    let wanted = side as f32 / scale;
    let size = frame.map(|limit| even_before_and_after((wanted as u32).clamp(2, limit), limit));
    let origin = [0, 1].map(|axis| {
        let begin = (centre[axis] - size[axis] as f32 / 2.0).max(0.0) as u32;
        begin.min(frame[axis] - size[axis]) & !1
    });
    View { origin, size, scaled: size.map(|length| ((length as f32 * scale).round() as usize).clamp(1, side)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_grow_to_the_one_that_shows_the_smallest_face_and_no_further() {
        assert_eq!(finer([1280, 720], 0.25, 300.0).count(), 0);
        let scales: Vec<f32> = finer([1920, 1080], 0.1, 54.0).collect();
        assert!((scales.last().unwrap() - RELIABLE / 54.0).abs() < 1e-4, "{scales:?}");
        let all: Vec<f32> = std::iter::once(0.1).chain(scales).collect();
        assert!(all.windows(2).all(|pair| pair[1] > pair[0] && pair[1] / pair[0] <= STEP + 1e-3), "{all:?}");
        assert!((finer([640, 480], 1.0, 1.0).last().unwrap() - MOST_ENLARGED).abs() < 1e-4);
        for size in [[8000, 8000], [1, 32_768], [32_768, 32_768]] {
            for scale in finer(size, 0.01, 1.0) {
                let pixels: usize = tiles(size, scale).iter().map(|tile| tile.scaled[0].max(32) * tile.scaled[1]).sum();
                assert!((pixels as f32) < 2.0 * MOST_PIXELS, "{size:?} at {scale}: {pixels}");
            }
        }
    }

    #[test]
    fn a_closer_look_begins_at_even_pixels_from_both_ends() {
        for frame in [[1283, 721], [1280, 720], [641, 12], [13, 4001]] {
            for face in [5.0, 20.5, 47.0] {
                for at in 0..40 {
                    let centre = frame.map(|side| side as f32 * at as f32 / 39.0);
                    let View { origin, size, .. } = closer(centre, face, frame, 320);
                    for axis in [0, 1] {
                        let after = frame[axis] - origin[axis] - size[axis];
                        assert!(origin[axis] % 2 == 0 && after % 2 == 0, "{frame:?}, {face} at {centre:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_face_that_does_not_end_the_search_lies_in_one_tile_as_a_whole() {
        for (size, scale) in
            [([1920, 1080], 0.9), ([3840, 2160], 1.0), ([6001, 4001], 0.7), ([641, 479], 2.0), ([33, 20_000], 1.0)]
        {
            let tiles = tiles(size, scale);
            let face = STEP * ENOUGH / scale;
            for axis in [0, 1] {
                let mut at = 0.0;
                while at + face <= size[axis] as f32 {
                    let holds = |tile: &View| {
                        let (begin, length) = (tile.origin[axis] as f32, tile.size[axis] as f32);
                        begin <= at && at + face <= begin + length
                    };
                    assert!(tiles.iter().any(holds), "{size:?} at {scale}: nothing holds {at} of axis {axis}");
                    at += 7.0;
                }
            }
            for View { origin, size: part, scaled } in tiles {
                assert!([0, 1].iter().all(|&axis| origin[axis] % 2 == 0 && origin[axis] + part[axis] <= size[axis]));
                assert!(scaled.iter().all(|&side| side as f32 <= TILE + 2.0), "{scaled:?}");
            }
        }
    }
}
