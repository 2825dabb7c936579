//! What goes wrong becomes a Python exception whose class says who is at fault; a panic stops here.

use std::error;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clearlane::embed::{ExtractError, InferError, ModelError, TemplateError};
use clearlane::search::GalleryError;
use clearlane::store::{KeyError, StoreError, UnknownWord};
use clearlane::{
    CalibrationError, ChoiceError, ClaimKeyError, DecodeError, EnrolError, FrameError, IdentifyError, LaneError,
    OpenError, ParsePopulationError, ParsePortIdError, PolicyError, PortError, ReferencesError,
};
use pyo3::exceptions::PyException;
use pyo3::{PyErr, Python, create_exception};

create_exception!(clearlane, Error, PyException, "What clearlane raises. The subclasses say who is at fault.");
create_exception!(clearlane, InputError, Error, "An argument is wrong, or the object was closed: the caller's fault.");
create_exception!(clearlane, PictureError, Error, "The picture cannot be read, or shows no usable face.");
create_exception!(
    clearlane,
    ConfigurationError,
    Error,
    "The policy, the keys, the models or their calibration are wrong, missing, or do not fit together."
);
create_exception!(clearlane, RegisterError, Error, "The register or its disk failed; nothing was half done.");
create_exception!(clearlane, InternalError, Error, "A defect of clearlane.");

/// Who is at fault.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Input,
    Picture,
    Configuration,
    Register,
    Internal,
}

/// An error on its way to Python.
pub(crate) enum Failure {
    Ours(Fault, String),
    /// What Python itself raised.
    Python(PyErr),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Ours(Fault::Input, message.into())
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Ours(Fault::Internal, message.into())
    }
}

impl<E: Blamed> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Ours(error.fault(), with_causes(&error))
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        let (fault, message) = match failure {
            Failure::Ours(fault, message) => (fault, message),
            Failure::Python(error) => return error,
        };
        match fault {
            Fault::Input => InputError::new_err(message),
            Fault::Picture => PictureError::new_err(message),
            Fault::Configuration => ConfigurationError::new_err(message),
            Fault::Register => RegisterError::new_err(message),
            Fault::Internal => InternalError::new_err(message),
        }
    }
}

/// Runs `work` while other Python threads run too. A panic becomes an [`InternalError`].
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work)))
        .unwrap_or_else(|_| Err(Failure::internal("a defect of clearlane: standard error has the panic's message")))
}

/// The message and those of its causes that it does not repeat.
fn with_causes(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

/// Errors of the Rust crates, each with who is at fault.
pub(crate) trait Blamed: error::Error {
    fn fault(&self) -> Fault;
}

/// Errors that have one culprit only.
macro_rules! blame {
    ($fault:ident: $($error:ty),*) => {
        $(impl Blamed for $error {
            fn fault(&self) -> Fault {
                Fault::$fault
            }
        })*
    };
}

blame!(Input: FrameError, GalleryError, LaneError, ParsePopulationError, ParsePortIdError, TemplateError, UnknownWord);
blame!(Picture: DecodeError);
blame!(Configuration: ClaimKeyError, KeyError, ModelError, PolicyError, PortError);

impl Blamed for CalibrationError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotARate { .. } => Fault::Input,
            _ => Fault::Configuration,
        }
    }
}

impl Blamed for ChoiceError {
    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            _ => Fault::Configuration,
        }
    }
}

impl Blamed for EnrolError {
    fn fault(&self) -> Fault {
        match self {
            Self::References(error) => error.fault(),
            Self::Contended => Fault::Register,
            _ => Fault::Configuration,
        }
    }
}

impl Blamed for ExtractError {
    fn fault(&self) -> Fault {
        match self {
            Self::Model(_) => Fault::Configuration,
            _ => Fault::Picture,
        }
    }
}

impl Blamed for IdentifyError {
    fn fault(&self) -> Fault {
        match self {
            Self::Extract(error) => error.fault(),
            Self::Calibration(error) => error.fault(),
            Self::References(error) => error.fault(),
            _ => Fault::Configuration,
        }
    }
}

impl Blamed for InferError {
    fn fault(&self) -> Fault {
        match self {
            Self::InputShape { .. } => Fault::Input,
            _ => Fault::Configuration,
        }
    }
}

impl Blamed for OpenError {
    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::References(error) => error.fault(),
            Self::Choice(error) => error.fault(),
            _ => Fault::Configuration,
        }
    }
}

impl Blamed for ReferencesError {
    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Gallery(error) => error.fault(),
            _ => Fault::Register,
        }
    }
}

impl Blamed for StoreError {
    fn fault(&self) -> Fault {
        match self {
            Self::Invalid { .. } | Self::UnknownSubject { .. } | Self::AlreadyEnrolled { .. } => Fault::Input,
            Self::Key(_) | Self::NoKey { .. } | Self::NoCurrentKey | Self::OtherModel { .. } => Fault::Configuration,
            _ => Fault::Register,
        }
    }
}
