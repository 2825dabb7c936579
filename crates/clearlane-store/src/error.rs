//! What can go wrong with a register, as variants that a program can match.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use clearlane_template::{ModelId, SubjectId, TemplateError, TemplateId, shown};
use jiff::Timestamp;
use rusqlite::ErrorCode;

use crate::{KeyError, KeyId, WitnessError};

/// Shorthand for results of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the register did not do what it was asked. Nothing of a failed operation is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be read or written.
    #[error("{path}: {source}", path = shown(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A register (or any file) is there already, where a new one was to be made.
    #[error("{path}: a file is there already; open it, or choose another path", path = shown(path))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a register.
    #[error("{path}: not a clearlane register: {reason}", path = shown(path))]
    NotARegister {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: &'static str,
    },
    /// The register was written by a newer version of this library.
    #[error("{path}: schema version {found} is newer than {supported}, the newest this version reads", path = shown(path))]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest schema version that is understood here.
        supported: u32,
    },
    /// The register was written by an older version and is opened for reading only, so that it cannot be migrated.
    #[error("{path}: schema version {found} has to be migrated to {supported}; open it for writing once", path = shown(path))]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The schema version of this library.
        supported: u32,
    },
    /// The file is truncated or damaged. Restore a backup.
    #[error("{path}: the file is truncated or damaged ({reason}); restore a backup", path = shown(path))]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A row is not as this register wrote it.
    #[error("{row}: {fault}")]
    Refused {
        /// The row.
        row: Row,
        /// What is wrong with it.
        fault: Fault,
    },
    /// No room is left where the register lives.
    #[error("{path}: no room is left on the disk", path = shown(path))]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Another process is writing and did not finish in time.
    #[error("{path}: another process is writing; gave up after {waited:?}", path = shown(path))]
    Locked {
        /// The file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// A write was cut off, by a crash or a power cut, and has to be rolled back, which reading alone cannot do.
    #[error("{path}: a write was cut off and has to be rolled back; open it for writing once", path = shown(path))]
    CutOff {
        /// The file.
        path: PathBuf,
    },
    /// The register was opened for reading only.
    #[error("{path}: opened for reading only", path = shown(path))]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A key is needed that the key source does not have.
    #[error("the key {id} is needed and the key source does not have it")]
    NoKey {
        /// The id of the key.
        id: KeyId,
    },
    /// The key source has no current key to make a register with.
    #[error("the key source has no current key")]
    NoCurrentKey,
    /// The key source failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The register holds no template of this model, or the template is of another model than was asked for.
    #[error("the register holds no template of model {wanted:.12}; it holds {}", list(present))]
    OtherModel {
        /// The model that was asked for.
        wanted: ModelId,
        /// The models that are present.
        present: Vec<ModelId>,
    },
    /// The register knows the model with another dimension.
    #[error("templates of model {model:.12} have {expected} values in this register, not {found}")]
    OtherDimension {
        /// The model.
        model: ModelId,
        /// Its dimension in this register.
        expected: usize,
        /// The dimension that was given.
        found: usize,
    },
    /// A subject is enrolled under this key already.
    #[error("`{key}` is enrolled already, as subject {subject}")]
    AlreadyEnrolled {
        /// The external key.
        key: String,
        /// The subject that has it.
        subject: SubjectId,
    },
    /// No such subject, or it is revoked.
    #[error("no subject {subject} is enrolled")]
    UnknownSubject {
        /// The id that was asked for.
        subject: SubjectId,
    },
    /// A value given by the caller cannot be stored.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// Why not.
        reason: String,
    },
    /// A write-ahead log or a journal of an earlier register has the name of a new one's: SQLite would replay it over the new
    /// file.
    #[error(
        "{path}: this log belongs to a register that was moved away, and would be replayed over the new one; move it to \
         where that register is now",
        path = shown(path)
    )]
    LeftoverLog {
        /// The log or journal.
        path: PathBuf,
    },
    /// A clock cannot be right: it is behind the newest crossing record, or far ahead of it. Look at the clock; where it is
    /// right, say so by [`Register::confirm_clock`](crate::Register::confirm_clock).
    #[error("the clock says {now}, and the newest crossing record is of {newest}: correct the clock, or confirm it")]
    ImplausibleClock {
        /// What the clock says.
        now: Timestamp,
        /// The time of the newest record.
        newest: Timestamp,
    },
    /// A sweep would take out more than a tenth of those who are enrolled. Look at the day, and confirm the sweep.
    #[error(
        "{leaving} of {enrolled} who are enrolled would leave: look at the day, and confirm the sweep if it is right"
    )]
    SweepTooLarge {
        /// How many would leave.
        leaving: u64,
        /// How many are enrolled.
        enrolled: u64,
    },
    /// A register of an older version is not sound, and is not migrated: what is wrong with it would pass for right.
    #[error("schema version {found} cannot be migrated: {row}: {fault} ({problems} problems in all); restore a backup")]
    Unsound {
        /// The schema version.
        found: u32,
        /// The first row that is wrong.
        row: Row,
        /// What is wrong with it.
        fault: Fault,
        /// How many problems there are.
        problems: u64,
    },
    /// The register's file was moved away, or replaced by another, while it was open.
    #[error("{path}: the register was moved or replaced while it was open; open it again", path = shown(path))]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// The register has a witness, and was opened without it: what is written then could be taken back unnoticed.
    #[error("{path}: a witness follows this register; open it with the witness to write to it", path = shown(path))]
    NeedsWitness {
        /// The file.
        path: PathBuf,
    },
    /// The witness did not answer, or is another register's.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// A line of an import cannot be read.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// Why not.
        reason: String,
    },
    /// What is exported cannot be written, or what is imported cannot be read.
    #[error("the stream failed: {source}")]
    Stream {
        /// What the system said.
        source: io::Error,
    },
    /// A vector is not a template, or belongs to another model.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// SQLite refused for another reason.
    #[error("{path}: {source}", path = shown(path))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A row of the register, named in errors and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Row {
    /// The file as a whole.
    File,
    /// The register's own row: its id and its sealed secret.
    Register,
    /// A subject, its documents included.
    Subject(SubjectId),
    /// A template.
    Template(TemplateId),
    /// A crossing record, by its number.
    Record(u64),
    /// The ends of the chain of crossing records.
    Chain,
    /// The root, which binds all others.
    Root,
    /// A node between the root and the rows, by its id.
    Node(i64),
    /// The file's schema.
    Schema,
    /// The nodes as a whole.
    Nodes,
    /// The documents as a whole.
    Documents,
    /// The templates as a whole.
    Templates,
    /// The claims that share a leaf, by its place.
    Claims(u64),
    /// The list of changes.
    Changes,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the file"),
            Self::Register => f.write_str("the register's own row"),
            Self::Subject(id) => write!(f, "subject {id}"),
            Self::Template(id) => write!(f, "template {id}"),
            Self::Record(seq) => write!(f, "crossing record {seq}"),
            Self::Chain => f.write_str("the chain of crossing records"),
            Self::Root => f.write_str("the root"),
            Self::Node(id) => write!(f, "node {id:#x}"),
            Self::Schema => f.write_str("the file's schema"),
            Self::Nodes => f.write_str("the nodes"),
            Self::Documents => f.write_str("the documents"),
            Self::Templates => f.write_str("the templates"),
            Self::Claims(place) => write!(f, "the used claims of leaf {place}"),
            Self::Changes => f.write_str("the list of changes"),
        }
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The seal does not open: the row was altered, or its content belongs to another row.
    #[error("its seal does not open: it was altered, or moved here from another row")]
    Seal,
    /// The sealed bytes have the wrong length.
    #[error("it holds {found} sealed bytes where {expected} belong: it was cut or lengthened")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The authentication code does not fit the content: the row was altered.
    #[error("its authentication code does not fit: it was altered outside this library")]
    Authentication,
    /// It is not what the root binds: it was altered, put in, or copied back from an older file.
    #[error("it is not as it was last written: it was altered, put in, or copied back from an older file")]
    Unbound,
    /// The root binds a row that is not there.
    #[error("it is missing: it was taken out outside this library")]
    Missing,
    /// The whole register is older than one that was seen, or another one of the same age.
    #[error("it is of version {found}, and version {witnessed} was seen: an older register was put in its place")]
    RolledBack {
        /// The version that is there.
        found: u64,
        /// The newest that was seen.
        witnessed: u64,
    },
    /// A value is not one that this library writes.
    #[error("its {column} is not a value that is written here")]
    Value {
        /// The column.
        column: &'static str,
    },
    /// The hash does not follow from the row and the one before it.
    #[error("its hash does not follow from it and the record before it: one of them was altered or replaced")]
    Chained,
    /// Records are missing before this one.
    #[error("the records from {from} up to it are missing")]
    Gap {
        /// The number of the first that is missing.
        from: u64,
    },
    /// The newest records are missing, or came in another way.
    #[error("it ends at record {found} where it should end at {expected}: records were cut off or added")]
    End {
        /// The newest record that is there.
        found: u64,
        /// The newest that was written.
        expected: u64,
    },
    /// SQLite's own check of the file's structure.
    #[error("{0}")]
    Structure(String),
    /// A row that it refers to is missing.
    #[error("the {what} it refers to is missing")]
    Dangling {
        /// What is missing.
        what: &'static str,
    },
    /// The sealed vector opens but is not a template.
    #[error("what it holds is not a template: {0}")]
    Template(TemplateError),
}

impl Row {
    pub(crate) fn refused(self, fault: Fault) -> StoreError {
        StoreError::Refused { row: self, fault }
    }
}

/// SQLite's results as this crate's. (Not by `From`: that would be a public promise about rusqlite's types.)
pub(crate) trait Sql<T> {
    /// The path of an error is filled in where the operation ends; see [`StoreError::at`].
    fn sql(self) -> Result<T>;
}

impl<T> Sql<T> for rusqlite::Result<T> {
    fn sql(self) -> Result<T> {
        self.map_err(StoreError::sqlite)
    }
}

impl StoreError {
    pub(crate) fn sqlite(source: rusqlite::Error) -> Self {
        Self::Sqlite { path: PathBuf::new(), source: source.into() }
    }

    /// Says what an error of SQLite means, and for which file.
    pub(crate) fn at(self, path: &Path, waited: Duration) -> Self {
        let Self::Sqlite { path: known, source } = self else { return self };
        if !known.as_os_str().is_empty() {
            return Self::Sqlite { path: known, source };
        }
        let path = path.to_owned();
        let Some(rusqlite::Error::SqliteFailure(code, text)) = source.downcast_ref() else {
            return Self::Sqlite { path, source };
        };
        let reason = || text.clone().unwrap_or_else(|| code.to_string());
        match code.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked { path, waited },
            ErrorCode::DiskFull => Self::DiskFull { path },
            // The index of the write-ahead log is a file that is enlarged before use: on a full disk that fails first.
            ErrorCode::SystemIoFailure if code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
                Self::DiskFull { path }
            }
            ErrorCode::SystemIoFailure if code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ => {
                Self::Corrupt { path, reason: reason() }
            }
            ErrorCode::DatabaseCorrupt => Self::Corrupt { path, reason: reason() },
            ErrorCode::NotADatabase => Self::NotARegister { path, reason: "it is not an SQLite file" },
            ErrorCode::ReadOnly if code.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK => {
                Self::CutOff { path }
            }
            ErrorCode::ReadOnly => Self::ReadOnly { path },
            _ => Self::Sqlite { path, source },
        }
    }

    /// Whether the register itself, its key or its file, is what fails, and not what it was given.
    pub(crate) fn is_of_register(&self) -> bool {
        matches!(self, Self::Sqlite { .. } | Self::Key(_) | Self::NoKey { .. })
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull { path: path.to_owned() },
            io::ErrorKind::AlreadyExists => Self::Exists { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

fn list(models: &[ModelId]) -> String {
    if models.is_empty() {
        return "none at all".to_owned();
    }
    models.iter().map(|model| format!("{model:.12}")).collect::<Vec<_>>().join(", ")
}
