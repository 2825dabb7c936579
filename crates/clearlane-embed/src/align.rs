//! Alignment: a face rotated, scaled and shifted onto the five reference points that face models are trained with.

use clearlane_infer::{Loops, Wiped, vectorised, wipe};

use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point, Similarity};
use crate::patch::{Patch, Places, rounded};
use crate::rotation::composed;

/// Width and height of an aligned face, in pixels.
pub const ALIGNED_SIDE: usize = 112;

/// Where an aligned face has its landmarks: eyes, nose tip and mouth corners, the left of the picture first. The
/// reference points of ArcFace (Deng et al., CVPR 2019) and its successors, for 112 × 112 pixels.
pub const REFERENCE_LANDMARKS: [Point; 5] = [
    Point::new(38.2946, 51.6963),
    Point::new(73.5318, 51.5014),
    Point::new(56.0252, 71.7366),
    Point::new(41.5493, 92.3655),
    Point::new(70.7299, 92.2041),
];

/// The largest number of source samples along one axis that are averaged into one aligned pixel.
const MAX_SUPERSAMPLING: usize = 4;

/// A face of 112 × 112 RGB pixels with its landmarks at [`REFERENCE_LANDMARKS`]: what an embedder takes. Its pixels are wiped
/// when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct AlignedFace {
    pixels: Wiped<u8>,
}

/// The landmarks give no transform: they coincide, or are not finite.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("expected five landmarks in different places, got {}", listed(landmarks))]
pub struct AlignError {
    /// The landmarks.
    pub landmarks: [Point; 5],
}

fn listed(landmarks: &[Point; 5]) -> String {
    landmarks.map(|point| format!("({}, {})", point.x, point.y)).join(", ")
}

impl AlignedFace {
    /// Cuts an aligned face out of a frame: the least-squares similarity of the five landmarks, bilinear samples, black
    /// outside the frame. A face of more than twice the size is averaged down, so that it does not alias.
    pub fn cut(frame: &Frame<'_>, landmarks: &[Point; 5]) -> Result<Self, AlignError> {
        Ok(FacePatch::new(frame, landmarks)?.aligned())
    }

    /// An aligned face from 112 × 112 × 3 bytes of RGB; `None` where the length is another.
    #[must_use]
    pub fn from_rgb8(pixels: Vec<u8>) -> Option<Self> {
        let pixels = Wiped::from(pixels);
        (pixels.len() == ALIGNED_SIDE * ALIGNED_SIDE * 3).then_some(Self { pixels })
    }

    /// The pixels: 112 rows of 112 × RGB.
    #[must_use]
    pub fn as_rgb8(&self) -> &[u8] {
        &self.pixels
    }

    /// The mirrored face.
    #[must_use]
    pub fn flipped(&self) -> Self {
        let mut flipped = self.clone();
        for row in flipped.pixels.chunks_exact_mut(3 * ALIGNED_SIDE) {
            row.as_chunks_mut::<3>().0.reverse();
        }
        flipped
    }
}

impl std::fmt::Debug for AlignedFace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlignedFace").finish_non_exhaustive()
    }
}

/// All pixels of an aligned face, in its own coordinates.
pub(crate) const ALIGNED: BoundingBox =
    BoundingBox { x0: -0.5, y0: -0.5, x1: ALIGNED_SIDE as f32 - 0.5, y1: ALIGNED_SIDE as f32 - 0.5 };

/// The part of a frame that an aligned face depends on.
pub(crate) struct FacePatch {
    pub(crate) pixels: Patch,
    /// From the aligned face into the frame as it lies in memory.
    pub(crate) source: Similarity,
}

impl FacePatch {
    pub(crate) fn new(frame: &Frame<'_>, landmarks: &[Point; 5]) -> Result<Self, AlignError> {
        let source = from_aligned(frame, landmarks)?;
        Ok(Self { pixels: Patch::new(frame, &source, ALIGNED), source })
    }

    /// The aligned face, as [`AlignedFace::cut`] describes it.
    pub(crate) fn aligned(&self) -> AlignedFace {
        AlignedFace { pixels: vectorised(Warp(self)) }
    }
}

/// From the aligned face with these landmarks into the frame as it lies in memory.
pub(crate) fn from_aligned(frame: &Frame<'_>, landmarks: &[Point; 5]) -> Result<Similarity, AlignError> {
    let onto = Similarity::fit(landmarks, &REFERENCE_LANDMARKS).ok_or(AlignError { landmarks: *landmarks })?;
    Ok(in_memory(frame, onto.inverse()))
}

/// Where a transform into the upright frame goes in the frame as it lies in memory.
pub(crate) fn in_memory(frame: &Frame<'_>, source: Similarity) -> Similarity {
    frame.to_memory().map_or(source, |turned| composed(&source, &turned))
}

/// The aligned square, each pixel taken from where `source` sends it in the frame.
struct Warp<'a>(&'a FacePatch);

impl Loops for Warp<'_> {
    type Output = Wiped<u8>;

    #[inline(always)]
    fn run(self) -> Wiped<u8> {
        let FacePatch { pixels, source } = self.0;
        let samples = (source.scale() as usize).clamp(1, MAX_SUPERSAMPLING);
        let offset = |index: usize| (index as f32 + 0.5) / samples as f32 - 0.5;
        let columns: Vec<f32> =
            (0..ALIGNED_SIDE * samples).map(|index| (index / samples) as f32 + offset(index % samples)).collect();
        let weight = 1.0 / (samples * samples) as f32;
        let mut rows: [Places; MAX_SUPERSAMPLING] = Default::default();
        let rows = &mut rows[..samples];
        // Four values a pixel up to the end: the compiler takes them for one vector.
        let mut pixel_row = [[0; 4]; ALIGNED_SIDE];
        let mut out = Wiped::zeroed(3 * ALIGNED_SIDE * ALIGNED_SIDE);
        for (y, out) in out.chunks_exact_mut(3 * ALIGNED_SIDE).enumerate() {
            for (index, places) in rows.iter_mut().enumerate() {
                pixels.locate(source, &columns, y as f32 + offset(index), places);
            }
            for (x, pixel) in pixel_row.iter_mut().enumerate() {
                let mut sum = [0.0; 4];
                for places in &*rows {
                    for index in x * samples..(x + 1) * samples {
                        let sample = pixels.sample(places, index);
                        for (sum, value) in sum.iter_mut().zip(sample) {
                            *sum += value;
                        }
                    }
                }
                for (level, value) in pixel.iter_mut().zip(sum) {
                    *level = rounded(value * weight);
                }
            }
            for (out, &[r, g, b, _]) in out.as_chunks_mut().0.iter_mut().zip(&pixel_row) {
                *out = [r, g, b].map(|level: u32| level as u8);
            }
        }
        wipe(&mut pixel_row);
        out
    }
}
