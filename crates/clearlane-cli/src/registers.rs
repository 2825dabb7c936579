//! Which register a command works on, and the keys that open it.

use std::path::{Path, PathBuf};

use clap::Args;
use clearlane::{
    CalibrationError, ChoiceError, EnrolError, OpenError, OpenStage, Port, PortError, PortOptions, ReferencesError,
};
use clearlane_match::GalleryError;
use clearlane_store::{Fault, KeyFile, KeySource, Keyring, Register, RegisterOptions, Row, StoreError, WitnessFile};

use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::progress::Progress;
use crate::thresholds::CALIBRATE;

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

/// Where the gallery of a port is kept.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Register")]
pub(crate) struct GalleryArgs {
    /// Keep the gallery's rows in this file and only codes in memory: a sealed cache of the register, made where there is none
    #[arg(long, value_name = "FILE", env = "CLEARLANE_GALLERY_FILE")]
    gallery_file: Option<PathBuf>,
}

impl GalleryArgs {
    pub(crate) fn choose(&self, options: PortOptions) -> PortOptions {
        match &self.gallery_file {
            Some(path) => options.gallery_file(path),
            None => options,
        }
    }
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

    /// A port on the register, which has to exist unless `options` create it.
    pub(crate) fn port(&self) -> Result<PortOptions> {
        let options = PortOptions::new(&self.path).keys(self.keys()?);
        Ok(match &self.witness {
            Some(witness) => options.witness(witness),
            None => options,
        })
    }

    /// Whether the register's file exists.
    pub(crate) fn there(&self) -> Result<()> {
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

/// Opens a port, with a bar for each stage.
pub(crate) fn open_port(options: PortOptions, output: &Output) -> Result<Port, OpenError> {
    let mut shown: Option<(OpenStage, Progress)> = None;
    let port = Port::open_with(options, |stage, done, total| {
        if shown.as_ref().is_none_or(|(at, _)| *at != stage) {
            if let Some((_, bar)) = shown.take() {
                bar.done();
            }
            let what = if stage == OpenStage::Loading { "loading" } else { "checking" };
            shown = Some((stage, output.progress(0, what)));
        }
        if let Some((_, bar)) = &shown {
            bar.at(done, total);
        }
    });
    if let Some((_, bar)) = shown {
        bar.done();
    }
    port
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Key(error) => StoreError::from(error).into(),
            OpenError::Store(error) => error.into(),
            OpenError::References(error) => error.into(),
            OpenError::Model(error) => error.into(),
            OpenError::Choice(error) => error.into(),
            OpenError::Port(error) => error.into(),
            error @ (OpenError::Calibration { .. } | OpenError::Population { .. }) => {
                Self::of(Exit::Model, &error).with_help(CALIBRATE)
            }
            error => Self::of(Exit::Input, &error),
        }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Population(_) => Self::of(Exit::Model, &error).with_help(CALIBRATE),
            PortError::Uncalibrated(_) => Self::of(Exit::Model, &error).with_help(
                "measure lower false match rates with `clearlane calibrate`, which writes them into the models' manifest.toml, \
                 or let the policy ask for less",
            ),
            error => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<ReferencesError> for Failure {
    fn from(error: ReferencesError) -> Self {
        match error {
            ReferencesError::Store(error) => error.into(),
            ReferencesError::Gallery(error @ (GalleryError::OutOfMemory { .. } | GalleryError::NoEntropy)) => {
                error.into()
            }
            error @ ReferencesError::NotAGallery(_) => Self::of(Exit::Input, &error),
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
            EnrolError::Calibration(CalibrationError::Population(_)) => {
                Self::of(Exit::Model, &error).with_help(CALIBRATE)
            }
            EnrolError::Calibration(_) => Self::of(Exit::Model, &error).with_help(
                "what is done is kept. Measure lower false match rates with `clearlane calibrate`, which writes them into the \
                 models' manifest.toml, or let the policy ask for less",
            ),
            error => Self::of(Exit::Model, &error),
        }
    }
}
