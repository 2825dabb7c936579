//! A face followed from frame to frame by its place alone.

use clearlane_embed::BoundingBox;

/// The least overlap of a face's boxes in two frames in a row, as the area of their intersection over that of their union,
/// by which they are one face. At 10 frames a second somebody who walks up to a camera stays far above it.
const LEAST_OVERLAP: f32 = 0.3;

/// Where the traveller's face was last, and how often it was lost.
#[derive(Default)]
pub(super) struct Track {
    /// Counts up each time that a face does not continue the one before.
    pub(super) number: u32,
    last: Option<BoundingBox>,
}

impl Track {
    /// Takes the face of the next frame.
    pub(super) fn follow(&mut self, face: &BoundingBox) {
        if !self.last.as_ref().is_some_and(|last| last.overlap(face) >= LEAST_OVERLAP) {
            self.number += 1;
        }
        self.last = Some(*face);
    }

    /// A frame showed no face.
    pub(super) fn lose(&mut self) {
        self.last = None;
    }
}
