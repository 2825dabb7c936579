//! A table of captures: whose they are, what is known of them, and what they are for.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::lines::beginning;
use crate::{Capture, Captures};

/// The most columns of a table.
const MAX_COLUMNS: usize = 64;

/// The most rows of a table.
const MAX_ROWS: usize = 1 << 22;

/// The columns that every table has, and the one that it may have; all others are labels.
const PICTURE: &str = "picture";
const SUBJECT: &str = "subject";
const ROLE: &str = "role";

/// Captures with labels, and what each is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The captures, in the table's order, with all columns but `picture`, `subject` and `role` as labels.
    pub captures: Captures,
    /// What each is for; `None` where the table does not say.
    pub roles: Vec<Option<Role>>,
}

/// What a capture is for in a test of identification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is a reference.
    Enrol,
    /// It is searched with.
    Probe,
}

/// A text is not a table of captures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The header lacks a column.
    #[error("line 1: expected the columns picture, subject, and if wanted role and labels; `{column}` is missing")]
    Missing {
        /// The column.
        column: &'static str,
    },
    /// The header names a column twice, or one without a name.
    #[error("line 1: expected columns with a name each, got `{column}` twice or without a name")]
    Column {
        /// The column.
        column: String,
    },
    /// The table has more columns than are read.
    #[error("line 1: expected at most {MAX_COLUMNS} columns, got {columns}")]
    Columns {
        /// How many it has.
        columns: usize,
    },
    /// A row has another number of fields than the header.
    #[error("line {line}: expected {expected} fields, one for each column of the header, got {found}")]
    Fields {
        /// The row's line, from 1.
        line: u64,
        /// How many columns there are.
        expected: u64,
        /// How many fields it has.
        found: u64,
    },
    /// A row names no picture.
    #[error("line {line}: expected a picture's path in `picture`, got nothing")]
    Picture {
        /// The row's line, from 1.
        line: u64,
    },
    /// A row has another role.
    #[error("line {line}: expected `enrol`, `probe` or nothing in `role`, got `{text}`")]
    Role {
        /// The row's line, from 1.
        line: u64,
        /// The beginning of what it says.
        text: String,
    },
    /// The table has more rows than are read.
    #[error("line {line}: more than {MAX_ROWS} rows, the most that are read")]
    Rows {
        /// The line of the row that is one too many, from 1.
        line: u64,
    },
    /// The table has a header and no row.
    #[error("expected captures, got a table without rows")]
    Empty,
}

impl Table {
    /// Reads CSV: a header, then a row for each capture. `picture` is a path, `subject` whom it shows, empty where nobody knows;
    /// `role`, which may be left out, is `enrol`, `probe` or empty. All other columns are labels.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let mut reader = ReaderBuilder::new().has_headers(false).trim(Trim::All).from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        if !read(&mut reader, &mut record)? {
            return Err(TableError::Missing { column: PICTURE });
        }
        let header = record.clone();
        let columns = Columns::new(&header)?;
        let names = columns.labels.iter().filter_map(|&column| header.get(column)).map(str::to_owned);
        let mut table =
            Self { captures: Captures { columns: names.collect(), captures: Vec::new() }, roles: Vec::new() };
        while read(&mut reader, &mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            if table.roles.len() == MAX_ROWS {
                return Err(TableError::Rows { line });
            }
            let (capture, role) = columns.capture(&record, line)?;
            table.captures.captures.push(capture);
            table.roles.push(role);
        }
        if table.roles.is_empty() { Err(TableError::Empty) } else { Ok(table) }
    }
}

/// Where a table has its columns.
struct Columns {
    picture: usize,
    subject: usize,
    role: Option<usize>,
    labels: Vec<usize>,
}

impl Columns {
    fn new(header: &StringRecord) -> Result<Self, TableError> {
        if header.len() > MAX_COLUMNS {
            return Err(TableError::Columns { columns: header.len() });
        }
        let place = |name: &str| header.iter().position(|column| column == name);
        let unfit = header.iter().enumerate().find(|(at, column)| column.is_empty() || place(column) != Some(*at));
        if let Some((_, column)) = unfit {
            return Err(TableError::Column { column: beginning(column) });
        }
        let needed = |column| place(column).ok_or(TableError::Missing { column });
        let (picture, subject, role) = (needed(PICTURE)?, needed(SUBJECT)?, place(ROLE));
        let labels = (0..header.len()).filter(|&at| at != picture && at != subject && Some(at) != role).collect();
        Ok(Self { picture, subject, role, labels })
    }

    fn capture(&self, record: &StringRecord, line: u64) -> Result<(Capture, Option<Role>), TableError> {
        let field = |column: usize| record.get(column).unwrap_or_default();
        let picture = field(self.picture).to_owned();
        if picture.is_empty() {
            return Err(TableError::Picture { line });
        }
        let role = match self.role.map_or("", field) {
            "" => None,
            "enrol" => Some(Role::Enrol),
            "probe" => Some(Role::Probe),
            other => return Err(TableError::Role { line, text: beginning(other) }),
        };
        let subject = Some(field(self.subject)).filter(|subject| !subject.is_empty()).map(str::to_owned);
        let labels = self.labels.iter().map(|&column| field(column).to_owned()).collect();
        Ok((Capture { picture, subject, labels }, role))
    }
}

/// The next record; false at the end.
fn read(reader: &mut csv::Reader<&[u8]>, record: &mut StringRecord) -> Result<bool, TableError> {
    reader.read_record(record).map_err(|error| match *error.kind() {
        csv::ErrorKind::UnequalLengths { ref pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            TableError::Fields { line, expected: expected_len, found: len }
        }
        // Of text in memory nothing else can be wrong.
        _ => TableError::Empty,
    })
}
