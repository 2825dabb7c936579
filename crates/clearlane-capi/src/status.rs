//! What went wrong, as a number and in words.

use std::fmt::Display;

use clearlane::search::GalleryError;
use clearlane::store::StoreError;
use clearlane::{CalibrationError, EnrolError, IdentifyError, LaneError, ReferencesError};

/// How a call ended.
pub type clearlane_status = i32;

/// As it should.
pub const CLEARLANE_OK: clearlane_status = 0;
/// An argument is NULL, not UTF-8, misaligned, or not one of the values that it may have.
pub const CLEARLANE_ARGUMENT: clearlane_status = 1;
/// The `size` of a struct is not one that the library knows, or what a newer header added is used.
pub const CLEARLANE_SIZE: clearlane_status = 2;
/// A handle is closed, is of another kind, or never was one.
pub const CLEARLANE_HANDLE: clearlane_status = 3;
/// A file could not be read, or is not what it should be.
pub const CLEARLANE_OPEN: clearlane_status = 4;
/// The bytes are not a frame of the stated size and format, or not a picture that can be decoded.
pub const CLEARLANE_FRAME: clearlane_status = 5;
/// The register could not be read or written.
pub const CLEARLANE_REGISTER: clearlane_status = 6;
/// There is no such subject, record or key.
pub const CLEARLANE_NOT_FOUND: clearlane_status = 7;
/// No template could be made of the picture: it shows no face, several, or one that is cut or too small.
pub const CLEARLANE_NO_TEMPLATE: clearlane_status = 8;
/// The call needs what the port was opened without, or what cannot be had now. The message says what to do.
pub const CLEARLANE_UNAVAILABLE: clearlane_status = 9;
/// A defect of the library. The gate must stay shut.
pub const CLEARLANE_INTERNAL: clearlane_status = 10;
/// The bytes are no templates, or templates of different models.
pub const CLEARLANE_TEMPLATE: clearlane_status = 11;

/// A status other than OK, and what to say.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: clearlane_status,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: clearlane_status, message: impl Display) -> Self {
        Self { status, message: message.to_string() }
    }

    pub(crate) fn argument(message: impl Display) -> Self {
        Self::new(CLEARLANE_ARGUMENT, message)
    }

    pub(crate) fn internal(message: impl Display) -> Self {
        Self::new(CLEARLANE_INTERNAL, message)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Invalid { .. } => CLEARLANE_ARGUMENT,
            _ => CLEARLANE_REGISTER,
        };
        Self::new(status, error)
    }
}

impl From<ReferencesError> for Failure {
    fn from(error: ReferencesError) -> Self {
        match error {
            ReferencesError::Store(error) => error.into(),
            error => Self::new(CLEARLANE_REGISTER, error),
        }
    }
}

impl From<LaneError> for Failure {
    fn from(error: LaneError) -> Self {
        let status = match error {
            LaneError::NoPolicy | LaneError::WhichPort { .. } => CLEARLANE_UNAVAILABLE,
            _ => CLEARLANE_ARGUMENT,
        };
        Self::new(status, error)
    }
}

impl From<IdentifyError> for Failure {
    fn from(error: IdentifyError) -> Self {
        let status = match error {
            IdentifyError::References(error) => return error.into(),
            IdentifyError::Extract(_) => CLEARLANE_NO_TEMPLATE,
            IdentifyError::Calibration(CalibrationError::NotARate { .. }) => CLEARLANE_ARGUMENT,
            IdentifyError::Port(_) | IdentifyError::Calibration(_) => CLEARLANE_UNAVAILABLE,
            _ => CLEARLANE_INTERNAL,
        };
        Self::new(status, error)
    }
}

impl From<EnrolError> for Failure {
    fn from(error: EnrolError) -> Self {
        let status = match error {
            EnrolError::References(error) => return error.into(),
            EnrolError::Extract(_) | EnrolError::OtherModel { .. } => CLEARLANE_INTERNAL,
            _ => CLEARLANE_UNAVAILABLE,
        };
        Self::new(status, error)
    }
}

impl From<GalleryError> for Failure {
    fn from(error: GalleryError) -> Self {
        let status = match error {
            GalleryError::OtherModel { .. } | GalleryError::OtherDimension { .. } => CLEARLANE_TEMPLATE,
            GalleryError::UnknownSubject { .. } | GalleryError::UnknownTemplate { .. } => CLEARLANE_NOT_FOUND,
            GalleryError::Dimension { .. }
            | GalleryError::DuplicateTemplate { .. }
            | GalleryError::NoCandidatesAskedFor => return Self::argument(error),
            GalleryError::OutOfMemory { .. } | GalleryError::TooManyTemplates { .. } | GalleryError::NoEntropy => {
                CLEARLANE_UNAVAILABLE
            }
            _ => return Self::internal(error),
        };
        Self::new(status, error)
    }
}
