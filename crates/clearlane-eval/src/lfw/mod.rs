//! The protocols of Labeled Faces in the Wild (Huang et al., UMass technical report 07-49, 2007).
//!
//! [`Pairs`] reads View 2's `pairs.txt`; [`Identification`] makes a 1:N test from the folders; [`Errata`] removes the
//! labelling errors that the data set's own page lists.

mod errata;
mod identification;
mod image;
mod pairs;

pub use errata::{Errata, ErrataError};
pub use identification::{Identification, Probe};
pub use image::{ImageName, ImageNameError};
pub use pairs::{Pair, Pairs, PairsError};
