//! Templates out of the register and into a gallery: all of them once, then what changed.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clearlane_template::{ModelId, SubjectId, TemplateId};
use rayon::prelude::*;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::{self, Keys, ModelSlot};
use crate::seal::{Place, RegisterKey};
use crate::{Fault, ImageDigest, KeyId, Register, Result, Row, StoreError, StoredTemplate, Turn};

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
    key: i64,
    keys: i64,
}

/// What became of a model's templates, and of subjects, after a [`Position`].
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The register has a new key: all templates are turned otherwise now, and have to be loaded again.
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
        self.read(position)
    }

    /// What another process, or another thread, changed after `since`.
    pub fn changes(&self, since: Position, model: ModelId) -> Result<Changes> {
        self.read(|connection| {
            let position = position(connection)?;
            let mut changes = Changes {
                reload: position.key != since.key,
                added: vec![],
                removed: vec![],
                subjects: vec![],
                position,
            };
            let mut statement =
                connection.prepare_cached("SELECT subject, template FROM change WHERE seq > ?1 ORDER BY seq")?;
            let mut rows = statement.query([since.change])?;
            while let Some(row) = rows.next()? {
                match row.get::<_, Option<i64>>(1)? {
                    Some(template) => changes.removed.push(TemplateId(template as u64)),
                    None => changes.subjects.push(SubjectId(row.get::<_, i64>(0)? as u64)),
                }
            }
            if !changes.reload && position.template > since.template {
                let opener = Opener::new(connection, &self.keys, model)?;
                changes.added = opener.range(connection, since.template + 1..=position.template)?;
            }
            Ok(changes)
        })
    }

    /// Opens all templates of a model, in the order of their ids, and hands them to `sink` in batches. `sink` gets beside
    /// each batch how many templates there are in all.
    ///
    /// Works on all threads of the current rayon pool, and opens the next batch while `sink` has the last. Returns the
    /// state that was loaded, from which [`Self::changes`] goes on. The first row that is refused ends the loading:
    /// a gallery is whole or not there.
    pub fn load(&self, model: ModelId, mut sink: impl FnMut(Vec<StoredTemplate>, u64) + Send) -> Result<Position> {
        let threads = rayon::current_num_threads();
        let (connections, position) = self.snapshot(threads)?;
        let (opener, total) = self.on(&connections[0], |connection| {
            let opener = Opener::new(connection, &self.keys, model)?;
            let count = "SELECT count(*) FROM template WHERE model = ?1";
            let total: i64 = connection.query_row(count, [opener.model.slot], |row| row.get(0))?;
            Ok((opener, total as u64))
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
                    self.on(connection, |connection| {
                        opener.range(connection, from..=position.template.min(from + CHUNK - 1))
                    })
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
    fn snapshot(&self, count: usize) -> Result<(Vec<Mutex<Connection>>, Position)> {
        let connections = (0..count).map(|_| self.another_reader()).collect::<Result<Vec<_>>>()?;
        // Each sees the state at its own first read: where a writer came between, all are let go and begin again.
        for _ in 0..SNAPSHOT_ATTEMPTS {
            let begin = |connection: &Connection| -> Result<Position> {
                connection.execute_batch("BEGIN")?;
                position(connection)
            };
            let positions = connections.iter().map(|connection| self.located(begin(connection)));
            let positions = positions.collect::<Result<Vec<_>>>()?;
            if positions.iter().all(|position| *position == positions[0]) {
                return Ok((connections.into_iter().map(Mutex::new).collect(), positions[0]));
            }
            for connection in &connections {
                self.located(connection.execute_batch("COMMIT").map_err(StoreError::from))?;
            }
        }
        Err(StoreError::Locked { path: self.path().to_owned(), waited: Duration::ZERO })
    }

    fn on<T>(&self, connection: &Mutex<Connection>, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.located(work(&connection.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The templates of one subject, of one model.
    pub fn templates(&self, subject: SubjectId, model: ModelId) -> Result<Vec<StoredTemplate>> {
        self.read(|connection| {
            let opener = Opener::new(connection, &self.keys, model)?;
            opener.select(connection, "subject BETWEEN ?1 AND ?2", subject.0 as i64, subject.0 as i64)
        })
    }

    /// The image that a template was made from, where that was noted.
    pub fn source(&self, template: TemplateId) -> Result<Option<ImageDigest>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT source FROM template WHERE id = ?1")?;
            let source =
                statement.query_row([template.0 as i64], |row| row.get::<_, Option<[u8; 32]>>(0)).optional()?;
            Ok(source.flatten().map(ImageDigest))
        })
    }

    /// The images that a subject's templates, of whatever model, were made from, as far as that was noted.
    pub fn sources(&self, subject: SubjectId) -> Result<Vec<ImageDigest>> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT source FROM template WHERE subject = ?1 AND source IS NOT NULL ORDER BY id")?;
            let sources = statement.query_map([subject.0 as i64], |row| Ok(ImageDigest(row.get(0)?)))?;
            Ok(sources.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn position(connection: &Connection) -> Result<Position> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'template'), 0),
                coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0),
                (SELECT max(slot) FROM key), (SELECT count(*) FROM key)",
    )?;
    let position = |row: &rusqlite::Row<'_>| {
        Ok(Position { template: row.get(0)?, change: row.get(1)?, key: row.get(2)?, keys: row.get(3)? })
    };
    Ok(statement.query_row([], position)?)
}

/// Opens the templates of one model.
pub(crate) struct Opener {
    pub(crate) model: ModelSlot,
    keys: HashMap<i64, (Arc<RegisterKey>, Arc<Turn>)>,
    current: Arc<Turn>,
}

impl Opener {
    pub(crate) fn new(connection: &Connection, keys: &Keys, model: ModelId) -> Result<Self> {
        let model = keys::model(connection, model)?;
        let key_of = |id: KeyId| -> Result<_> {
            let key = keys.get(id)?;
            let turn = key.turn(model.id, model.dimension);
            Ok((key, turn))
        };
        let current = key_of(keys::current(connection)?.id)?.1;
        let slots = keys::slots(connection)?;
        let keys = slots.into_iter().map(|slot| Ok((slot.slot, key_of(slot.id)?))).collect::<Result<_>>()?;
        Ok(Self { model, keys, current })
    }

    fn range(&self, connection: &Connection, ids: RangeInclusive<i64>) -> Result<Vec<StoredTemplate>> {
        self.select(connection, "id BETWEEN ?1 AND ?2", *ids.start(), *ids.end())
    }

    fn select(&self, connection: &Connection, which: &str, first: i64, last: i64) -> Result<Vec<StoredTemplate>> {
        let query = format!("SELECT id, subject, key, sealed FROM template WHERE {which} AND +model = ?3 ORDER BY id");
        let mut statement = connection.prepare_cached(&query)?;
        let mut rows = statement.query(params![first, last, self.model.slot])?;
        let (mut templates, mut scratch) = (Vec::new(), Zeroizing::default());
        while let Some(row) = rows.next()? {
            let (id, subject) = (TemplateId(row.get::<_, i64>(0)? as u64), SubjectId(row.get::<_, i64>(1)? as u64));
            let sealed = row.get_ref(3)?.as_blob().unwrap_or_default();
            let opened = self.open(id, subject, row.get(2)?, sealed, &mut scratch);
            templates.push(opened.map_err(|fault| Row::Template(id).refused(fault))?);
        }
        Ok(templates)
    }

    /// Opens one row's template. One that is turned by an older key, in the middle of a change of keys, is turned anew.
    pub(crate) fn open(
        &self,
        id: TemplateId,
        subject: SubjectId,
        key: i64,
        sealed: &[u8],
        scratch: &mut Zeroizing<Vec<u8>>,
    ) -> Result<StoredTemplate, Fault> {
        let (key, turn) = self.keys.get(&key).ok_or(Fault::Dangling { what: "key" })?;
        let place = Place { template: id, subject, model: self.model.id, dimension: self.model.dimension };
        let mut template = key.open_template(place, turn.turned_model(), sealed, scratch)?;
        if turn.turned_model() != self.current.turned_model() {
            let renewed = turn.undo(&template).and_then(|plain| self.current.apply(&plain));
            template = renewed.map_err(|_| Fault::Seal)?;
        }
        Ok(StoredTemplate { id, subject, template })
    }
}
