//! Templates out of the register and into a gallery: all of them once, then what changed.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use clearlane_template::{ModelId, SubjectId, TemplateId};
use parking_lot::Mutex;
use rayon::prelude::*;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::canonical::Canonical;
use crate::error::Sql as _;
use crate::roster::ModelSlot;
use crate::seal::{Place, RegisterKey};
use crate::state::State;
use crate::table::Table;
use crate::tables::{ChangeRow, RootRow, TemplateRow};
use crate::tree::{self, Hash, Tree};
use crate::{Fault, ImageDigest, Register, Result, Row, StoreError, StoredTemplate, TemplateProtection};

/// How many template ids one task reads.
const CHUNK: i64 = 1024;

/// How often loading tries to see one state with all its connections. A try takes microseconds, a commit milliseconds.
const SNAPSHOT_ATTEMPTS: usize = 1000;

/// A state of the register, to be compared with a later one. Opaque; may be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    template: i64,
    change: i64,
    /// Of all changes until then: what came since is held against it.
    change_hash: Hash,
    key: i64,
    keys: i64,
}

impl Position {
    fn of(state: &State<'_>) -> Self {
        let RootRow { last_template, last_change, change_hash, key, .. } = state.root;
        let keys = state.roster.keys.len() as i64;
        Self { template: last_template, change: last_change, change_hash, key, keys }
    }

    /// Whether no template came to a state since.
    pub(crate) fn holds_templates_of(&self, state: &State<'_>) -> bool {
        self.template == state.root.last_template
    }
}

/// What tells the history that led to a [`Position`] from others of the same register, such as that of a backup which was restored and
/// went on otherwise: the newest template that stood then, whatever its model, with the hash that binds its row. A row has a drawn
/// nonce in it, so that not even the same picture of the same person gives the same one again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    template: i64,
    row: Hash,
}

/// What became of a model's templates, and of subjects, after a [`Position`].
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The register has a new key: all templates are protected by it now, and have to be loaded again.
    pub reload: bool,
    /// Templates that came. One that came and went since is not among them.
    pub added: Vec<StoredTemplate>,
    /// Templates that went, whatever their model.
    pub removed: Vec<TemplateId>,
    /// Subjects whose details changed, or who were revoked.
    pub subjects: Vec<SubjectId>,
    /// The state that these changes lead to.
    pub position: Position,
}

impl Register {
    /// The register's present state. Costs microseconds: two threads or processes see that something changed by
    /// comparing positions.
    pub fn position(&self) -> Result<Position> {
        self.read(|state| Ok(Position::of(state)))
    }

    /// The anchor of what was enrolled until `position`, as it stands now. It is another one once that template is withdrawn.
    pub fn anchor(&self, position: Position) -> Result<Anchor> {
        self.read(|state| {
            let newest = "SELECT max(id) FROM template WHERE id <= ?1";
            let newest: Option<i64> =
                state.connection.query_row(newest, [position.template], |row| row.get(0)).sql()?;
            let Some(template) = newest else { return Ok(Anchor::default()) };
            Ok(Anchor { template, row: state.leaf(Tree::Templates, template as u64)? })
        })
    }

    /// What another process, or another thread, changed after `since`.
    pub fn changes(&self, since: Position, model: ModelId) -> Result<Changes> {
        self.read(|state| {
            let position = Position::of(state);
            let mut changes = Changes {
                reload: position.key != since.key || since.template > position.template,
                added: vec![],
                removed: vec![],
                subjects: vec![],
                position,
            };
            let mut hash = since.change_hash;
            for row in ChangeRow::select(state.connection, "WHERE seq > ?1 ORDER BY seq", [since.change])? {
                let row = row.map_err(|fault| Row::Changes.refused(fault))?;
                hash = row.hash(&hash);
                match row.template {
                    Some(template) => changes.removed.push(template),
                    None => changes.subjects.push(row.subject),
                }
            }
            if state.is_keyed() && hash != position.change_hash {
                return Err(Row::Changes.refused(Fault::Unbound));
            }
            if !changes.reload && position.template > since.template {
                let opener = Opener::new(state, model)?;
                changes.added = opener.range(state, since.template + 1..=position.template)?;
            }
            Ok(changes)
        })
    }

    /// Opens all templates of a model, in the order of their ids, and hands them to `sink` in batches. With each
    /// batch `sink` gets how many templates there are in all.
    ///
    /// Works on all threads of the current rayon pool, and opens the next batch while `sink` has the last. Returns the
    /// state that was loaded, from which [`Self::changes`] goes on. The first row that is refused ends the loading:
    /// a gallery is whole or not there.
    pub fn load(&self, model: ModelId, mut sink: impl FnMut(Vec<StoredTemplate>, u64) + Send) -> Result<Position> {
        let threads = rayon::current_num_threads();
        let connections = self.snapshot(threads)?;
        let (opener, position, total) = self.on(&connections[0], |state| {
            let opener = Opener::new(state, model)?;
            let count = "SELECT count(*) FROM template WHERE model = ?1";
            let total: i64 = state.connection.query_row(count, [opener.model.slot], |row| row.get(0)).sql()?;
            Ok((opener, Position::of(state), total as u64))
        })?;
        // A wave is what all threads open together: some chunks each, so that none waits long for the others.
        let wave = CHUNK * 2 * threads as i64;
        let open = |first: i64| -> Result<Vec<Vec<StoredTemplate>>> {
            let chunks = (first..=position.template.min(first + wave - 1)).step_by(CHUNK as usize);
            chunks
                .collect::<Vec<_>>()
                .into_par_iter()
                .map(|from| {
                    let connection = &connections[rayon::current_thread_index().unwrap_or(0) % threads];
                    self.on(connection, |state| opener.range(state, from..=position.template.min(from + CHUNK - 1)))
                })
                .collect()
        };
        let mut opened = open(1)?;
        let mut next = 1 + wave;
        loop {
            let deliver = || opened.into_iter().filter(|batch| !batch.is_empty()).for_each(|batch| sink(batch, total));
            if next > position.template {
                deliver();
                return Ok(position);
            }
            let ((), following) = rayon::join(deliver, || open(next));
            opened = following?;
            next += wave;
        }
    }

    /// Several connections that all see the same state of the register, and go on seeing it until they are closed.
    fn snapshot(&self, count: usize) -> Result<Vec<Mutex<Connection>>> {
        let connections = (0..count).map(|_| self.another_reader()).collect::<Result<Vec<_>>>()?;
        // Each sees the state at its own first read: where a writer came between, all are let go and begin again.
        for _ in 0..SNAPSHOT_ATTEMPTS {
            let begin = |connection: &Connection| -> Result<RootRow> {
                connection.execute_batch("BEGIN").sql()?;
                Ok(State::read(connection, &self.core)?.root)
            };
            let roots = connections.iter().map(|connection| self.located(begin(connection)));
            let roots = roots.collect::<Result<Vec<_>>>()?;
            if roots.iter().all(|root| *root == roots[0]) {
                return Ok(connections.into_iter().map(Mutex::new).collect());
            }
            for connection in &connections {
                self.located(connection.execute_batch("COMMIT").sql())?;
            }
        }
        Err(StoreError::Locked { path: self.path().to_owned(), waited: Duration::ZERO })
    }

    fn on<T>(&self, connection: &Mutex<Connection>, work: impl FnOnce(&State<'_>) -> Result<T>) -> Result<T> {
        let connection = connection.lock();
        self.located(State::read(&connection, &self.core).and_then(|state| work(&state)))
    }

    /// The templates of one subject, of one model.
    pub fn templates(&self, subject: SubjectId, model: ModelId) -> Result<Vec<StoredTemplate>> {
        self.read(|state| {
            let opener = Opener::new(state, model)?;
            let rows = rows_of(state, subject)?;
            let rows = rows.iter().filter(|row| row.model == opener.model.slot);
            rows.map(|row| opener.open_row(row).map_err(|fault| Row::Template(row.id).refused(fault))).collect()
        })
    }

    /// The image that a template was made from, where that was noted.
    pub fn source(&self, template: TemplateId) -> Result<Option<ImageDigest>> {
        self.read(|state| {
            let rows = TemplateRow::select(state.connection, "WHERE id = ?1", [template.0 as i64])?;
            Ok(checked(state, rows)?.pop().and_then(|row| row.source))
        })
    }

    /// The images that a subject's templates, of whatever model, were made from, as far as that was noted.
    pub fn sources(&self, subject: SubjectId) -> Result<Vec<ImageDigest>> {
        self.read(|state| Ok(rows_of(state, subject)?.into_iter().filter_map(|row| row.source).collect()))
    }
}

/// The rows of a subject's templates, of whatever model, each of them verified.
pub(crate) fn rows_of(state: &State<'_>, subject: SubjectId) -> Result<Vec<TemplateRow>> {
    checked(state, TemplateRow::select(state.connection, "WHERE subject = ?1 ORDER BY id", [subject.0 as i64])?)
}

fn checked(state: &State<'_>, rows: Vec<Result<TemplateRow, Fault>>) -> Result<Vec<TemplateRow>> {
    rows.into_iter().map(|row| checked_row(state, row.as_ref().map_or(0, |row| row.id.0 as i64), row)).collect()
}

/// The row, if it is as it was written; `id` names it where it cannot even be read.
pub(crate) fn checked_row(state: &State<'_>, id: i64, row: Result<TemplateRow, Fault>) -> Result<TemplateRow> {
    let refused = |fault| Row::Template(TemplateId(id as u64)).refused(fault);
    let row = row.map_err(refused)?;
    if state.leaf(Tree::Templates, row.id.0)? == row.hash() { Ok(row) } else { Err(refused(Fault::Unbound)) }
}

impl TemplateRow {
    /// Its leaf.
    pub(crate) fn hash(&self) -> Hash {
        tree::leaf(&self.canonical())
    }
}

/// Opens the templates of one model.
pub(crate) struct Opener {
    pub(crate) model: ModelSlot,
    keys: HashMap<i64, (Arc<RegisterKey>, Arc<TemplateProtection>)>,
    current: Arc<TemplateProtection>,
}

impl Opener {
    pub(crate) fn new(state: &State<'_>, model: ModelId) -> Result<Self> {
        let model = state.roster.model(model)?;
        let current = state.key()?.protection(model.id, model.dimension);
        let keys = state.roster.keys.iter().map(|row| {
            let key = state.core.keys.get(row.key_id())?;
            let protection = key.protection(model.id, model.dimension);
            Ok((row.slot, (key, protection)))
        });
        Ok(Self { model, keys: keys.collect::<Result<_>>()?, current })
    }

    /// The templates of a range of ids: each row as it was written, and none missing.
    fn range(&self, state: &State<'_>, ids: RangeInclusive<i64>) -> Result<Vec<StoredTemplate>> {
        let (mut templates, mut encoding) = (Vec::new(), Canonical::new());
        state.rows::<TemplateRow>(Tree::Templates, ids, |id, row, leaf| {
            let refused = |fault| Row::Template(TemplateId(id)).refused(fault);
            let row = row.ok_or_else(|| refused(Fault::Missing))?;
            encoding.clear();
            TemplateRow::encode_stored(row, &mut encoding)?.map_err(refused)?;
            if tree::leaf(&encoding) != leaf {
                return Err(refused(Fault::Unbound));
            }
            let [subject, model, key] = [row.get(1).sql()?, row.get(2).sql()?, row.get(3).sql()?];
            if model == self.model.slot {
                let sealed = row.get_ref(5).sql()?.as_blob().unwrap_or_default();
                let (template, subject) = (TemplateId(id), SubjectId(subject as u64));
                templates.push(self.open(template, subject, key, sealed).map_err(refused)?);
            }
            Ok(())
        })?;
        Ok(templates)
    }

    /// Opens the template of a row.
    pub(crate) fn open_row(&self, row: &TemplateRow) -> Result<StoredTemplate, Fault> {
        self.open(row.id, row.subject, row.key, &row.sealed.0)
    }

    /// Opens one row's template. One that is under an older key, in the middle of a change of keys, is transformed anew.
    fn open(&self, id: TemplateId, subject: SubjectId, key: i64, sealed: &[u8]) -> Result<StoredTemplate, Fault> {
        let (key, protection) = self.keys.get(&key).ok_or(Fault::Dangling { what: "key" })?;
        let place = Place { template: id, subject, model: self.model.id, dimension: self.model.dimension };
        let mut template = key.open_template(place, protection.protected_model(), sealed)?;
        if protection.protected_model() != self.current.protected_model() {
            let renewed = protection.undo(&template).and_then(|plain| self.current.apply(&plain));
            template = renewed.map_err(|_| Fault::Seal)?;
        }
        Ok(StoredTemplate { id, subject, template })
    }
}
