//! Why a command did not do its job: what was wrong, where, and what to do; with the exit code that says so to scripts.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clearlane_embed::{InferError, ModelError};
use clearlane_eval::{GroupError, PresumedError, ScoreError};
use clearlane_match::GalleryError;
use clearlane_simulate::SimulationError;
use clearlane_simulate::search::BenchError;

use crate::output::shown;

/// What to do where the system refused memory.
const MORE_MEMORY: &str = "a smaller gallery, more memory, or a higher limit (`ulimit -v`)";

/// How the command ends, as its help documents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Yes = 0,
    No = 1,
    Usage = 2,
    Input = 3,
    Model = 4,
    Register = 5,
    System = 6,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// 0 where the answer is yes, 1 where it is no.
    pub(crate) fn answer(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failure as the user reads it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: None }
    }

    /// The failure that `error` is, with all its causes on one line.
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, chain(error))
    }

    /// The failure that `error` is, which arose at `path`.
    pub(crate) fn at(exit: Exit, path: &Path, error: &dyn Error) -> Self {
        Self::new(exit, format!("{}: {}", shown(path), chain(error)))
    }

    /// A file could not be read: its name or its permissions are wrong.
    pub(crate) fn reading(path: &Path, error: &io::Error) -> Self {
        Self::at(Exit::Input, path, error)
    }

    /// A file could not be written: the disk is full, or it may not be written there.
    pub(crate) fn writing(path: &Path, error: &dyn Error) -> Self {
        Self::new(Exit::System, format!("cannot write {}: {}", shown(path), chain(error)))
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted")
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// An error and its causes, but for causes that the error's own text repeats.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        if let ModelError::Network { source: InferError::OutOfMemory { .. }, .. } = error {
            return Self::of(Exit::System, &error).with_help(MORE_MEMORY);
        }
        let failure = Self::of(Exit::Model, &error);
        match error {
            ModelError::Unknown { .. } => failure.with_help("`clearlane models list` shows what is available"),
            ModelError::NoneForTask { .. } => {
                failure.with_help("give a folder of models with --models DIR or CLEARLANE_MODELS")
            }
            ModelError::Digest { .. } => {
                failure.with_help("fetch the file again, or correct its sha256 in the folder's manifest.toml")
            }
            _ => failure,
        }
    }
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Self {
        Self::of(Exit::Input, &error)
    }
}

impl From<GroupError> for Failure {
    fn from(error: GroupError) -> Self {
        Self::of(Exit::Usage, &error)
    }
}

impl From<PresumedError> for Failure {
    fn from(error: PresumedError) -> Self {
        match error {
            PresumedError::Group(error) => error.into(),
            error => Self::of(Exit::Input, &error),
        }
    }
}

impl From<GalleryError> for Failure {
    fn from(error: GalleryError) -> Self {
        match error {
            GalleryError::OutOfMemory { .. } => Self::of(Exit::System, &error).with_help(MORE_MEMORY),
            GalleryError::NoEntropy => Self::of(Exit::System, &error),
            error => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Gallery(error) => error.into(),
            BenchError::Vectors(_) | BenchError::NoFaces => Self::of(Exit::Input, &error),
            BenchError::Threads { .. } => Self::of(Exit::System, &error),
            error => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<SimulationError> for Failure {
    fn from(error: SimulationError) -> Self {
        match error {
            SimulationError::Store(error) => error.into(),
            SimulationError::References(error) => error.into(),
            SimulationError::Ledger { .. } | SimulationError::Thread { .. } | SimulationError::Panicked => {
                Self::of(Exit::System, &error)
            }
            error => Self::of(Exit::Usage, &error),
        }
    }
}
