//! A lane from files: what gate software needs that brings nothing of its own.

use std::path::PathBuf;
use std::sync::Arc;

use clearlane_embed::{Extractor, ModelError, Models, Selection};
use clearlane_store::{Direction, KeyError, KeyFile, RegisterOptions, StoreError, WitnessFile};

use crate::claim::{ClaimKeyError, ClaimVerifier};
use crate::lane::{Lane, LaneError};
use crate::policy::{Policy, PolicyError};
use crate::port::PortId;
use crate::references::{References, ReferencesError};
use crate::threshold::{Calibration, CalibrationError};
use crate::upgrade::{ChoiceError, ModelChoice};

/// The files and names that make a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneFiles {
    /// The register.
    pub register: PathBuf,
    /// The file with the register's keys, 64 hexadecimal digits a line.
    pub keys: PathBuf,
    /// The file that remembers the register's newest root, so that an older register in its place is refused: see
    /// [`WitnessFile`]. Best on another disk.
    pub witness: Option<PathBuf>,
    /// The policy.
    pub policy: PathBuf,
    /// A folder of models beside those compiled in.
    pub models: Option<PathBuf>,
    /// The detector by name; the first at hand where it is `None`.
    pub detector: Option<String>,
    /// The embedder by name; the first at hand where it is `None`. Until it covers the share of the register's subjects that
    /// the policy asks for, the lane uses whichever embedder at hand covers most: see [`ModelChoice`].
    pub embedder: Option<String>,
    /// The models for presentation attack detection (PAD) by name, whose scores are averaged; all at hand where none is
    /// named. Where there is none, PAD is not assessed, and a policy that requires it refers everybody.
    pub pad: Vec<String>,
    /// The public key (PEM) of the issuer whose claims are believed.
    pub claim_issuer: Option<PathBuf>,
    /// The port.
    pub port: PortId,
    /// The direction.
    pub direction: Direction,
    /// The lane's name in records.
    pub name: String,
}

/// Why a lane could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The register.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The register's templates.
    #[error(transparent)]
    References(#[from] ReferencesError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The models.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// None of the models could be chosen.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// The embedder's manifest has no calibration that serves.
    #[error("the embedder `{embedder}` has no calibration: {source}")]
    Calibration {
        /// The embedder.
        embedder: String,
        /// What is missing.
        source: CalibrationError,
    },
    /// The claim issuer's key could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The claim issuer's key.
    #[error(transparent)]
    ClaimKey(#[from] ClaimKeyError),
    /// The parts do not fit together.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

impl LaneFiles {
    /// Opens everything, loads the references and checks the register. `progress` is told of rows loaded, then of rows
    /// checked: how many of how many.
    ///
    /// A register that fails its check gives a lane that refers everybody.
    pub fn open(&self, mut progress: impl FnMut(u64, u64) + Send) -> Result<Lane, OpenError> {
        let policy = Policy::open(&self.policy)?;
        let mut models = Models::builtin()?;
        if let Some(folder) = &self.models {
            models.add_folder(folder)?;
        }
        let detector = self.detector.as_deref().map_or_else(|| models.default_detector(), Ok)?;
        let embedder = self.embedder.as_deref().map_or_else(|| models.default_embedder(), Ok)?;
        let mut options = RegisterOptions::new();
        if let Some(witness) = &self.witness {
            options = options.witness(WitnessFile::new(witness));
        }
        let register = Arc::new(options.open(&self.register, KeyFile::open(&self.keys)?)?);
        let (embedder, choice) = ModelChoice::make(models.embedder(embedder)?, &models, &register, &policy)?;
        tracing::info!(lane = self.name.as_str(), model = %choice, "the lane's model was chosen");
        let calibration = Calibration::from_manifest(embedder.model_id(), embedder.thresholds())
            .map_err(|source| OpenError::Calibration { embedder: embedder.name().to_owned(), source })?;
        let references = References::load(register, embedder.model_id(), &mut progress)?;
        references.check(&mut progress)?;
        let mut extractor = Extractor::new(models.detector(detector)?, embedder).with_selection(Selection::Largest);
        let named = self.pad.iter().map(String::as_str);
        let pad: Vec<_> = if self.pad.is_empty() { models.pad_names().collect() } else { named.collect() };
        if !pad.is_empty() {
            extractor = extractor.with_pad(models.pad(pad)?);
        }
        let mut builder =
            Lane::builder(policy.into(), references.into(), calibration).extractor(extractor).model_choice(choice);
        if let Some(path) = &self.claim_issuer {
            let pem = std::fs::read_to_string(path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
            let mut claims = ClaimVerifier::default();
            claims.trust_pem(&pem)?;
            builder = builder.claims(claims);
        }
        Ok(builder.build(self.port.clone(), self.direction, self.name.as_str())?)
    }
}
