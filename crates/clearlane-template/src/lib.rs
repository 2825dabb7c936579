//! The types that every part of clearlane shares: a [`Template`], the [`ModelId`] it is bound to, and the ids under which a
//! register keeps it; and the [`Language`] of what is said, and how paths are [`shown`] in it.
//!
//! A [`Template`] is unit-norm and finite and belongs to one model, because nothing else constructs one. Comparing
//! across models is an error, never a low score.
//!
//! ```
//! use clearlane_template::{ModelId, Template};
//!
//! let model = ModelId::digest([b"the model's bytes".as_slice()]);
//! let probe = Template::normalised(model, vec![3.0, 4.0])?;
//! let reference = Template::normalised(model, vec![4.0, 3.0])?;
//! assert!((probe.score(&reference)? - 0.96).abs() < 1e-6);
//! # Ok::<(), clearlane_template::TemplateError>(())
//! ```
#![forbid(unsafe_code)]

mod bytes;
mod ids;
mod language;
mod model_id;
mod shown;
mod template;

pub use ids::{SubjectId, TemplateId};
pub use language::Language;
pub use model_id::{ModelId, ParseModelIdError};
pub use shown::{ShownPath, is_disguise, shown, without_temporary_name};
pub use template::{MAX_DIMENSION, Template, TemplateError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
