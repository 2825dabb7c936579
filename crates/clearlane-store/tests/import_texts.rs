//! How an import reads a text: where its lines end, how long they may be, and what is left where it breaks off.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{self, BufRead, Read};

use clearlane_store::{CsvColumns, Format, ImportError, MAX_REFUSALS, StoreError, csv_rows, write_csv};
use proptest::prelude::*;
use support::{fixture, import};

/// A text that comes a few bytes at a time, and may break off.
struct Pieces<'a> {
    text: &'a [u8],
    size: usize,
    breaks: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("not used"))
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.text.is_empty() && self.breaks {
            return Err(io::Error::other("the cable was pulled"));
        }
        Ok(&self.text[..self.size.min(self.text.len())])
    }

    fn consume(&mut self, amount: usize) {
        self.text = &self.text[amount..];
    }
}

/// Who is enrolled after an import, and the lines that were refused; the same however the text comes.
#[track_caller]
fn outcome(text: &[u8], format: Format) -> (Vec<String>, Vec<u64>) {
    let outcomes = [1, 3, usize::MAX].map(|size| {
        let f = fixture();
        let imported = f.register.import(&mut Pieces { text, size, breaks: false }, format, |_| ()).unwrap();
        let keys: Vec<String> = f.register.subjects().map(|subject| subject.unwrap().key).collect();
        assert_eq!(imported.enrolled, keys.len() as u64);
        (keys, imported.refused.iter().map(|refusal| refusal.line).collect())
    });
    assert_eq!(outcomes[0], outcomes[2]);
    assert_eq!(outcomes[1], outcomes[2]);
    outcomes.into_iter().next().unwrap()
}

#[test]
fn lines_are_read_whatever_ends_them_and_what_is_not_text_is_refused() {
    type Case = (Format, &'static [u8], &'static [&'static str], &'static [u64]);
    let cases: [Case; 17] = [
        (Format::JsonLines, b"", &[], &[]),
        (Format::JsonLines, b"\n\n \t\n", &[], &[]),
        (Format::JsonLines, b"\xef\xbb\xbf{\"key\":\"a\"}\r\n\r\n{\"key\":\"b\"}", &["a", "b"], &[]),
        (Format::JsonLines, b"{\"key\":\"a\"}\n\xef\xbb\xbf{\"key\":\"b\"}\n", &["a"], &[2]),
        (
            Format::JsonLines,
            b"{\"key\":\"a\xff\"}\n{\"key\":\"b\0\"}\n{\"key\":\"c\\u0000\"}\n\0\n{\"key\":\"d\"}\n",
            &["d"],
            &[1, 2, 3, 4],
        ),
        (Format::JsonLines, b"{\"key\":\"a\"}{\"key\":\"b\"}\n{\"key\":\n\"c\"}\n", &[], &[1, 2, 3]),
        (Format::Csv, b"", &[], &[]),
        (Format::Csv, b"key,birth\r\n\r\na,\r\n", &["a"], &[]),
        (Format::Csv, b"\xef\xbb\xbfkey,birth\na,\nb,", &["a", "b"], &[]),
        (Format::Csv, b"\xef\xbb\xbf\"key\",birth\n\"a,\",\n", &["a,"], &[]),
        (Format::Csv, b"key\ra\rb", &["a", "b"], &[]),
        (Format::Csv, b"key\na\n\xef\xbb\xbfb\nc\n", &["a", "c"], &[3]),
        (Format::Csv, b"key,birth\na\xff,\nb\0,\n\"c\nd\",\ne,2000-01-01\nf,\n", &["e", "f"], &[2, 3, 4]),
        (Format::Csv, b"key,birth\n\"a \"\"b\"\"\",\n c ,\n", &["a \"b\"", "c"], &[]),
        (Format::Csv, b"key,birth\na,\n\"b,\nc,\nd,\n", &["a"], &[3]),
        (Format::Csv, b"key,birth\na,\nb\nc,,\n,\nd,\n", &["a", "d"], &[3, 4, 5]),
        (Format::Csv, b"key,birth\r\n\"a\r\nb\",\r\nc,\r\nd,soon", &["c"], &[2, 5]),
    ];
    for (format, text, keys, refused) in cases {
        let (found, lines) = outcome(text, format);
        assert_eq!(
            (found, &*lines),
            (keys.iter().map(|key| (*key).to_owned()).collect(), refused),
            "{}",
            text.escape_ascii()
        );
    }
}

#[test]
fn what_is_written_as_csv_is_read_back() {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        name: String,
        share: Option<f64>,
    }
    const COLUMNS: CsvColumns<'_> = CsvColumns { needed: &["name", "share"], others: &[] };
    let names = ["plain", "with, comma", "with \"quotes\"", "of two\nlines", "陳大文"];
    let rows: Vec<_> = names.iter().zip([Some(0.1), None].into_iter().cycle()).collect();
    let rows: Vec<_> = rows.into_iter().map(|(name, share)| Row { name: (*name).to_owned(), share }).collect();
    let mut text = Vec::new();
    write_csv(&mut text, &rows).unwrap();
    let mut bytes = text.as_slice();
    let read: Vec<Row> = csv_rows(&mut bytes, COLUMNS).unwrap().map(|row| row.unwrap().1.unwrap()).collect();
    assert_eq!(read, rows);
    // By another reader, too.
    let theirs: Vec<Row> = csv::Reader::from_reader(text.as_slice()).into_deserialize().map(Result::unwrap).collect();
    assert_eq!(theirs, rows);
}

proptest! {
    /// Against the `csv` crate, which reads a text as a whole.
    #[test]
    fn records_end_where_another_reader_ends_them(body in "[\"\", \r\na\u{feff}]{0,40}") {
        const COLUMNS: CsvColumns<'_> = CsvColumns { needed: &["key"], others: &[] };
        let text = format!("key\n{body}");
        let mut bytes = text.as_bytes();
        let rows = csv_rows::<(String,)>(&mut bytes, COLUMNS).unwrap().map(|row| row.unwrap().1);
        let (mut ours, mut unclosed) = (Vec::new(), false);
        for row in rows {
            match row {
                Ok((key,)) => ours.push(Some(key)),
                Err(error) => {
                    unclosed |= error.to_string().contains("never closed");
                    ours.push(None);
                }
            }
        }
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(ours.len(), records.len());
        let closed = records.len() - usize::from(unclosed);
        for (ours, theirs) in ours.iter().zip(&records).take(closed) {
            if let Some(key) = ours {
                prop_assert_eq!(vec![key.as_str()], theirs.iter().collect::<Vec<_>>());
            } else {
                // Refused: too many fields, or a mark where two files were joined.
                let marked = theirs[0].starts_with('\u{feff}');
                prop_assert!(theirs.len() > 1 || marked);
            }
        }
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_and_those_around_it_are_taken() {
    let long = "x".repeat(5 << 20);
    let text = format!("{{\"key\":\"a\"}}\n{{\"key\":\"{long}\"}}\n{{\"key\":\"b\"}}\n{{\"key\":\"{long}");
    let (keys, refused) = outcome(text.as_bytes(), Format::JsonLines);
    assert_eq!((keys, refused), (vec!["a".to_owned(), "b".to_owned()], vec![2, 4]));
    let text = format!("key,place\na,\nb,\"{long}\n{long}\"\nc,\nd,{long}\ne,");
    let (keys, refused) = outcome(text.as_bytes(), Format::Csv);
    assert_eq!((keys, refused), (["a", "c", "e"].map(str::to_owned).to_vec(), vec![3, 6]));
    let error = import(format!("key,{long}\na,\n").as_bytes(), Format::Csv).unwrap_err().source;
    assert!(matches!(&*error, StoreError::Line { line: 1, reason } if reason.len() < 200), "{error}");
}

#[test]
fn what_was_read_before_a_stream_failed_is_stored_and_reported() {
    for (format, header) in [(Format::JsonLines, ""), (Format::Csv, "key\n")] {
        let line = |number: u32| match format {
            Format::JsonLines => format!("{{\"key\":\"person {number}\"}}\n"),
            Format::Csv => format!("person {number}\n"),
        };
        let f = fixture();
        let text = format!("{header}{}{}", (0..1500).map(line).collect::<String>(), line(1500).trim_end());
        let mut stream = Pieces { text: text.as_bytes(), size: 100, breaks: true };
        let ImportError { imported, source } = f.register.import(&mut stream, format, |_| ()).unwrap_err();
        assert!(matches!(&*source, StoreError::Stream { source } if source.to_string() == "the cable was pulled"));
        // The line that the break cut is not among them.
        let lines = 1500 + header.lines().count() as u64;
        assert_eq!((imported.enrolled, imported.lines, f.register.stats().unwrap().subjects), (1500, lines, 1500));
    }
}

#[test]
fn the_report_of_an_import_is_bounded_however_many_lines_are_wrong() {
    let wrong = MAX_REFUSALS + 50;
    let imported = import("{}\n".repeat(wrong).as_bytes(), Format::JsonLines).unwrap();
    assert_eq!((imported.refused.len(), imported.unlisted, imported.lines), (MAX_REFUSALS, 50, wrong as u64));
    for text in [
        format!("{{\"{}\": 1}}", "ü".repeat(1 << 20)),
        format!("{{\"key\":\"a\",\"category\":\"{}\"}}", "x".repeat(1 << 20)),
    ] {
        let imported = import(text.as_bytes(), Format::JsonLines).unwrap();
        assert!(imported.refused[0].error.to_string().len() < 1000);
    }
}
