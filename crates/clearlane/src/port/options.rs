//! A port from files: what gate software needs that brings nothing of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clearlane_embed::{Embedder, Extractor, Models, Orientation, Selection, SmallestFace};
use clearlane_match::{GalleryBuilder, Mode};
use clearlane_store::{KeyFile, KeySource, Register, RegisterOptions, StoreError, WitnessFile};
use jiff::Timestamp;

use super::{OpenError, Port};
use crate::claim::ClaimVerifier;
use crate::policy::{Policy, PortId};
use crate::references::References;
use crate::remote::RemoteGallery;
use crate::threshold::{Calibration, MissingPopulation};
use crate::upgrade::ModelChoice;

/// The files and names that make a port, for [`Port::open`]. Everything but the register has a default.
#[must_use]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own, set by a method of its name")]
pub struct PortOptions {
    register: PathBuf,
    access: Access,
    key_file: Option<PathBuf>,
    keys: Option<Box<dyn KeySource>>,
    witness: Option<PathBuf>,
    policy: PolicyFrom,
    port: Option<PortId>,
    models: Vec<PathBuf>,
    detector: Option<String>,
    embedder: Option<String>,
    flip: bool,
    add_model: bool,
    pad: Vec<String>,
    selection: Selection,
    orientation: Orientation,
    smallest_face: Option<SmallestFace>,
    detector_size: Option<usize>,
    claim_issuer: Option<PathBuf>,
    gallery_file: Option<PathBuf>,
    remote: Option<Arc<dyn RemoteGallery>>,
    check: bool,
    mode: Mode,
    parallel: bool,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The smallest face of a lane, as a share of the frame's shorter side.
const LANE_FACE: f32 = 0.1;

/// How the register is opened.
#[derive(Clone, Copy)]
enum Access {
    ReadWrite,
    ReadOnly,
    Create,
}

enum PolicyFrom {
    Nowhere,
    File(PathBuf),
    Value(Arc<Policy>),
}

/// What [`Port::open_with`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenStage {
    /// References are read from the register into the gallery.
    Loading,
    /// The register is checked.
    Checking,
}

impl PortOptions {
    /// A port on the register in this file.
    pub fn new(register: impl Into<PathBuf>) -> Self {
        Self {
            register: register.into(),
            access: Access::ReadWrite,
            key_file: None,
            keys: None,
            witness: None,
            policy: PolicyFrom::Nowhere,
            port: None,
            models: Vec::new(),
            detector: None,
            embedder: None,
            flip: false,
            add_model: false,
            pad: Vec::new(),
            selection: Selection::Largest,
            orientation: Orientation::Given,
            smallest_face: None,
            detector_size: None,
            claim_issuer: None,
            gallery_file: None,
            remote: None,
            check: true,
            mode: Mode::Certified,
            parallel: false,
            clock: Box::new(Timestamp::now),
        }
    }

    /// The file with the register's keys, 64 hexadecimal digits a line, the current one first.
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }

    /// The register's keys, from wherever the host keeps them.
    pub fn keys(mut self, keys: impl KeySource + 'static) -> Self {
        self.keys = Some(Box::new(keys));
        self
    }

    /// The file that remembers the register's newest root, so that an older register in its place is refused: see
    /// [`WitnessFile`]. Best on another disk.
    pub fn witness(mut self, path: impl Into<PathBuf>) -> Self {
        self.witness = Some(path.into());
        self
    }

    /// Makes the register where there is none.
    pub fn create(mut self) -> Self {
        self.access = Access::Create;
        self
    }

    /// Opens the register for reading only: for identification, not for lanes.
    pub fn read_only(mut self) -> Self {
        self.access = Access::ReadOnly;
        self
    }

    /// The file with the rules. A port without rules has no lanes.
    pub fn policy_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.policy = PolicyFrom::File(path.into());
        self
    }

    /// The rules.
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.policy = PolicyFrom::Value(policy.into());
        self
    }

    /// Which of the policy's ports this is. It may be left out where the policy has one only, or where no lane is made.
    pub fn port(mut self, port: PortId) -> Self {
        self.port = Some(port);
        self
    }

    /// A folder of models beside those compiled in. May be given several times.
    pub fn models(mut self, folder: impl Into<PathBuf>) -> Self {
        self.models.push(folder.into());
        self
    }

    /// The detector by name (default: the first available).
    pub fn detector(mut self, name: impl Into<String>) -> Self {
        self.detector = Some(name.into());
        self
    }

    /// The embedder by name (default: the first available). Until it covers the share of the register's subjects that the
    /// policy asks for, the port uses the available embedder that covers most: see [`ModelChoice`].
    pub fn embedder(mut self, name: impl Into<String>) -> Self {
        self.embedder = Some(name.into());
        self
    }

    /// Whether each template is averaged with that of the mirrored face: twice the time, a little more accurate.
    pub fn flip(mut self, flip: bool) -> Self {
        self.flip = flip;
        self
    }

    /// Takes a register that holds templates of other models alone (default: an error says which they are).
    pub fn add_model(mut self, add: bool) -> Self {
        self.add_model = add;
        self
    }

    /// The models for presentation attack detection (PAD) by name, whose scores are averaged (default: all available). Where
    /// there is none, PAD is not assessed, and a policy that requires it refers everybody.
    pub fn pad<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.pad = names.into_iter().map(Into::into).collect();
        self
    }

    /// Which face is the traveller's where a frame shows several (default: the largest). Enrolment by the rules takes
    /// pictures of one face only, whatever is said here.
    pub fn selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// How frames stand: as they say, or whichever way shows the surest face. Cameras say it by [`Frame::with_rotation`].
    ///
    /// [`Frame::with_rotation`]: clearlane_embed::Frame::with_rotation
    pub fn orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// The smallest face that counts. By default that of the detector, and with a policy a tenth of the frame's shorter side: who
    /// passes a lane stands within reach, and an empty frame costs the more the smaller a face is looked for.
    pub fn smallest_face(mut self, smallest: SmallestFace) -> Self {
        self.smallest_face = Some(smallest);
        self
    }

    /// The longer side of the detector's input, in place of the model's own: see
    /// [`Detector::with_input_size`](clearlane_embed::Detector::with_input_size).
    pub fn detector_size(mut self, side: usize) -> Self {
        self.detector_size = Some(side);
        self
    }

    /// The public key (a PEM file) of the issuer whose claims are believed (default: nobody's).
    pub fn claim_issuer(mut self, path: impl Into<PathBuf>) -> Self {
        self.claim_issuer = Some(path.into());
        self
    }

    /// The file that keeps the gallery's rows, one byte a value, so that only codes take memory (default: none, rows are in
    /// memory, four bytes a value). It is made where it is not there or does not fit: see [`References::load_on_file`].
    /// Searches of [`Mode::Sketch`] need the least memory; codes for [`Mode::Certified`] are kept where that is the port's mode.
    pub fn gallery_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.gallery_file = Some(path.into());
        self
    }

    /// A gallery that is kept elsewhere, to be searched in place of the register's templates (default: none): see
    /// [`PortBuilder::remote_gallery`](super::PortBuilder::remote_gallery).
    pub fn remote_gallery(mut self, gallery: Arc<dyn RemoteGallery>) -> Self {
        self.remote = Some(gallery);
        self
    }

    /// Whether the register is checked when the port is opened (default: yes). No lane admits anybody before a check.
    pub fn check(mut self, check: bool) -> Self {
        self.check = check;
        self
    }

    /// By which contract searches may skip references (default: [`Mode::Certified`]).
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether one search uses all threads of the current thread pool (default: the calling thread only, which serves
    /// several lanes best).
    pub fn parallel(mut self, parallel: bool) -> Self {
        self.parallel = parallel;
        self
    }

    /// Where the time of a passage comes from (default: the system's clock).
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    pub(super) fn open(self, mut progress: impl FnMut(OpenStage, u64, u64) + Send) -> Result<Port, OpenError> {
        let policy = self.read_policy()?;
        let claims = self.claims()?;
        let mut models = Models::builtin()?;
        for folder in &self.models {
            models.add_folder(folder)?;
        }
        let detector = self.detector.as_deref().map_or_else(|| models.default_detector(), Ok)?;
        let embedder = self.embedder.as_deref().map_or_else(|| models.default_embedder(), Ok)?;
        let (mut detector, embedder) = (models.detector(detector)?, models.embedder(embedder)?);
        if let Some(side) = self.detector_size {
            detector = detector.with_input_size(side)?;
        }
        // A lane's traveller stands within reach; a picture may show anybody.
        let lane = || SmallestFace::Share(LANE_FACE);
        if let Some(smallest) = self.smallest_face.or_else(|| policy.is_some().then(lane)) {
            detector = detector.with_smallest_face(smallest);
        }
        let named = self.pad.iter().map(String::as_str);
        let pad: Vec<_> = if self.pad.is_empty() { models.pad_names().collect() } else { named.collect() };
        let pad = if pad.is_empty() { None } else { Some(models.pad(pad)?) };

        // A new register's model is the one that is asked for: where it does not serve the policy, none is made.
        if matches!(self.access, Access::Create) && !self.register.exists() {
            calibration(&embedder, policy.as_deref())?;
        }
        let register = Arc::new(open_register(&self.register, self.access, self.key_file, self.keys, self.witness)?);
        let (embedder, choice) = match &policy {
            Some(policy) => {
                let (embedder, choice) = ModelChoice::make(embedder, &models, &register, policy)?;
                tracing::info!(model = %choice, "the port's model was chosen");
                (embedder, Some(choice))
            }
            None => (embedder, None),
        };
        let embedder = embedder.with_flip(self.flip);
        let calibration = calibration(&embedder, policy.as_deref())?;
        let model = embedder.model_id();
        known(&register, &embedder, self.add_model)?;
        let loading = |done, total| progress(OpenStage::Loading, done, total);
        let references = match self.gallery_file {
            Some(path) => {
                let certified = self.mode == Mode::Certified;
                let settings = move |gallery: GalleryBuilder| gallery.certified_codes(certified);
                References::load_on_file(register, model, path, settings, loading)?
            }
            None => References::load(register, model, loading)?,
        };
        if self.check {
            references.check(|done, total| progress(OpenStage::Checking, done, total))?;
        }
        let mut extractor = Extractor::new(detector, embedder).with_selection(self.selection);
        extractor = extractor.with_orientation(self.orientation);
        if let Some(pad) = pad {
            extractor = extractor.with_pad(pad);
        }
        if let Some(occlusion) = models.any_occlusion()? {
            extractor = extractor.with_occlusion(occlusion);
        }
        let mut builder = Port::builder(references)
            .extractor(extractor)
            .claims(claims)
            .mode(self.mode)
            .parallel(self.parallel)
            .clock(self.clock);
        if let Some(remote) = self.remote {
            builder = builder.remote_gallery(remote);
        }
        if let Some(calibration) = calibration {
            builder = builder.calibration(calibration);
        }
        if let Some(choice) = choice {
            builder = builder.model_choice(choice);
        }
        if let Some(policy) = policy {
            builder = builder.policy(policy);
        }
        if let Some(port) = self.port {
            builder = builder.port(port);
        }
        Ok(builder.build()?)
    }

    fn read_policy(&self) -> Result<Option<Arc<Policy>>, OpenError> {
        Ok(match &self.policy {
            PolicyFrom::Nowhere => None,
            PolicyFrom::File(path) => Some(Arc::new(Policy::open(path)?)),
            PolicyFrom::Value(policy) => Some(Arc::clone(policy)),
        })
    }

    fn claims(&self) -> Result<ClaimVerifier, OpenError> {
        let mut claims = ClaimVerifier::default();
        if let Some(path) = &self.claim_issuer {
            let pem = std::fs::read_to_string(path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
            claims.trust_pem(&pem).map_err(|source| OpenError::ClaimKey { path: path.clone(), source })?;
        }
        Ok(claims)
    }
}

fn open_register(
    path: &Path,
    access: Access,
    key_file: Option<PathBuf>,
    keys: Option<Box<dyn KeySource>>,
    witness: Option<PathBuf>,
) -> Result<Register, OpenError> {
    let keys: Arc<dyn KeySource> = match (keys, key_file) {
        (Some(keys), _) => keys.into(),
        (None, Some(path)) => Arc::new(KeyFile::open(path)?),
        (None, None) => return Err(OpenError::NoKeys),
    };
    let mut options = RegisterOptions::new();
    if let Some(witness) = witness {
        options = options.witness(WitnessFile::new(witness));
    }
    let opened = match access {
        Access::ReadOnly => options.open_read_only(path, keys),
        Access::Create if !path.exists() => match options.create(path, Arc::clone(&keys)) {
            // Another process made it at this very moment.
            Err(StoreError::Exists { .. }) => options.open(path, keys),
            created => created,
        },
        Access::ReadWrite | Access::Create => options.open(path, keys),
    };
    Ok(opened?)
}

/// A port without rules may have an embedder that was never calibrated: its host states thresholds itself.
fn calibration(embedder: &Embedder, policy: Option<&Policy>) -> Result<Option<Calibration>, OpenError> {
    let name = || embedder.name().to_owned();
    if embedder.calibrations().is_empty() {
        let missing =
            policy.map(|policy| MissingPopulation { missing: policy.populations().to_vec(), known: Vec::new() });
        return missing.map_or(Ok(None), |source| Err(OpenError::Population { embedder: name(), source }));
    }
    let calibration = Calibration::from_manifest(embedder.model_id(), embedder.calibrations())
        .map_err(|source| OpenError::Calibration { embedder: name(), source })?;
    match policy.map(|policy| calibration.for_policy(policy)) {
        Some(Err(source)) => Err(OpenError::Population { embedder: name(), source }),
        Some(Ok(served)) => Ok(Some(served)),
        None => Ok(Some(calibration)),
    }
}

/// A register that holds templates of other models alone says which; an empty one takes any.
fn known(register: &Register, embedder: &Embedder, add_model: bool) -> Result<(), StoreError> {
    match register.protection(embedder.model_id()) {
        Err(StoreError::OtherModel { present, .. }) if present.is_empty() || add_model => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}
