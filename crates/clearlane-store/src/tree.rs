//! The trees that bind rows to the root: a leaf for each row, hashes of 128 leaves in a node, of 128 nodes in the next, and
//! the hash of the topmost in the [root](crate::root).
//!
//! A row is as it was last written if its leaf is the one that the path from the root leads to; so a row that was altered,
//! taken out, or copied back from an older file is found whenever it is read, at the cost of a path, and a change costs a
//! path as well. (Merkle, "A digital signature based on a conventional encryption function", CRYPTO 1987.) The hashes need
//! no key: the root has one.

use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::vec::IntoIter;

use blake3::Hasher;
use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::canonical::Canonical;
use crate::error::Sql as _;
use crate::{Fault, Result, Row};

/// The hash of a row, of a node, or of a whole tree; zeros where there is none.
pub(crate) type Hash = [u8; 32];

/// Nothing: no row, or a tree without leaves.
pub(crate) const NONE: Hash = [0; 32];

/// What is bound by a tree of its own. The numbers stand in the ids of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tree {
    /// A leaf a subject, its documents included; its place is the subject's id.
    Subjects = 1,
    /// A leaf a template, at its id.
    Templates = 2,
    /// A leaf for all claims whose nonces begin with the same bits, which are its place.
    Claims = 3,
}

pub(crate) const TREES: [Tree; 3] = [Tree::Subjects, Tree::Templates, Tree::Claims];

/// Entries of a node: 4 KiB, of which three fill a page.
const FANOUT: u64 = 128;

/// Levels of nodes.
const LEVELS: u32 = 5;

/// Places of a tree: 34 thousand million.
pub(crate) const PLACES: u64 = FANOUT.pow(LEVELS);

/// Nodes that are kept in memory: 16 MiB.
const CACHED: usize = 4096;

/// The hash of a row, or of rows that share a leaf.
pub(crate) fn leaf(rows: &Canonical) -> Hash {
    static CONTEXT: Context = LazyLock::new(|| hash_derive_key_context("clearlane 2026 register leaf"));
    *Hasher::new_from_context_key(&CONTEXT).update(rows.as_bytes()).finalize().as_bytes()
}

/// What a hash is for, hashed once and not for each of a million rows.
type Context = LazyLock<ContextKey>;

/// Nodes that were read and found to have the hash that they were looked up by, whatever became of their rows since.
#[derive(Default)]
pub(crate) struct NodeCache(Mutex<HashMap<Hash, Arc<[u8]>>>);

impl NodeCache {
    fn get(&self, hash: &Hash) -> Option<Arc<[u8]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    fn put(&self, hash: Hash, node: Arc<[u8]>) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() >= CACHED {
            nodes.clear();
        }
        nodes.insert(hash, node);
    }

    /// Drops a node that is written over. Whoever still reads the state that it belonged to reads its row.
    fn remove(&self, hash: &Hash) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }
}

/// The nodes of one state of the register.
#[derive(Clone, Copy)]
pub(crate) struct Nodes<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) cache: &'a NodeCache,
}

/// The leaves of a range of places, to be gone through side by side with the rows that they are of.
pub(crate) struct Leaves(Peekable<IntoIter<(u64, Hash)>>);

impl Leaves {
    /// The next place ahead of `place` that has a leaf: its row is missing.
    pub(crate) fn ahead_of(&mut self, place: u64) -> Option<u64> {
        self.0.next_if(|(at, _)| *at < place).map(|(at, _)| at)
    }

    /// The leaf at `place`, once all ahead of it were taken.
    pub(crate) fn at(&mut self, place: u64) -> Hash {
        self.0.next_if(|(at, _)| *at == place).map_or(NONE, |(_, hash)| hash)
    }
}

impl Tree {
    /// The leaves of a range of places.
    pub(crate) fn leaves(self, nodes: Nodes<'_>, root: &Hash, places: Range<u64>) -> Result<Leaves> {
        let mut leaves = Vec::new();
        self.each(nodes, root, places, &mut |place, hash| leaves.push((place, hash)))?;
        Ok(Leaves(leaves.into_iter().peekable()))
    }

    /// The leaf at `place`, as the tree with this root has it.
    pub(crate) fn leaf(self, nodes: Nodes<'_>, root: &Hash, place: u64) -> Result<Hash> {
        if place >= PLACES {
            return Ok(NONE);
        }
        let mut hash = *root;
        for level in (0..LEVELS).rev() {
            if hash == NONE {
                return Ok(NONE);
            }
            let node = self.node(nodes, level, place / FANOUT.pow(level + 1), &hash)?;
            hash = entry(&node, place / FANOUT.pow(level) % FANOUT);
        }
        Ok(hash)
    }

    /// Sets leaves, sorted by their places, each of which is given once. Returns the new root. What is changed is verified
    /// first, down from the old root.
    pub(crate) fn set(self, nodes: Nodes<'_>, root: &Hash, leaves: &[(u64, Hash)]) -> Result<Hash> {
        if leaves.is_empty() { Ok(*root) } else { self.update(nodes, LEVELS - 1, 0, root, leaves) }
    }

    /// Hands the leaves of a range to `each`, those that are there, in the order of their places.
    pub(crate) fn each(
        self,
        nodes: Nodes<'_>,
        root: &Hash,
        places: Range<u64>,
        each: &mut dyn FnMut(u64, Hash),
    ) -> Result<()> {
        self.walk(nodes, LEVELS - 1, 0, root, &places, each)
    }

    fn walk(
        self,
        nodes: Nodes<'_>,
        level: u32,
        place: u64,
        hash: &Hash,
        places: &Range<u64>,
        each: &mut dyn FnMut(u64, Hash),
    ) -> Result<()> {
        if *hash == NONE {
            return Ok(());
        }
        // Many nodes, each once: the cache is for those that are read again.
        let node = match level {
            0 => self.stored(nodes, level, place, hash)?,
            _ => self.node(nodes, level, place, hash)?,
        };
        let width = FANOUT.pow(level);
        for child in 0..node.len() as u64 / 32 {
            let at = place * FANOUT + child;
            let covered = at * width..(at + 1) * width;
            let hash = entry(&node, child);
            if hash == NONE || covered.end <= places.start || covered.start >= places.end {
                continue;
            }
            if level == 0 { each(at, hash) } else { self.walk(nodes, level - 1, at, &hash, places, each)? }
        }
        Ok(())
    }

    fn update(self, nodes: Nodes<'_>, level: u32, place: u64, old: &Hash, leaves: &[(u64, Hash)]) -> Result<Hash> {
        let mut node = if *old == NONE { Vec::new() } else { self.node(nodes, level, place, old)?.to_vec() };
        let child_of = |leaf: &(u64, Hash)| leaf.0 / FANOUT.pow(level);
        for group in leaves.chunk_by(|a, b| child_of(a) == child_of(b)) {
            let at = child_of(&group[0]);
            let before = entry(&node, at % FANOUT);
            let after = if level == 0 { group[0].1 } else { self.update(nodes, level - 1, at, &before, group)? };
            put(&mut node, at % FANOUT, &after);
        }
        let id = self.id(level, place);
        if node.is_empty() {
            nodes.connection.prepare_cached("DELETE FROM node WHERE id = ?1").sql()?.execute([id]).sql()?;
            nodes.cache.remove(old);
            return Ok(NONE);
        }
        nodes
            .connection
            .prepare_cached("REPLACE INTO node (id, hashes) VALUES (?1, ?2)")
            .sql()?
            .execute(params![id, node])
            .sql()?;
        let hash = node_hash(id, &node);
        nodes.cache.remove(old);
        nodes.cache.put(hash, node.into());
        Ok(hash)
    }

    fn node(self, nodes: Nodes<'_>, level: u32, place: u64, hash: &Hash) -> Result<Arc<[u8]>> {
        if let Some(node) = nodes.cache.get(hash) {
            return Ok(node);
        }
        let node = self.stored(nodes, level, place, hash)?;
        nodes.cache.put(*hash, Arc::clone(&node));
        Ok(node)
    }

    /// The node, from its row, if it has this hash.
    fn stored(self, nodes: Nodes<'_>, level: u32, place: u64, hash: &Hash) -> Result<Arc<[u8]>> {
        let id = self.id(level, place);
        let mut statement = nodes.connection.prepare_cached("SELECT hashes FROM node WHERE id = ?1").sql()?;
        let node =
            statement.query_row([id], |row| Ok(row.get_ref(0)?.as_blob().map(Arc::from).ok())).optional().sql()?;
        let node: Option<Arc<[u8]>> = node.flatten();
        let fits = |node: &[u8]| node.len().is_multiple_of(32) && node.len() <= FANOUT as usize * 32;
        node.filter(|node| fits(node) && node_hash(id, node) == *hash)
            .ok_or_else(|| Row::Node(id).refused(Fault::Unbound))
    }

    /// The id of a node. Those of upper levels stand close together, ahead of those at the bottom.
    fn id(self, level: u32, place: u64) -> i64 {
        (self as i64) << 56 | i64::from(LEVELS - 1 - level) << 48 | place as i64
    }
}

/// The ids that a tree's nodes may have and are not reached from its root: rows that were put in.
pub(crate) fn strays(connection: &Connection, reached: u64) -> Result<bool> {
    let found: i64 = connection.query_row("SELECT count(*) FROM node", [], |row| row.get(0)).sql()?;
    Ok(found as u64 != reached)
}

impl Tree {
    /// How many nodes are reached from the root, each of them verified.
    pub(crate) fn count(self, nodes: Nodes<'_>, root: &Hash) -> Result<u64> {
        self.count_below(nodes, LEVELS - 1, 0, root)
    }

    fn count_below(self, nodes: Nodes<'_>, level: u32, place: u64, hash: &Hash) -> Result<u64> {
        if *hash == NONE {
            return Ok(0);
        }
        let node = self.stored(nodes, level, place, hash)?;
        let mut count = 1;
        if level > 0 {
            for child in 0..node.len() as u64 / 32 {
                count += self.count_below(nodes, level - 1, place * FANOUT + child, &entry(&node, child))?;
            }
        }
        Ok(count)
    }
}

fn node_hash(id: i64, node: &[u8]) -> Hash {
    static CONTEXT: Context = LazyLock::new(|| hash_derive_key_context("clearlane 2026 register node"));
    // In one piece, of which several blocks are hashed at once.
    let (mut bytes, length) = ([0; 8 + FANOUT as usize * 32], 8 + node.len());
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    bytes[8..length].copy_from_slice(node);
    *Hasher::new_from_context_key(&CONTEXT).update(&bytes[..length]).finalize().as_bytes()
}

fn entry(node: &[u8], at: u64) -> Hash {
    let (entries, _) = node.as_chunks::<32>();
    entries.get(at as usize).copied().unwrap_or(NONE)
}

/// Sets an entry; a node has no empty ones at its end.
fn put(node: &mut Vec<u8>, at: u64, hash: &Hash) {
    let from = at as usize * 32;
    if node.len() < from + 32 {
        node.resize(from + 32, 0);
    }
    node[from..from + 32].copy_from_slice(hash);
    while node.ends_with(&NONE) {
        node.truncate(node.len() - 32);
    }
}
