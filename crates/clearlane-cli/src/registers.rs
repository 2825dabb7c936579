//! Which register a command works on, and the keys that open it.

use std::path::{Path, PathBuf};

use clap::Args;
use clearlane::{ChoiceError, EnrolError, ReferencesError};
use clearlane_store::{Fault, KeyFile, KeySource, Keyring, Register, RegisterOptions, Row, StoreError, WitnessFile};

use crate::failure::{Exit, Failure, Result};
use crate::output::shown;

/// The environment variable with a register's keys.
const KEY_VARIABLE: &str = "CLEARLANE_KEY";

/// The choice of a register.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Register")]
pub(crate) struct RegisterArgs {
    /// The register: one file
    #[arg(long = "register", value_name = "FILE", env = "CLEARLANE_REGISTER")]
    path: PathBuf,

    /// The file with the register's keys, the current one first [default: the keys in `CLEARLANE_KEY`]
    #[arg(long, value_name = "FILE", env = "CLEARLANE_KEY_FILE")]
    key_file: Option<PathBuf>,

    /// A file outside the register that remembers its newest state, so that an older register in its place is refused
    #[arg(long, value_name = "FILE", env = "CLEARLANE_WITNESS")]
    witness: Option<PathBuf>,
}

impl RegisterArgs {
    /// The choice that these options make, whatever the environment says.
    pub(crate) fn new(path: PathBuf, key_file: Option<PathBuf>) -> Self {
        Self { path, key_file, witness: None }
    }

    /// The register's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The register, for reading and writing.
    pub(crate) fn open(&self) -> Result<Register> {
        self.there()?;
        Ok(self.options().open(&self.path, self.keys()?)?)
    }

    /// The register, for reading only.
    pub(crate) fn open_read_only(&self) -> Result<Register> {
        self.there()?;
        Ok(self.options().open_read_only(&self.path, self.keys()?)?)
    }

    /// The register; a new one where there is none.
    pub(crate) fn open_or_create(&self) -> Result<Register> {
        if self.path.exists() {
            return self.open();
        }
        match self.options().create(&self.path, self.keys()?) {
            // Another command made it at this very moment.
            Err(StoreError::Exists { .. }) => self.open(),
            made => Ok(made?),
        }
    }

    /// Whether the register's file exists.
    fn there(&self) -> Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        let message = format!("{}: there is no such register", shown(&self.path));
        Err(Failure::new(Exit::Register, message).with_help("`clearlane enrol` makes one"))
    }

    /// How the register is opened.
    pub(crate) fn options(&self) -> RegisterOptions {
        match &self.witness {
            Some(witness) => RegisterOptions::new().witness(WitnessFile::new(witness)),
            None => RegisterOptions::new(),
        }
    }

    /// No keys at all are fine for what needs none, such as listing subjects. A file is read again where the register has a
    /// new key.
    pub(crate) fn keys(&self) -> Result<Box<dyn KeySource>> {
        Ok(match &self.key_file {
            Some(path) => Box::new(KeyFile::open(path).map_err(StoreError::from)?),
            None if std::env::var_os(KEY_VARIABLE).is_some() => {
                Box::new(Keyring::from_env(KEY_VARIABLE).map_err(StoreError::from)?)
            }
            None => Box::new(Keyring::empty()),
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::DiskFull { .. } | StoreError::Io { .. } => Exit::System,
            StoreError::Invalid { .. } | StoreError::Line { .. } => Exit::Input,
            _ => Exit::Register,
        };
        let failure = Self::of(exit, &error);
        match error {
            StoreError::ImplausibleClock { .. } => {
                failure.with_help("where the clock is right, `clearlane register confirm-clock` says so")
            }
            StoreError::Refused { row: Row::Root, fault: Fault::RolledBack { .. } } => failure.with_help(
                "find the present register; to go back to a backup on purpose, use `clearlane register restore`",
            ),
            StoreError::NoKey { .. } | StoreError::NoCurrentKey | StoreError::Key(_) => failure.with_help(
                "give the register's key with --key-file FILE or CLEARLANE_KEY; `clearlane register keygen FILE` makes one",
            ),
            StoreError::OtherModel { .. } => {
                failure.with_help("choose the embedder that the register was made with: --embedder NAME, --models DIR")
            }
            _ => failure,
        }
    }
}

impl From<ReferencesError> for Failure {
    fn from(error: ReferencesError) -> Self {
        match error {
            ReferencesError::Store(error) => error.into(),
            error => Self::of(Exit::Register, &error),
        }
    }
}

impl From<ChoiceError> for Failure {
    fn from(error: ChoiceError) -> Self {
        match error {
            ChoiceError::Store(error) => error.into(),
            ChoiceError::Model(error) => error.into(),
            error => Self::of(Exit::Model, &error),
        }
    }
}

impl From<EnrolError> for Failure {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::References(error) => error.into(),
            EnrolError::Calibration(_) => Self::of(Exit::Model, &error).with_help(
                "what is done is kept. Measure lower false match rates with `clearlane eval folder` and put them into the \
                 models' manifest.toml, or let the policy ask for less",
            ),
            error => Self::of(Exit::Model, &error),
        }
    }
}
