//! Why a gallery refuses a request.

use std::io;
use std::path::PathBuf;

use clearlane_template::{ModelId, SubjectId, TemplateId, shown};

/// Why a gallery did not do what it was asked to do. Nothing is half done: after an error the gallery is as it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The template was made by another model than the gallery's.
    #[error("expected a template of model {gallery:.12}, got one of {template:.12}: extract it again")]
    OtherModel {
        /// The gallery's model.
        gallery: ModelId,
        /// The template's model.
        template: ModelId,
    },
    /// The template has another dimension than the gallery's.
    #[error("expected a template of {gallery} values, got {template}")]
    OtherDimension {
        /// The gallery's dimension.
        gallery: usize,
        /// The template's dimension.
        template: usize,
    },
    /// A gallery's dimension must be that of a template.
    #[error("expected a gallery dimension of 1 to {max}, got {dimension}")]
    Dimension {
        /// The dimension that was asked for.
        dimension: usize,
        /// The largest dimension of a template.
        max: usize,
    },
    /// The codes of this dimension do not fit in the stated budget.
    #[error("expected a code budget of at least {least} bytes for {dimension} dimensions, got {budget}")]
    CodeBudget {
        /// The gallery's dimension.
        dimension: usize,
        /// The budget, bytes a template.
        budget: usize,
        /// The size of the smallest code, bytes a template.
        least: usize,
    },
    /// A row of the given matrix is not a unit vector.
    #[error("row {row} of the matrix is not a unit vector")]
    Row {
        /// Its place, from 0.
        row: usize,
        /// What is wrong with it.
        source: clearlane_template::TemplateError,
    },
    /// The matrix does not have one row for each id.
    #[error("expected a matrix of {ids} x {dimension} values, got {values}")]
    Matrix {
        /// How many ids were given.
        ids: usize,
        /// The gallery's dimension.
        dimension: usize,
        /// How many values were given.
        values: usize,
    },
    /// A template of this id is in the gallery already, or twice in the given list.
    #[error("template {template} is enrolled already: an id is used once")]
    DuplicateTemplate {
        /// The id.
        template: TemplateId,
    },
    /// No template of this id is in the gallery.
    #[error("template {template} is not in the gallery")]
    UnknownTemplate {
        /// The id.
        template: TemplateId,
    },
    /// No template of this subject is in the gallery.
    #[error("subject {subject} has no template in the gallery")]
    UnknownSubject {
        /// The id.
        subject: SubjectId,
    },
    /// The gallery would grow beyond the memory that its builder allowed.
    #[error("the gallery would take {needed} bytes, its limit is {limit}: revoke and compact, or raise the limit")]
    MemoryLimit {
        /// What it would take.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// The system gave no memory.
    #[error("the system refused {bytes} bytes of memory")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// More templates than a gallery can number, withdrawn ones included until it is compacted.
    #[error("a gallery numbers at most {limit} templates, withdrawn ones included: compact it, or open another")]
    TooManyTemplates {
        /// The limit.
        limit: u64,
    },
    /// The system gave no random numbers for the rotation of a gallery's codes.
    #[error("the system gave no random numbers: a gallery needs some for the rotation of its codes")]
    NoEntropy,
    /// There is nothing to search.
    #[error("the gallery is empty: enrol templates first")]
    Empty,
    /// A search for 0 candidates.
    #[error("expected a k of at least 1, got 0")]
    NoCandidatesAskedFor,
    /// A threshold that no comparison score can be compared with.
    #[error("expected a threshold in [-1, 1], got {threshold}")]
    Threshold {
        /// The threshold.
        threshold: f32,
    },
    /// A miss probability outside (0, 0.5).
    #[error("expected a miss probability between 0 and 0.5, both excluded, got {miss}")]
    Miss {
        /// The probability.
        miss: f64,
    },
    /// This processor cannot run the kernel that the builder asked for.
    #[error("this processor cannot run a kernel named {kernel}")]
    Kernel {
        /// The name that was asked for.
        kernel: String,
    },
    /// A row of the gallery's file cannot be read.
    #[error("row {row} of gallery file {path} cannot be read ({kind}): write the file anew, and open the gallery from that", path = shown(path))]
    UnreadableRow {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: u64,
        /// What kind of failure the system reports.
        kind: io::ErrorKind,
    },
    /// A row of the gallery's file is not the one that was written.
    #[error("row {row} of gallery file {path} was altered: write the file anew, and open the gallery from that", path = shown(path))]
    AlteredRow {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: u64,
    },
    /// The gallery was compacted since the de-duplication to resume began: rows have other places now.
    #[error("the gallery was compacted since this de-duplication began: start it again")]
    StaleCursor,
}
