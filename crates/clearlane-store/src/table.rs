//! The tables of the register: of each, one list of its columns, from which every statement, every row and every canonical
//! encoding is made.
//!
//! A column says since which encoding it is there. A row carries its encoding's number; a column that came later counts in
//! the row's encoding only where it holds something, so that a new column makes no row that is there already false, and
//! cannot be filled in behind the register's back either.

use clearlane_template::{ModelId, SubjectId, TemplateId};
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row as SqlRow, params, params_from_iter};

use crate::canonical::Canonical;
use crate::error::Sql as _;
use crate::{Fault, ImageDigest, NumberDigest, RecordHash, Result, Row};

/// The encoding of what is written now.
pub(crate) const ENCODING: i64 = 3;

/// A column's value: how it is stored, read, and encoded where it is authenticated.
pub(crate) trait Field: Sized {
    /// What stands in the column.
    fn stored(&self) -> Value;
    /// The value of a column; `None` where it is not one that is written here.
    fn read(value: ValueRef<'_>) -> Option<Self>;
    /// Adds a column's value to a row's canonical encoding, as it stands there; `None` as of [`Self::read`].
    fn encode_stored(value: ValueRef<'_>, row: &mut Canonical) -> Option<()> {
        Self::read(value).map(|value| value.encode(row))
    }
    /// The value's place in a canonical encoding.
    fn encode(&self, row: &mut Canonical);
    /// Whether there is a value at all.
    fn is_present(&self) -> bool {
        true
    }
}

/// A table's rows, as [`table!`] makes them of its columns.
pub(crate) trait Table: Sized {
    /// `SELECT` of all columns.
    const SELECT: &'static str;
    /// `INSERT` of a whole row.
    const INSERT: &'static str;
    /// `INSERT` of a whole row, in place of one with the same primary key, which is the first column.
    const UPSERT: &'static str;
    /// The row of a statement that begins with [`Self::SELECT`]. The outer error is the file's, the inner one the row's.
    fn read(row: &SqlRow<'_>) -> Result<Result<Self, Fault>>;
    /// The values in the order of the columns.
    fn values(&self) -> Vec<Value>;
    /// Adds the row to what stands for it, or for it and others, where it is authenticated.
    fn encode(&self, to: &mut Canonical);

    /// As [`Self::encode`], of the row of a statement: for what is verified a million times, and not taken over as a whole.
    fn encode_stored(row: &SqlRow<'_>, to: &mut Canonical) -> Result<Result<(), Fault>>;

    /// What stands for the row where it is authenticated.
    fn canonical(&self) -> Canonical {
        let mut row = Canonical::new();
        self.encode(&mut row);
        row
    }

    /// Writes a new row.
    fn insert(&self, connection: &Connection) -> Result<()> {
        written(connection.prepare_cached(Self::INSERT).sql()?.execute(params_from_iter(self.values())).sql()?)
    }

    /// Writes the row, in place of one with the same primary key.
    fn write(&self, connection: &Connection) -> Result<()> {
        written(connection.prepare_cached(Self::UPSERT).sql()?.execute(params_from_iter(self.values())).sql()?)
    }

    /// The rows that `condition` (SQL behind the table's name) selects; the first that is not one of this library's is the
    /// inner error.
    fn select(
        connection: &Connection,
        condition: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<Result<Self, Fault>>> {
        let mut statement = connection.prepare_cached(&format!("{} {condition}", Self::SELECT)).sql()?;
        let mut rows = statement.query(values).sql()?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().sql()? {
            found.push(Self::read(row)?);
        }
        Ok(found)
    }
}

/// How far SQLite's own counters of ids are set ahead.
const AHEAD: i64 = 1024;

/// Sets SQLite's own counter of a table's ids ahead of `id`, a new one, from time to time: it means nothing here, and a page
/// that is written with every row would be a page more on disk for each.
pub(crate) fn count_ahead(connection: &Connection, table: &str, id: i64) -> Result<()> {
    if id % AHEAD == 1 {
        let ahead = "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1";
        connection.prepare_cached(ahead).sql()?.execute(params![table, id + AHEAD - 1]).sql()?;
    }
    Ok(())
}

/// A statement that writes one row has written one.
fn written(rows: usize) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Row::Schema.refused(Fault::Unbound)) }
}

/// A table: the name of its rows' type, its own name, and its columns with the encoding since which each is there. The last
/// column, `encoding`, is there in every table, and stands at the head of the canonical encoding.
macro_rules! table {
    ($(#[$doc:meta])* $row:ident in $table:literal {
        $(#[$first_doc:meta])* $first:ident: $first_type:ty = $first_since:literal,
        $($(#[$column_doc:meta])* $column:ident: $type:ty = $since:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $row {
            $(#[$first_doc])*
            pub(crate) $first: $first_type,
            $($(#[$column_doc])* pub(crate) $column: $type,)*
            /// Which columns the canonical encoding has.
            pub(crate) encoding: i64,
        }

        impl $crate::table::Table for $row {
            const SELECT: &'static str = concat!(
                "SELECT ", $table, ".", stringify!($first), $(", ", $table, ".", stringify!($column),)*
                ", ", $table, ".encoding FROM ", $table
            );
            const INSERT: &'static str = concat!(
                "INSERT INTO ", $table, " (", stringify!($first), $(", ", stringify!($column),)* ", encoding) VALUES (?",
                $($crate::table::placeholder!($column),)* ", ?)"
            );
            const UPSERT: &'static str = concat!(
                "INSERT INTO ", $table, " (", stringify!($first), $(", ", stringify!($column),)* ", encoding) VALUES (?",
                $($crate::table::placeholder!($column),)* ", ?) ON CONFLICT (", stringify!($first), ") DO UPDATE SET ",
                $(stringify!($column), " = excluded.", stringify!($column), ", ",)* "encoding = excluded.encoding"
            );

            fn read(row: &rusqlite::Row<'_>) -> $crate::Result<Result<Self, $crate::Fault>> {
                use $crate::error::Sql as _;
                let mut next = 0;
                let mut value = || -> $crate::Result<rusqlite::types::ValueRef<'_>> {
                    next += 1;
                    row.get_ref(next - 1).sql()
                };
                let $first = value()?;
                $(let $column = value()?;)*
                let encoding = value()?;
                let read = || Ok(Self {
                    $first: $crate::table::read(stringify!($first), $first)?,
                    $($column: $crate::table::read(stringify!($column), $column)?,)*
                    encoding: $crate::table::read("encoding", encoding)?,
                });
                Ok(read())
            }

            fn encode_stored(
                row: &rusqlite::Row<'_>,
                to: &mut $crate::canonical::Canonical,
            ) -> $crate::Result<Result<(), $crate::Fault>> {
                use $crate::error::Sql as _;
                let mut next = 0;
                let mut value = || -> $crate::Result<rusqlite::types::ValueRef<'_>> {
                    next += 1;
                    row.get_ref(next - 1).sql()
                };
                let $first = value()?;
                $(let $column = value()?;)*
                let encoding = value()?;
                let mut encode = || {
                    let encoding = $crate::table::read("encoding", encoding)?;
                    to.head($table, encoding);
                    $crate::table::encode_stored::<$first_type>(stringify!($first), $first, $first_since, encoding, to)?;
                    $($crate::table::encode_stored::<$type>(stringify!($column), $column, $since, encoding, to)?;)*
                    Ok(())
                };
                Ok(encode())
            }

            fn values(&self) -> Vec<rusqlite::types::Value> {
                use $crate::table::Field as _;
                vec![self.$first.stored(), $(self.$column.stored(),)* self.encoding.stored()]
            }

            fn encode(&self, to: &mut $crate::canonical::Canonical) {
                to.head($table, self.encoding);
                $crate::table::encode(&self.$first, $first_since, self.encoding, to);
                $($crate::table::encode(&self.$column, $since, self.encoding, to);)*
            }
        }
    };
}

macro_rules! placeholder {
    ($column:ident) => {
        ", ?"
    };
}

pub(crate) use {placeholder, table};

/// A column's value, or the fault that it is none.
pub(crate) fn read<F: Field>(column: &'static str, value: ValueRef<'_>) -> Result<F, Fault> {
    F::read(value).ok_or(Fault::Value { column })
}

/// Adds a column to a row's canonical encoding.
pub(crate) fn encode(value: &impl Field, since: i64, encoding: i64, row: &mut Canonical) {
    if since <= encoding || value.is_present() {
        value.encode(row);
    }
}

/// As [`encode`], of a column's value.
pub(crate) fn encode_stored<F: Field>(
    column: &'static str,
    value: ValueRef<'_>,
    since: i64,
    encoding: i64,
    row: &mut Canonical,
) -> Result<(), Fault> {
    let encoded = if since <= encoding {
        F::encode_stored(value, row)
    } else {
        F::read(value).map(|value| encode(&value, since, encoding, row))
    };
    encoded.ok_or(Fault::Value { column })
}

impl Field for i64 {
    fn stored(&self) -> Value {
        Value::from(*self)
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok()
    }

    fn encode(&self, row: &mut Canonical) {
        row.number(*self);
    }
}

impl Field for bool {
    fn stored(&self) -> Value {
        Value::from(*self)
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        match value.as_i64().ok()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn encode(&self, row: &mut Canonical) {
        row.number((*self).into());
    }
}

/// A single-precision number, which SQLite keeps in double precision.
impl Field for f32 {
    fn stored(&self) -> Value {
        Value::Real(f64::from(*self))
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        let stored = value.as_f64().ok()?;
        Some(stored as Self).filter(|single| f64::from(*single) == stored)
    }

    fn encode(&self, row: &mut Canonical) {
        row.bytes(&self.to_le_bytes());
    }
}

impl Field for String {
    fn stored(&self) -> Value {
        Value::Text(self.clone())
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_str().ok().map(str::to_owned)
    }

    fn encode(&self, row: &mut Canonical) {
        row.text(self);
    }
}

impl Field for Vec<u8> {
    fn stored(&self) -> Value {
        Value::Blob(self.clone())
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_blob().ok().map(<[u8]>::to_vec)
    }

    fn encode(&self, row: &mut Canonical) {
        row.bytes(self);
    }
}

impl<const N: usize> Field for [u8; N] {
    fn stored(&self) -> Value {
        Value::Blob(self.to_vec())
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_blob().ok()?.try_into().ok()
    }

    fn encode(&self, row: &mut Canonical) {
        row.bytes(self);
    }
}

impl<F: Field> Field for Option<F> {
    fn stored(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::stored)
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        if value == ValueRef::Null { Some(None) } else { F::read(value).map(Some) }
    }

    fn encode(&self, row: &mut Canonical) {
        match self {
            Some(value) => value.encode(row),
            None => _ = row.absent(),
        }
    }

    fn is_present(&self) -> bool {
        self.is_some()
    }
}

/// Milliseconds since 1970-01-01T00:00Z.
impl Field for Timestamp {
    fn stored(&self) -> Value {
        Value::from(self.as_millisecond())
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        let milliseconds = value.as_i64().ok()?;
        // In two parts, since the last millisecond of the calendar is beyond its whole seconds.
        let nanoseconds = milliseconds.rem_euclid(1000) as i32 * 1_000_000;
        Self::new(milliseconds.div_euclid(1000), nanoseconds).ok()
    }

    fn encode(&self, row: &mut Canonical) {
        row.number(self.as_millisecond());
    }
}

/// A type whose values are text in one way only: what reads the same and is written otherwise is refused.
macro_rules! as_text {
    ($($type:ty)+) => {
        $(impl $crate::table::Field for $type {
            fn stored(&self) -> rusqlite::types::Value {
                rusqlite::types::Value::Text(self.to_string())
            }

            fn read(value: rusqlite::types::ValueRef<'_>) -> Option<Self> {
                let text = value.as_str().ok()?;
                text.parse::<Self>().ok().filter(|value| value.to_string() == text)
            }

            fn encode(&self, row: &mut $crate::canonical::Canonical) {
                row.text(&self.to_string());
            }
        })+
    };
}

pub(crate) use as_text;

as_text!(Date);

/// A type around another that can be stored.
macro_rules! as_inner {
    ($($type:ty => $inner:ty, $get:expr, $make:expr;)+) => {
        $(impl Field for $type {
            fn stored(&self) -> Value {
                let get: fn(&Self) -> $inner = $get;
                get(self).stored()
            }

            fn read(value: ValueRef<'_>) -> Option<Self> {
                <$inner as Field>::read(value).map($make)
            }

            fn encode(&self, row: &mut Canonical) {
                let get: fn(&Self) -> $inner = $get;
                get(self).encode(row)
            }
        })+
    };
}

as_inner! {
    SubjectId => i64, |id| id.0 as i64, |id| Self(id as u64);
    TemplateId => i64, |id| id.0 as i64, |id| Self(id as u64);
    ModelId => [u8; 32], |id| *id.as_bytes(), Self::from_bytes;
    ImageDigest => [u8; 32], |digest| digest.0, Self;
    NumberDigest => [u8; 32], |digest| digest.0, Self;
    RecordHash => [u8; 32], |hash| hash.0, Self;
}
