//! Texts that are imported: JSON Lines, CSV, and lists of people to enrol.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use clearlane_store::{CsvColumns, Format, Key, Keyring, Register, csv_rows};
use tempfile::TempDir;

use crate::registers::folder;

/// What occurs in CSV.
pub(crate) const CSV: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\r",
    b",",
    b"\"",
    b"\"\"",
    b"key",
    b"subject",
    b"image",
    b"birth",
    b"category",
    b"documents",
    b"consent",
    b"2024-02-29",
    b"2024-11-25T00:00:00Z",
    b"9999-12-31",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b" ",
    b"true",
];

/// What occurs in JSON Lines.
pub(crate) const JSON: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"NaN",
    b"0.5",
    b"\\u0000",
    b"\\ud800",
    b"\"key\":\"a\"",
    b"\"templates\":[]",
    b"\"documents\":[]",
    b"\"values\":[1,0]",
    b"[[[[[[[[[[[[[[[[",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"-009999-01-01T00:00:00Z",
    b"99999999999999999999",
];

/// An empty register's file: making one waits for the disk, copying it does not.
fn empty_register() -> PathBuf {
    static MADE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let folder = folder();
        let path = folder.path().join("empty.register");
        drop(Register::create(&path, keys()).unwrap());
        (folder, path)
    });
    MADE.1.clone()
}

fn keys() -> Keyring {
    Keyring::new(Key::from_bytes([1; 32]))
}

/// A text of JSON Lines for an import.
pub(crate) fn json_lines(bytes: &[u8]) {
    import(bytes, Format::JsonLines);
}

/// A text of CSV for an import.
pub(crate) fn csv(bytes: &[u8]) {
    import(bytes, Format::Csv);
}

/// Imports a text. Whoever was enrolled can be exported, and imported elsewhere with the same outcome.
fn import(mut bytes: &[u8], format: Format) {
    let folder = folder();
    let register = |name: &str| {
        let path = folder.path().join(name);
        std::fs::copy(empty_register(), &path).unwrap();
        Register::open(path, keys()).unwrap()
    };
    let first = register("first");
    let imported = match first.import(&mut bytes, format, |_| ()) {
        Ok(imported) => imported,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            error.imported
        }
    };
    assert_eq!(first.subjects().map(Result::unwrap).count() as u64, imported.enrolled);
    assert!(first.check(|_, _| ()).unwrap().is_sound());
    let mut text = Vec::new();
    let exported = first.export(&mut text, Format::JsonLines, true, |_, _| ()).unwrap();
    if exported > 0 {
        let again = register("second").import(&mut &text[..], Format::JsonLines, |_| ()).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(again.enrolled == exported && again.refused.is_empty(), "{text}: {:?}", again.refused);
    }
}

/// A list of people to enrol: every row is one line's, or an error with words.
pub(crate) fn enrolment_lists(bytes: &[u8]) {
    let columns = CsvColumns { needed: &["subject", "image"], others: &["birth", "category", "place"] };
    let mut text = bytes;
    let Ok(rows) = csv_rows::<BTreeMap<String, String>>(&mut text, columns) else { return };
    let mut last = 0;
    for row in rows {
        let Ok((line, row)) = row else { return };
        assert!(line > last, "line {line} after line {last}");
        last = line;
        match row {
            Ok(fields) => assert!(fields.contains_key("subject") && fields.contains_key("image")),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
