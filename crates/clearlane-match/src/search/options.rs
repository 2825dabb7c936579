//! What a search is asked.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::{GalleryError, SubjectFilter};

/// By which contract entries may be skipped. Scores in a candidate list are exact in every mode.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mode {
    /// Every score is computed from the stored vector.
    Exhaustive,
    /// Entries are skipped only on an upper bound of their score that always holds: the candidate list is that of
    /// [`Mode::Exhaustive`].
    Certified,
    /// Entries are skipped on a statistical bound of their score. It relies on a rotation that nobody who presents a
    /// probe or a template knows: each gallery draws its own.
    Sketch {
        /// The most probable miss of one entry that belongs in the list, above 0 and below 0.5. [`Mode::SKETCH`] has 1e-9.
        miss: f64,
    },
}

impl Mode {
    /// [`Mode::Sketch`] with a miss probability far below any camera's error.
    pub const SKETCH: Self = Self::Sketch { miss: 1e-9 };
}

/// A search's settings. Start from [`SearchOptions::new`] and change what you need:
///
/// ```
/// use clearlane_match::{Mode, SearchOptions};
///
/// let options = SearchOptions { threshold: 0.35, mode: Mode::SKETCH, ..SearchOptions::new(10) };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SearchOptions<'a> {
    /// How many subjects to find at most; at least 1.
    pub k: usize,
    /// The least score of a candidate, in [-1, 1].
    pub threshold: f32,
    /// By which contract entries may be skipped.
    pub mode: Mode,
    /// When the search must give what it has.
    pub deadline: Option<Instant>,
    /// Set it from another thread, and the search gives what it has.
    pub cancel: Option<&'a AtomicBool>,
    /// The subjects that may be found; all where there is none.
    pub filter: Option<&'a SubjectFilter>,
    /// Whether to search with all threads of the current rayon pool (the one whose `install` this is called in, or else
    /// the global one), or with the calling thread alone.
    pub parallel: bool,
}

impl SearchOptions<'_> {
    /// The `k` best subjects of any score, [`Mode::Certified`], on the calling thread, with no deadline and no filter.
    #[must_use]
    pub const fn new(k: usize) -> Self {
        Self { k, threshold: -1.0, mode: Mode::Certified, deadline: None, cancel: None, filter: None, parallel: false }
    }

    pub(super) fn check(&self) -> Result<(), GalleryError> {
        if self.k == 0 {
            return Err(GalleryError::NoCandidatesAskedFor);
        }
        if !(-1.0..=1.0).contains(&self.threshold) {
            return Err(GalleryError::Threshold { threshold: self.threshold });
        }
        match self.mode {
            Mode::Sketch { miss } if !(miss > 0.0 && miss < 0.5) => Err(GalleryError::Miss { miss }),
            _ => Ok(()),
        }
    }
}
