//! Why a port could not be opened or used.

use std::path::PathBuf;

use clearlane_embed::{ExtractError, ModelError};
use clearlane_store::{KeyError, StoreError};
use clearlane_template::{ModelId, shown};

use crate::claim::ClaimKeyError;
use crate::policy::{NotAssessed, PolicyError, PortId};
use crate::references::ReferencesError;
use crate::threshold::{CalibrationError, CalibrationShortfall, MissingPopulation};
use crate::upgrade::ChoiceError;

/// Why a port's parts do not fit together, or one of them is missing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// The policy does not name the port.
    #[error("the policy has no port `{port}`; it has {}", listed(known))]
    UnknownPort {
        /// The port.
        port: PortId,
        /// The policy's ports.
        known: Vec<PortId>,
    },
    /// The extractor makes templates of another model than the references.
    #[error("the extractor's model is {extractor:.12}, that of the references {references:.12}")]
    ExtractorModel {
        /// The extractor's model.
        extractor: ModelId,
        /// The references' model.
        references: ModelId,
    },
    /// The calibration is of another model than the references.
    #[error("the calibration is of model {calibration:.12}, the references are of {references:.12}")]
    CalibrationModel {
        /// The calibration's model.
        calibration: ModelId,
        /// The references' model.
        references: ModelId,
    },
    /// The gallery that is kept elsewhere is of another model than the references.
    #[error("the gallery that is kept elsewhere is of model {gallery:.12}, the references are of {references:.12}")]
    GalleryModel {
        /// The gallery's model.
        gallery: ModelId,
        /// The references' model.
        references: ModelId,
    },
    /// The policy does not say how old the answers of a gallery may be that is kept elsewhere.
    #[error("the port's gallery is kept elsewhere: the policy needs `gallery-age-ms` in its table `comparison`")]
    NoGalleryAge,
    /// A port with rules has no calibration.
    #[error("a port with a policy needs a calibration of its model")]
    NoCalibration,
    /// The port has no extractor.
    #[error("the port has no extractor: it takes templates and captures only")]
    NoExtractor,
    /// The policy has a floor for a quality component that no model of the port gives.
    #[error(transparent)]
    NotAssessed(#[from] NotAssessed),
    /// The calibration is not of everybody whom the policy serves.
    #[error("the policy serves populations on whom the model was not calibrated: {0}")]
    Population(#[from] MissingPopulation),
    /// The calibration does not reach a rate that the policy asks for: no threshold would be known, and nobody could pass.
    #[error(transparent)]
    Uncalibrated(#[from] CalibrationShortfall),
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Nobody said where the register's keys are.
    #[error("expected the register's keys: name a file of them, or where else they come from")]
    NoKeys,
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
    /// The embedder's calibration is none.
    #[error("the calibration of the embedder `{embedder}`: {source}")]
    Calibration {
        /// The embedder.
        embedder: String,
        /// What is wrong with it.
        source: CalibrationError,
    },
    /// The embedder was not calibrated on everybody whom the policy serves.
    #[error("the policy serves populations on whom the embedder `{embedder}` was not calibrated: {source}")]
    Population {
        /// The embedder.
        embedder: String,
        /// Who is missing.
        source: MissingPopulation,
    },
    /// The claim issuer's key could not be read.
    #[error("{}: {source}", shown(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The claim issuer's key.
    #[error("{path}: {source}", path = shown(path))]
    ClaimKey {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: ClaimKeyError,
    },
    /// The parts do not fit together.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why nobody could be identified, other than that nobody matches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifyError {
    /// The port has no extractor.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The frame gives no template.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// There is no threshold for the rate that is asked for.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The search failed.
    #[error(transparent)]
    References(#[from] ReferencesError),
}

pub(crate) fn listed(ports: &[PortId]) -> String {
    ports.iter().map(PortId::as_str).collect::<Vec<_>>().join(", ")
}
