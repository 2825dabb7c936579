//! A model of a disk under one folder: what of it is durable, what is only written, and what a power cut leaves.
//!
//! The files themselves hold what a running process sees. With them is kept what a disk holds for certain (each file's
//! durable bytes, and the folder's durable names), and in order what came since: writes, truncations, changes of names.
//! Syncing a file makes its bytes durable, syncing the folder its names, as POSIX has it and no more.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::{fs, mem};

use rusqlite::ffi;

use crate::support::Random;

/// A call that can fail, or be the last before a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Open,
    Delete,
    Access,
    Read,
    Write,
    Truncate,
    Sync,
    Size,
    Lock,
    Unlock,
    Reserved,
    Map,
    LockShared,
    /// The store's own `sync_all` of a file or of the folder, not SQLite's.
    OwnSync,
}

impl Call {
    /// The errors that it may return.
    fn errors(self) -> &'static [i32] {
        match self {
            Self::Open => &[ffi::SQLITE_CANTOPEN],
            Self::Delete => &[ffi::SQLITE_IOERR_DELETE],
            Self::Access => &[ffi::SQLITE_IOERR_ACCESS],
            Self::Read => &[ffi::SQLITE_IOERR_READ],
            Self::Write => &[ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_FULL],
            Self::Truncate => &[ffi::SQLITE_IOERR_TRUNCATE],
            Self::Sync | Self::OwnSync => &[ffi::SQLITE_IOERR_FSYNC],
            Self::Size => &[ffi::SQLITE_IOERR_FSTAT],
            Self::Lock => &[ffi::SQLITE_IOERR_LOCK, ffi::SQLITE_BUSY],
            Self::Unlock => &[ffi::SQLITE_IOERR_UNLOCK],
            Self::Reserved => &[ffi::SQLITE_IOERR_CHECKRESERVEDLOCK],
            Self::Map => &[ffi::SQLITE_IOERR_SHMMAP, ffi::SQLITE_IOERR_SHMSIZE],
            Self::LockShared => &[ffi::SQLITE_IOERR_SHMLOCK, ffi::SQLITE_BUSY],
        }
    }
}

/// What goes wrong, and when. Calls are counted from 1, from the moment the plan is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plan {
    Nothing,
    /// This call fails.
    Error {
        at: u64,
    },
    /// This call fails and all that come after it.
    Errors {
        from: u64,
    },
    /// The power goes before this call does anything.
    Cut {
        at: u64,
    },
}

/// How the disk takes a sync.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Honesty {
    Honest,
    /// It says yes and syncs nothing, but keeps the order: a power cut takes back a moment's work, or an hour's.
    LiesInOrder,
    /// It says yes and does it or not, and what is not synced is kept in any order.
    Lies,
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Go,
    Fail(i32),
    /// A write stops half-way, and the error is told.
    Short(i32),
}

/// Files by name.
pub type Image = BTreeMap<OsString, Vec<u8>>;

pub type NodeId = usize;

enum Change {
    Write {
        node: NodeId,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        node: NodeId,
        length: usize,
    },
    /// One file's names that came and went, in one step as a rename has it.
    Names(Vec<(OsString, Option<NodeId>)>),
}

/// A file, whatever its names.
#[derive(Default)]
struct Node {
    durable: Vec<u8>,
    /// Whether SQLite opened it, so that its writes are known. What others wrote is read when it matters.
    followed: bool,
}

struct State {
    plan: Plan,
    honesty: Honesty,
    calls: u64,
    /// The call that failed first.
    fired: Option<Call>,
    random: Random,
    nodes: Vec<Node>,
    inodes: HashMap<u64, NodeId>,
    /// The names as a running process sees them.
    seen: BTreeMap<OsString, NodeId>,
    durable: BTreeMap<OsString, NodeId>,
    log: Vec<Change>,
    remains: Option<Image>,
}

pub struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
}

/// The disks of this process.
static DISKS: Mutex<Vec<Weak<Disk>>> = Mutex::new(Vec::new());

/// The disk that a path is on, if it is on one of these.
pub fn of(path: &Path) -> Option<Arc<Disk>> {
    let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut live = disks.iter().filter_map(Weak::upgrade);
    live.find(|disk| path == disk.folder || path.parent() == Some(&disk.folder))
}

impl Disk {
    /// A disk under `folder`, where all that is there is durable.
    pub fn new(folder: &Path, seed: u64) -> Arc<Self> {
        crate::vfs::install();
        let mut state = State {
            plan: Plan::Nothing,
            honesty: Honesty::Honest,
            calls: 0,
            fired: None,
            random: Random(seed),
            nodes: Vec::new(),
            inodes: HashMap::new(),
            seen: BTreeMap::new(),
            durable: BTreeMap::new(),
            log: Vec::new(),
            remains: None,
        };
        let folder = folder.canonicalize().unwrap();
        state.look(&folder);
        state.log.clear();
        state.durable.clone_from(&state.seen);
        for (name, &node) in &state.seen {
            state.nodes[node].durable = fs::read(folder.join(name)).unwrap();
        }
        let disk = Arc::new(Self { folder, state: Mutex::new(state) });
        let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        disks.retain(|disk| disk.strong_count() > 0);
        disks.push(Arc::downgrade(&disk));
        disk
    }

    /// Calls are counted anew, and go wrong as planned.
    pub fn plan(&self, plan: Plan) {
        let mut state = self.state();
        (state.plan, state.calls) = (plan, 0);
    }

    pub fn sync_with(&self, honesty: Honesty) {
        self.state().honesty = honesty;
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The call that went wrong, if one did.
    pub fn fired(&self) -> Option<Call> {
        self.state().fired
    }

    pub fn is_cut(&self) -> bool {
        self.state().remains.is_some()
    }

    /// The power goes now.
    pub fn cut(&self) {
        self.state().cut(&self.folder);
    }

    /// What was found after the power cut.
    pub fn remains(&self) -> Image {
        self.state().remains.clone().unwrap()
    }

    /// Whether a call may go on. It is counted.
    pub fn enter(&self, call: Call) -> Verdict {
        let mut state = self.state();
        if state.remains.is_some() {
            return Verdict::Fail(ffi::SQLITE_IOERR);
        }
        state.calls += 1;
        let due = match state.plan {
            Plan::Nothing => false,
            Plan::Error { at } | Plan::Cut { at } => state.calls == at,
            Plan::Errors { from } => state.calls >= from,
        };
        if !due {
            return Verdict::Go;
        }
        state.fired.get_or_insert(call);
        if matches!(state.plan, Plan::Cut { .. }) {
            state.cut(&self.folder);
            return Verdict::Fail(ffi::SQLITE_IOERR);
        }
        // A lock that is busy for ever is another matter than a disk that fails.
        let errors = if matches!(state.plan, Plan::Error { .. }) { call.errors() } else { &call.errors()[..1] };
        let error = errors[state.random.below(errors.len() as u64) as usize];
        if call == Call::Write && state.random.below(2) == 0 { Verdict::Short(error) } else { Verdict::Fail(error) }
    }

    /// The file of this name, which SQLite opened: its writes are told from now on.
    pub fn opened(&self, name: &OsStr) -> NodeId {
        let mut state = self.state();
        state.look(&self.folder);
        let node = state.seen[name];
        if !mem::replace(&mut state.nodes[node].followed, true) && !state.durable.values().any(|known| *known == node) {
            state.take_in(&self.folder, name, node);
        }
        node
    }

    /// Names may have changed.
    pub fn renamed(&self) {
        self.state().look(&self.folder);
    }

    pub fn wrote(&self, node: NodeId, at: usize, bytes: &[u8]) {
        self.state().log.push(Change::Write { node, at, bytes: bytes.to_vec() });
    }

    pub fn truncated(&self, node: NodeId, length: usize) {
        self.state().log.push(Change::Truncate { node, length });
    }

    pub fn synced(&self, node: NodeId) {
        self.state().sync(|change| change.node() == Some(node));
    }

    /// A sync that failed. Some of what was to be synced is on the disk; the rest no later sync will bring there, since
    /// the system takes its pages for clean.
    pub fn failed_to_sync(&self, node: NodeId) {
        let mut state = self.state();
        let (due, rest): (Vec<_>, Vec<_>) =
            mem::take(&mut state.log).into_iter().partition(|change| change.node() == Some(node));
        state.log = rest;
        for change in due {
            if state.random.below(2) == 0 {
                state.make_durable(change);
            }
        }
    }

    /// The folder itself was synced.
    pub fn synced_names(&self) {
        let mut state = self.state();
        state.look(&self.folder);
        state.sync(|change| change.node().is_none());
    }

    /// A file was synced by another than SQLite.
    pub fn synced_by_store(&self, name: &OsStr) {
        let mut state = self.state();
        state.look(&self.folder);
        let Some(&node) = state.seen.get(name) else { return };
        if !state.nodes[node].followed {
            state.take_in(&self.folder, name, node);
        }
        state.sync(|change| change.node() == Some(node));
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn node(&self) -> Option<NodeId> {
        match self {
            Self::Write { node, .. } | Self::Truncate { node, .. } => Some(*node),
            Self::Names(_) => None,
        }
    }
}

impl State {
    /// Finds out which names there are, and notes what changed.
    fn look(&mut self, folder: &Path) {
        let mut found = BTreeMap::new();
        let mut inodes = HashMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            // The index of a write-ahead log is memory, not a file.
            if entry.file_name().as_encoded_bytes().ends_with(b"-shm") {
                continue;
            }
            // One that has gone since is not there.
            let Ok(metadata) = entry.metadata() else { continue };
            let node = *self.inodes.get(&metadata.ino()).unwrap_or(&self.nodes.len());
            if node == self.nodes.len() {
                self.nodes.push(Node::default());
            }
            self.inodes.insert(metadata.ino(), node);
            inodes.insert(metadata.ino(), node);
            found.insert(entry.file_name(), node);
        }
        // An inode's number may be given to another file once it is free.
        self.inodes = inodes;
        let mut changed: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        for (name, &node) in self.seen.iter().filter(|(name, node)| found.get(*name) != Some(node)) {
            changed.entry(node).or_default().push((name.clone(), None));
        }
        for (name, &node) in found.iter().filter(|(name, node)| self.seen.get(*name) != Some(node)) {
            changed.entry(node).or_default().push((name.clone(), Some(node)));
        }
        self.log.extend(changed.into_values().map(Change::Names));
        self.seen = found;
    }

    /// Reads what another than SQLite wrote to a file.
    fn take_in(&mut self, folder: &Path, name: &OsStr, node: NodeId) {
        let bytes = fs::read(folder.join(name)).unwrap();
        self.log.push(Change::Truncate { node, length: bytes.len() });
        if !bytes.is_empty() {
            self.log.push(Change::Write { node, at: 0, bytes });
        }
    }

    fn sync(&mut self, covers: impl Fn(&Change) -> bool) {
        let lies = match self.honesty {
            Honesty::Honest => false,
            Honesty::LiesInOrder => true,
            Honesty::Lies => self.random.below(2) == 0,
        };
        if lies {
            return;
        }
        let (due, rest): (Vec<_>, Vec<_>) = mem::take(&mut self.log).into_iter().partition(covers);
        self.log = rest;
        for change in due {
            self.make_durable(change);
        }
    }

    fn make_durable(&mut self, change: Change) {
        match change {
            Change::Write { node, at, bytes } => write(&mut self.nodes[node].durable, at, &bytes),
            Change::Truncate { node, length } => self.nodes[node].durable.resize(length, 0),
            Change::Names(names) => rename(&mut self.durable, names),
        }
    }

    fn cut(&mut self, folder: &Path) {
        if self.remains.is_some() {
            return;
        }
        self.look(folder);
        for (name, node) in self.seen.clone() {
            if !self.nodes[node].followed && !self.durable.values().any(|known| *known == node) {
                self.take_in(folder, &name, node);
            }
        }
        let log = mem::take(&mut self.log);
        let random = &mut self.random;
        let all = log.len();
        let way = if self.honesty == Honesty::LiesInOrder { 2 } else { random.below(8) };
        match way {
            // Nothing that was not synced is there,
            0 => {}
            // or all of it, as after `kill -9`,
            1 => log.into_iter().for_each(|change| self.make_durable(change)),
            // or all up to some moment, the last write cut short,
            2 | 3 => {
                let kept = random.below(all as u64 + 1) as usize;
                for (place, mut change) in log.into_iter().take(kept).enumerate() {
                    if place + 1 == kept
                        && let Change::Write { bytes, .. } = &mut change
                    {
                        bytes.truncate(self.random.below(bytes.len() as u64 + 1) as usize);
                    }
                    self.make_durable(change);
                }
            }
            // or some of it, in any order.
            _ => {
                let sector = [512, 4096][random.below(2) as usize];
                for change in log {
                    self.keep_some(change, sector);
                }
            }
        }
        let file = |(name, &node): (&OsString, &NodeId)| (name.clone(), self.nodes[node].durable.clone());
        self.remains = Some(self.durable.iter().map(file).collect());
    }

    /// Keeps a change, or not; of a write perhaps some sectors, and in place of others what happened to lie there.
    fn keep_some(&mut self, change: Change, sector: usize) {
        match (self.random.below(3), change) {
            (0, _) => {}
            (1, Change::Write { node, at, bytes }) => {
                let mut from = 0;
                while from < bytes.len() {
                    let to = bytes.len().min(from + sector - (at + from) % sector);
                    match self.random.below(16) {
                        0 => {
                            let noise: Vec<u8> = (from..to).map(|_| self.random.next() as u8).collect();
                            write(&mut self.nodes[node].durable, at + from, &noise);
                        }
                        1..=8 => write(&mut self.nodes[node].durable, at + from, &bytes[from..to]),
                        _ => {}
                    }
                    from = to;
                }
            }
            (_, change) => self.make_durable(change),
        }
    }
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    file.resize(file.len().max(at + bytes.len()), 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn rename(names: &mut BTreeMap<OsString, NodeId>, changes: Vec<(OsString, Option<NodeId>)>) {
    for (name, node) in changes {
        match node {
            Some(node) => _ = names.insert(name, node),
            None => _ = names.remove(&name),
        }
    }
}

/// Puts files into a folder.
pub fn lay_out(image: &Image, folder: &Path) {
    for (name, bytes) in image {
        fs::write(folder.join(name), bytes).unwrap();
    }
}
