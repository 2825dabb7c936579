//! One-to-many search: a [`Template`](clearlane_template::Template) goes in, the candidates of a [`Gallery`] come out.
//!
//! ```
//! use clearlane_match::{Gallery, Mode, SearchOptions};
//! use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
//!
//! let model = ModelId::digest([b"the model's bytes".as_slice()]);
//! let gallery = Gallery::builder(model, 3).build()?;
//! gallery.add(SubjectId(7), TemplateId(1), &Template::normalised(model, vec![1.0, 0.0, 0.2])?)?;
//! gallery.add(SubjectId(8), TemplateId(2), &Template::normalised(model, vec![0.0, 1.0, 0.0])?)?;
//!
//! let probe = Template::normalised(model, vec![0.9, 0.1, 0.2])?;
//! let options = SearchOptions { threshold: 0.5, mode: Mode::Certified, ..SearchOptions::new(10) };
//! let outcome = gallery.search(&probe, &options)?;
//! assert!(outcome.is_complete());
//! assert_eq!(outcome.candidates[0].subject, SubjectId(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Rows may stay in a file, for galleries that do not fit in memory: see [`GalleryFileWriter`].
#![deny(unsafe_code)]

mod codes;
mod error;
mod file;
mod gallery;
mod kernel;
mod search;
mod sync;
mod template_rows;

pub use error::GalleryError;
pub use file::{GalleryFileError, GalleryFileWriter, Part as GalleryFilePart};
pub use gallery::{Compaction, Enrolment, Gallery, GalleryBuilder, MemoryUse, Precision, Snapshot, SubjectFilter};
pub use kernel::{Kernel, read_bandwidth};
pub use search::{
    Candidate, Completeness, DuplicateBlock, DuplicateCursor, DuplicatePair, Duplicates, Margin, Mode, SearchOptions,
    SearchOutcome, SearchStats,
};
pub use template_rows::TemplateRows;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
