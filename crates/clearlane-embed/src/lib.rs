//! From a camera frame to a face template, on the CPU: detection, alignment, quality, presentation attack detection and embedding.
//!
//! ```no_run
//! use clearlane_embed::{DecodeLimits, Extractor, Frame, Models};
//!
//! let mut models = Models::builtin()?;
//! models.add_folder("models")?;
//! let detector = models.detector(models.default_detector()?)?;
//! let embedder = models.embedder(models.default_embedder()?)?;
//! let extractor = Extractor::new(detector, embedder);
//!
//! let frame = Frame::open("traveller.jpg", &DecodeLimits::default())?;
//! let extraction = extractor.extract(&frame)?;
//! println!("{} values in {:?}", extraction.template.dimension(), extraction.timings.total());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate knows nothing of galleries and registers; it keeps no picture and writes no file. What it holds of a frame, a face
//! or an embedding is zeroed when it is dropped. The libraries that decode other picture files than JPEG free pixels as they
//! are: a program that decodes with [`Frame::open`] and wants those wiped too takes [`WipingAllocator`] as its allocator.
#![forbid(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "pixel loops are compiled for each instruction set: see `clearlane_infer::Loops`"
)]

#[cfg(all(doctest, feature = "builtin"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod align;
mod builtin;
mod decode;
mod detect;
mod embed;
mod error;
mod extract;
mod frame;
mod geometry;
mod manifest;
mod models;
mod pad;
mod patch;
mod population;
mod portrait;
mod quality;
mod quantise;
mod resize;
mod rotation;
mod stage;
mod tensor;

pub use align::{ALIGNED_SIDE, AlignError, AlignedFace, REFERENCE_LANDMARKS};
pub use clearlane_infer::{InferError, QuantiseError, WipingAllocator};
pub use clearlane_template::{Language, ModelId, Template, TemplateError};
pub use decode::{DecodeError, DecodeLimits, JpegPicture, Reduction};
pub use detect::{Detector, Face, Orientation, SmallestFace};
pub use embed::Embedder;
pub use error::{ExtractError, ModelError};
pub use extract::{Extraction, Extractor, Observation, Selection};
pub use frame::{Frame, FrameError, MAX_SIDE, PixelFormat, Pixels, YuvColour};
pub use geometry::{BoundingBox, Point, Similarity};
pub use manifest::{
    CalibratedThreshold, ColourOrder, InputSpec, Manifest, ManifestError, MeasuredCalibration, ModelEntry, Task,
};
pub use models::{Location, Models, digest};
pub use pad::Pad;
pub use population::{ParsePopulationError, Population};
pub use portrait::{Portrait, PortraitEncoding, PortraitError};
pub use quality::{Component, Doubt, Measure, Occlusion, Pose, Quality, UnknownComponent, estimate_pose};
pub use quantise::{QuantisationSamples, QuantisedModel};
pub use rotation::Rotation;
pub use stage::{Stage, Timings};
