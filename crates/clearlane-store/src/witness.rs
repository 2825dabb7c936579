//! Witnesses: what remembers a register's newest root outside of the register, so that an older file in its place is told
//! from the present one.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use clearlane_template::shown;
use data_encoding::HEXLOWER;

/// One state of a register: its version, and the authentication code of its root, which covers all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RootId {
    /// How many changes led to it.
    pub version: u64,
    /// The root's authentication code.
    pub code: [u8; 32],
}

/// Remembers the newest root of a register where somebody who can replace the register's file cannot reach: in a file on
/// another disk, in a log server, in a hardware counter.
///
/// A register that is opened with a witness is refused if it is older than the witness has seen, and hands over each new
/// root once it is on disk. A process that is killed in between leaves a register that is newer than its witness, which is
/// accepted.
pub trait Witness: Send + Sync {
    /// The newest root of this register that was handed over; `None` where none ever was.
    fn newest(&self, register: [u8; 16]) -> Result<Option<RootId>, WitnessError>;

    /// Takes a root over. Several processes may do so at once, in any order: the highest version is the newest.
    fn note(&self, register: [u8; 16], root: RootId) -> Result<(), WitnessError>;
}

/// Why a witness did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The witness file cannot be read or written.
    #[error("the witness {path}: {source}", path = shown(path))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no root of this register, but something else.
    #[error("{path} is not the witness of this register: it holds something else", path = shown(path))]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// A witness of the caller's failed.
    #[error("the witness failed: {0}")]
    Failed(String),
}

/// A [`Witness`] that appends each root to a file, a line of text each: `clearlane-root`, the register's id, the version, and
/// the root's code, in hexadecimal digits.
///
/// It is only ever appended to, so it can be a file that the system lets be appended to alone (`chattr +a`). A file serves
/// one register; a line takes 130 bytes. Lines that are cut, as a power failure leaves them, are passed over.
#[derive(Clone, Debug)]
pub struct WitnessFile(PathBuf);

/// How much of the file's end is read: the newest root is among its last lines, whatever the order of processes that
/// write at the same time.
const TAIL: u64 = 1 << 20;

const WORD: &str = "clearlane-root";

impl WitnessFile {
    /// The witness in the file at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn failed(&self, source: std::io::Error) -> WitnessError {
        WitnessError::File { path: self.0.clone(), source }
    }

    fn tail(&self) -> Result<String, WitnessError> {
        let mut file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(self.failed(error)),
        };
        let read = |file: &mut File| -> std::io::Result<Vec<u8>> {
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read(&mut file).map_err(|error| self.failed(error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Witness for WitnessFile {
    fn newest(&self, register: [u8; 16]) -> Result<Option<RootId>, WitnessError> {
        let (text, register) = (self.tail()?, HEXLOWER.encode(&register));
        // A last line without its end was cut.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let roots = whole.lines().filter_map(parse).filter(|(of, _)| *of == register).map(|(_, root)| root);
        match roots.max_by_key(|root| root.version) {
            // Whole lines, and none of them this register's.
            None if !whole.trim().is_empty() => Err(WitnessError::Other { path: self.0.clone() }),
            newest => Ok(newest),
        }
    }

    fn note(&self, register: [u8; 16], root: RootId) -> Result<(), WitnessError> {
        // It begins a line of its own, whatever the one before it lacks.
        let line =
            format!("\n{WORD} {} {} {}\n", HEXLOWER.encode(&register), root.version, HEXLOWER.encode(&root.code));
        let append = || OpenOptions::new().create(true).append(true).open(&self.0)?.write_all(line.as_bytes());
        append().map_err(|error| self.failed(error))
    }
}

fn parse(line: &str) -> Option<(&str, RootId)> {
    let mut words = line.split(' ');
    let (WORD, register, version, code) = (words.next()?, words.next()?, words.next()?, words.next()?) else {
        return None;
    };
    let code = HEXLOWER.decode(code.as_bytes()).ok()?.try_into().ok()?;
    let root = RootId { version: version.parse().ok()?, code };
    words.next().is_none().then_some((register, root))
}
