//! The gallery that follows a register: what a lane searches.

mod on_file;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use clearlane_match::{
    Enrolment, Gallery, GalleryBuilder, GalleryError, GalleryFileError, Precision, SearchOptions, SearchOutcome,
};
use clearlane_store::{Changes, Position, Register, Report, StoreError, StoredTemplate, TemplateProtection};
use clearlane_template::{ModelId, SubjectId, Template, shown};

/// The references of one model in a register, in memory and ready to be searched; any number of lanes share them.
///
/// The register is the truth. [`References::refresh`] brings in what this or another process changed since, without
/// loading all again and without holding up a search.
pub struct References {
    register: Arc<Register>,
    model: ModelId,
    settings: Box<dyn Fn(GalleryBuilder) -> GalleryBuilder + Send + Sync>,
    /// The file that keeps the gallery's rows, where they are not kept in memory.
    file: Option<PathBuf>,
    /// `None` until the register has a first template of the model.
    state: RwLock<Option<Arc<State>>>,
    /// What the state corresponds to. Held while the state is changed, so that changes are applied one after another.
    position: Mutex<Position>,
    checks: Mutex<Checks>,
}

/// What this process knows of the register's soundness.
#[derive(Default)]
struct Checks {
    /// Whether the last check found it sound, and nothing was noted since that check began.
    sound: bool,
    /// Whether a check in this process ever found it sound.
    checked: bool,
    /// Faults that were noted: a check that began before one says nothing of it.
    faults: u64,
    /// Whether the register knows of one of them.
    noted: bool,
}

/// A gallery and the template protection that probes need for it: they belong together, and change together when the register gets a
/// new key.
struct State {
    protection: Arc<TemplateProtection>,
    gallery: Gallery,
}

/// Templates that are added to the gallery together while it is loaded: enough for all threads to encode them.
const AT_ONCE: usize = 1 << 14;

/// What a [`References::refresh`] brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Whether everything was loaded again, since the register got a new key.
    pub reloaded: bool,
    /// Templates that came.
    pub added: usize,
    /// Templates that went.
    pub removed: usize,
    /// Subjects whose details changed, or who were revoked.
    pub subjects: Vec<SubjectId>,
}

/// Why references could not be loaded, refreshed or searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferencesError {
    /// The register failed.
    #[error("the register failed: {0}")]
    Store(#[from] StoreError),
    /// The gallery refused.
    #[error("the gallery refused: {0}")]
    Gallery(#[from] GalleryError),
    /// What stands at the path of the gallery's file is something else, which is not written over.
    #[error(transparent)]
    NotAGallery(GalleryFileError),
}

impl References {
    /// Loads all references of `model`, on all threads of the current rayon pool. `progress` is told how many are loaded
    /// of how many.
    ///
    /// A row that is refused ends the loading: references are whole or not there. A register without any template of the
    /// model gives references that are empty until it has one.
    pub fn load(
        register: Arc<Register>,
        model: ModelId,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Self, ReferencesError> {
        Self::load_with(register, model, |gallery| gallery, progress)
    }

    /// As [`References::load`], with settings for the gallery.
    pub fn load_with(
        register: Arc<Register>,
        model: ModelId,
        settings: impl Fn(GalleryBuilder) -> GalleryBuilder + Send + Sync + 'static,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Self, ReferencesError> {
        Self::load_any(register, model, None, Box::new(settings), progress)
    }

    /// As [`References::load_with`], with the gallery's rows in a file and only its codes in memory. Rows have eight bits a value
    /// unless `settings` say otherwise.
    ///
    /// The file is a cache of the register, sealed with a key that is derived from the register's present key: where it fits, it
    /// is opened and followed by what changed since it was made; where it does not, or is not there, it is made of the
    /// register, which takes as long as loading does. Where it cannot be written, a warning says so, and the gallery is
    /// loaded into memory. Something else that stands there is an error, and stays.
    pub fn load_on_file(
        register: Arc<Register>,
        model: ModelId,
        path: impl Into<PathBuf>,
        settings: impl Fn(GalleryBuilder) -> GalleryBuilder + Send + Sync + 'static,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Self, ReferencesError> {
        let settings = move |builder: GalleryBuilder| settings(builder.precision(Precision::I8));
        Self::load_any(register, model, Some(path.into()), Box::new(settings), progress)
    }

    fn load_any(
        register: Arc<Register>,
        model: ModelId,
        file: Option<PathBuf>,
        settings: Box<dyn Fn(GalleryBuilder) -> GalleryBuilder + Send + Sync>,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Self, ReferencesError> {
        let references = Self {
            register,
            model,
            settings,
            file,
            state: RwLock::default(),
            position: Mutex::default(),
            checks: Mutex::default(),
        };
        let (state, position) = references.load_state(progress)?;
        *references.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        *references.position.lock().unwrap_or_else(PoisonError::into_inner) = position;
        Ok(references)
    }

    /// Brings in what changed in the register since the last time, and whether a check elsewhere found it unsound. Costs
    /// microseconds where nothing did.
    pub fn refresh(&self) -> Result<Refreshed, ReferencesError> {
        let refreshed = self.follow();
        if let Err(ReferencesError::Store(error)) = &refreshed {
            self.note(error);
        }
        refreshed
    }

    fn follow(&self) -> Result<Refreshed, ReferencesError> {
        let unsound = self.register.last_check()?.is_some_and(|last| last.problems > 0);
        let mut checks = self.checks();
        if unsound {
            (checks.sound, checks.noted) = (false, true);
        } else if checks.noted {
            // Another process has looked into what was noted, and found nothing wrong.
            (checks.sound, checks.noted) = (checks.checked, false);
        }
        drop(checks);
        // What was deleted is tried to be erased for as long as it is not.
        let _ = self.register.erasure();
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        if self.register.position()? == *position {
            return Ok(Refreshed::default());
        }
        let state = self.state();
        let changes = match &state {
            Some(_) => Some(self.register.changes(*position, self.model)?).filter(|changes| !changes.reload),
            None => None,
        };
        let (Some(state), Some(changes)) = (state, changes) else {
            let (state, reached) = self.load_state(|_, _| {})?;
            let added = state.as_ref().map_or(0, |state| state.gallery.len());
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
            *position = reached;
            return Ok(Refreshed { reloaded: true, added, ..Refreshed::default() });
        };
        let (added, removed) = apply(&state.gallery, &changes)?;
        if removed > 0 {
            tidy(state);
        }
        let refreshed = Refreshed { added, removed, subjects: changes.subjects, ..Refreshed::default() };
        *position = changes.position;
        Ok(refreshed)
    }

    /// Searches for a probe, as its model made it. `None` where there are no references.
    pub fn search(
        &self,
        probe: &Template,
        options: &SearchOptions<'_>,
    ) -> Result<Option<SearchOutcome>, ReferencesError> {
        let Some(state) = self.state().filter(|state| !state.gallery.is_empty()) else { return Ok(None) };
        let probe = state.protection.apply(probe)?;
        match state.gallery.search(&probe, options) {
            // The last one was withdrawn between the two lines above.
            Err(GalleryError::Empty) => Ok(None),
            outcome => Ok(Some(outcome?)),
        }
    }

    /// The best comparison score of a probe with one subject's references, straight from the register; `None` where it has
    /// none of this model.
    pub fn score(&self, subject: SubjectId, probe: &Template) -> Result<Option<f32>, ReferencesError> {
        best_score(&self.register, self.model, subject, probe)
    }

    /// Whether the register passed its last [`References::check`], and no fault was noted since that began. Until a first one
    /// it has not, and no lane opens.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.checks().sound
    }

    /// Checks the whole register: the root and all that it binds, structure, seals, and the chain of its records. Lanes open
    /// only while the last check, by whichever process, found nothing wrong.
    pub fn check(&self, progress: impl FnMut(u64, u64)) -> Result<Report, ReferencesError> {
        let faults = self.checks().faults;
        let report = self.register.check(progress)?;
        let mut checks = self.checks();
        checks.sound = report.is_sound() && report.keyed && checks.faults == faults;
        checks.checked |= checks.sound;
        checks.noted &= !checks.sound;
        Ok(report)
    }

    /// Takes note of what a failure says about the register: after a row that is refused, nobody passes until a check, in
    /// whichever process.
    pub(crate) fn note(&self, failure: &StoreError) {
        if matches!(failure, StoreError::Refused { .. } | StoreError::Corrupt { .. }) {
            let mut checks = self.checks();
            checks.faults += 1;
            checks.sound = false;
            // One is enough for all processes; one that cannot be noted is tried again at the next.
            if !checks.noted {
                match self.register.note_fault() {
                    Ok(()) => checks.noted = true,
                    Err(error) => tracing::error!(%error, "a fault could not be noted in the register"),
                }
            }
        }
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The register that is followed.
    #[must_use]
    pub fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// The model that made the references, and has to make the probes.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.model
    }

    /// How many references there are: the N of a 1:N search.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().map_or(0, |state| state.gallery.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many subjects have a reference.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.state().map_or(0, |state| state.gallery.subjects())
    }

    fn state(&self) -> Option<Arc<State>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn load_state(
        &self,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<(Option<Arc<State>>, Position), ReferencesError> {
        // Read before the model is looked for: what comes later is found by the next refresh.
        let before = self.register.position()?;
        let protection = match self.register.protection(self.model) {
            Err(StoreError::OtherModel { .. }) => return Ok((None, before)),
            protection => protection?,
        };
        let builder = || (self.settings)(Gallery::builder(protection.protected_model(), protection.dimension()));
        if let Some(path) = &self.file {
            if let Some((gallery, position)) = on_file::open(&self.register, self.model, builder(), path)? {
                return Ok((Some(Arc::new(State { protection, gallery })), position));
            }
            match on_file::write(&self.register, self.model, builder(), path, &mut progress)? {
                Ok(()) => {
                    tracing::info!(path = %shown(path), "the gallery's file was made of the register");
                    if let Some((gallery, position)) = on_file::open(&self.register, self.model, builder(), path)? {
                        return Ok((Some(Arc::new(State { protection, gallery })), position));
                    }
                }
                Err(reason) => {
                    tracing::warn!(%reason, "the gallery is kept in memory, since its file could not be made");
                }
            }
        }
        let gallery = builder().build()?;
        let (mut loaded, mut waiting, mut refusal) = (0, Vec::new(), None);
        let position = self.register.load(self.model, |mut batch, total| {
            if refusal.is_some() {
                return;
            }
            if loaded == 0 {
                refusal = gallery.try_reserve(total as usize).err();
                waiting.reserve_exact(AT_ONCE.min(total as usize));
            }
            loaded += batch.len() as u64;
            waiting.append(&mut batch);
            if refusal.is_none() && waiting.len() >= AT_ONCE {
                refusal = gallery.extend(&enrolments(&waiting)).err();
                waiting.clear();
                progress(loaded, total);
            }
        })?;
        // What is left comes in however many the register counted: its rows are verified, that count is not.
        if refusal.is_none() && !waiting.is_empty() {
            refusal = gallery.extend(&enrolments(&waiting)).err();
            progress(loaded, loaded);
        }
        match refusal {
            Some(refusal) => Err(refusal.into()),
            None => Ok((Some(Arc::new(State { protection, gallery })), position)),
        }
    }
}

impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("References").field("model", &self.model).field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The best score of a probe, as its model made it, with one subject's templates of that model in a register; `None` where
/// there are none.
pub(crate) fn best_score(
    register: &Register,
    model: ModelId,
    subject: SubjectId,
    probe: &Template,
) -> Result<Option<f32>, ReferencesError> {
    let references = match register.templates(subject, model) {
        Err(StoreError::OtherModel { .. }) => return Ok(None),
        references => references?,
    };
    if references.is_empty() {
        return Ok(None);
    }
    let probe = register.protection(model)?.apply(probe)?;
    let scores = references.iter().map(|reference| probe.score(&reference.template));
    Ok(scores.collect::<Result<Vec<_>, _>>().map_err(StoreError::from)?.into_iter().max_by(f32::total_cmp))
}

/// Gives the memory of withdrawn rows back where it is much, beside whatever goes on.
fn tidy(state: Arc<State>) {
    if state.gallery.memory().is_wasteful() {
        rayon::spawn(move || {
            if let Err(error) = state.gallery.tidy() {
                tracing::warn!(%error, "withdrawn templates keep their memory");
            }
        });
    }
}

/// Brings a register's changes into a gallery, and says how many templates came and went.
fn apply(gallery: &Gallery, changes: &Changes) -> Result<(usize, usize), GalleryError> {
    let mut removed = 0;
    for &template in &changes.removed {
        // The register names templates of every model here; those of others are not in this gallery.
        match gallery.remove(template) {
            Ok(_) => removed += 1,
            Err(GalleryError::UnknownTemplate { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    // After an error halfway, some are there already when they are brought again.
    let new: Vec<_> = changes.added.iter().filter(|template| !gallery.contains(template.id)).collect();
    gallery.extend(&enrolments(new.iter().copied()))?;
    Ok((new.len(), removed))
}

fn enrolments<'a>(templates: impl IntoIterator<Item = &'a StoredTemplate>) -> Vec<Enrolment<'a>> {
    let enrolment =
        |stored: &'a StoredTemplate| Enrolment { subject: stored.subject, id: stored.id, template: &stored.template };
    templates.into_iter().map(enrolment).collect()
}
