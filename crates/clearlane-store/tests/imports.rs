//! What an import takes and what it refuses, tried on every field of a full export.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{self, BufRead, Read};

use clearlane_store::{
    Consent, ConsentScope, CsvColumns, Details, Endorsement, EndorsementKind, Enrolment, Entries, Format, ImageDigest,
    ImportError, Imported, MAX_REFUSALS, NewTemplate, Register, StoreError, Subject, csv_rows, write_csv,
};
use clearlane_template::SubjectId;
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use support::{details, fixture, template};

/// The fields without which their object says nothing; every other one may be left out.
const NEEDED: [&str; 13] = [
    "key",
    "documents[].kind",
    "documents[].number_digest",
    "documents[].expires",
    "documents[].endorsements[].kind",
    "documents[].endorsements[].entries",
    "documents[].endorsements[].expires",
    "consent.given",
    "consent.scope",
    "consent.scope.face",
    "consent.scope.fingerprint",
    "templates[].model",
    "templates[].values",
];

/// The fields that are any text.
const TEXTS: [&str; 3] = ["key", "place", "method"];

/// Everything that can be known of a subject.
fn full(register: &Register) -> Details {
    let mut details = details(register);
    details.documents[0].endorsements.push(Endorsement {
        kind: EndorsementKind::Talent,
        entries: Entries::Multiple,
        valid_from: Some(date(2024, 2, 1)),
        expires: date(2030, 1, 1),
    });
    let consent = details.consent.as_mut().unwrap();
    consent.withdrawn = Some(consent.given + SignedDuration::from_hours(1));
    details
}

fn exported(format: Format) -> String {
    let f = fixture();
    let new = NewTemplate { template: template(1), source: Some(ImageDigest::of(b"image")) };
    f.register.enrol(&Enrolment::new("full").with_details(full(&f.register)).with_template(new)).unwrap();
    let mut out = Vec::new();
    f.register.export(&mut out, format, format == Format::JsonLines, |_, _| ()).unwrap();
    String::from_utf8(out).unwrap()
}

/// A place in a JSON value.
type Place = Vec<String>;

/// All objects of a value, and all fields of these, by their places.
fn places(value: &Value, here: &Place, objects: &mut Vec<Place>, fields: &mut Vec<Place>) {
    let at = |step: String| here.iter().cloned().chain([step]).collect::<Place>();
    match value {
        Value::Object(map) => {
            objects.push(here.clone());
            for (name, inner) in map {
                fields.push(at(name.clone()));
                places(inner, &at(name.clone()), objects, fields);
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, inner)| places(inner, &at(index.to_string()), objects, fields));
        }
        _ => {}
    }
}

fn name(place: &Place) -> String {
    let number = |step: &str| step.bytes().all(|byte| byte.is_ascii_digit());
    let steps = place.iter().map(|step| if number(step) { "[]".to_owned() } else { format!(".{step}") });
    steps.collect::<String>().trim_start_matches('.').to_owned()
}

fn pointer(place: &Place) -> String {
    place.iter().flat_map(|step| ["/", step.as_str()]).collect()
}

/// The line with one change, under a key of its own.
fn changed(line: &Value, number: usize, change: impl FnOnce(&mut Value)) -> Value {
    let mut line = line.clone();
    line["key"] = format!("person {number}").into();
    change(&mut line);
    line
}

fn object<'v>(value: &'v mut Value, place: &Place) -> &'v mut Map<String, Value> {
    value.pointer_mut(&pointer(place)).unwrap().as_object_mut().unwrap()
}

fn import(text: &[u8], format: Format) -> Result<Imported, ImportError> {
    fixture().register.import(&mut &*text, format, |_| ())
}

#[track_caller]
fn assert_refused(lines: &[(String, String)]) {
    let text: String = lines.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect();
    let imported = import(text.as_bytes(), Format::JsonLines).unwrap();
    let refused: Vec<_> = imported.refused.iter().map(|refusal| refusal.line as usize).collect();
    let taken: Vec<_> = lines.iter().zip(1..).filter(|(_, line)| !refused.contains(line)).collect();
    assert!(taken.is_empty(), "taken: {taken:#?}");
    assert_eq!((imported.enrolled, imported.refused.len()), (0, lines.len()));
}

#[track_caller]
fn assert_taken(lines: &[(String, String)]) {
    let text: String = lines.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect();
    let imported = import(text.as_bytes(), Format::JsonLines).unwrap();
    assert!(imported.refused.is_empty(), "{:?} of {lines:#?}", imported.refused);
    assert_eq!((imported.enrolled, imported.lines), (lines.len() as u64, lines.len() as u64));
}

fn line() -> (Value, Vec<Place>, Vec<Place>) {
    let line: Value = serde_json::from_str(&exported(Format::JsonLines)).unwrap();
    let (mut objects, mut fields) = (Vec::new(), Vec::new());
    places(&line, &Vec::new(), &mut objects, &mut fields);
    assert!(objects.len() >= 7 && fields.len() > 25, "{objects:?}, {fields:?}");
    (line, objects, fields)
}

#[test]
fn an_unknown_field_is_refused_in_every_object_of_an_export() {
    let (line, objects, _) = line();
    let mut lines = Vec::new();
    for place in &objects {
        for unknown in ["unknown", "withdrawn_at"] {
            let changed =
                changed(&line, lines.len(), |line| _ = object(line, place).insert(unknown.into(), json!("2024-12-01")));
            lines.push((format!("{unknown} in `{}`", name(place)), changed.to_string()));
        }
    }
    assert_refused(&lines);
}

#[test]
fn a_field_that_stands_there_twice_is_refused_in_every_object_of_an_export() {
    let (line, _, fields) = line();
    let mut lines = Vec::new();
    for place in &fields {
        let (field, above) = place.split_last().unwrap();
        let marked = changed(&line, lines.len(), |line| {
            let value = line.pointer(&pointer(place)).unwrap().clone();
            object(line, &above.to_vec()).insert("TWICE".into(), value);
        });
        lines.push((name(place), marked.to_string().replace("TWICE", field)));
    }
    assert_refused(&lines);
}

#[test]
fn every_field_of_an_export_may_be_left_out_but_those_that_are_needed() {
    let (line, _, fields) = line();
    let (mut needed, mut others) = (Vec::new(), Vec::new());
    for (number, place) in fields.iter().enumerate() {
        let (field, above) = place.split_last().unwrap();
        let without = changed(&line, number, |line| _ = object(line, &above.to_vec()).remove(field));
        let lines = if NEEDED.contains(&name(place).as_str()) { &mut needed } else { &mut others };
        lines.push((name(place), without.to_string()));
    }
    assert_refused(&needed);
    assert_taken(&others);
    assert!(NEEDED.iter().all(|field| needed.iter().any(|(name, _)| name == field)));
}

#[test]
fn a_value_of_another_type_is_refused_in_every_field_of_an_export() {
    let (line, objects, fields) = line();
    let wrong = [
        json!({}),
        json!([]),
        json!([[]]),
        json!({ "other": null }),
        json!(true),
        json!(-1),
        json!(1.5),
        json!("no such word"),
    ];
    let mut lines = Vec::new();
    for place in &fields {
        let is = line.pointer(&pointer(place)).unwrap();
        for wrong in &wrong {
            let fits = match wrong {
                Value::Array(list) => is.is_array() && list.is_empty(),
                Value::Bool(_) => is.is_boolean(),
                Value::String(_) => TEXTS.contains(&name(place).as_str()),
                _ => false,
            };
            if !fits {
                let changed =
                    changed(&line, lines.len(), |line| *line.pointer_mut(&pointer(place)).unwrap() = wrong.clone());
                lines.push((format!("{} = {wrong}", name(place)), changed.to_string()));
            }
        }
    }
    // An object's values in a list, in the order of its fields: derived types would take them.
    for place in &objects {
        let changed = changed(&line, lines.len(), |line| {
            let value = line.pointer_mut(&pointer(place)).unwrap();
            *value = value.as_object().unwrap().values().cloned().collect();
        });
        lines.push((format!("`{}` as a list", name(place)), changed.to_string()));
    }
    lines.push((
        "scope as a list".into(),
        r#"{"key": "a", "consent": {"given": "2024-11-25T00:00:00Z", "scope": [true, true]}}"#.into(),
    ));
    lines.push(("line as a list".into(), r#"[1, "a"]"#.into()));
    assert_refused(&lines);
}

#[test]
fn columns_of_csv_are_held_to_what_they_say() {
    let text = exported(Format::Csv);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let row: Vec<String> = reader.records().next().unwrap().unwrap().iter().map(str::to_owned).collect();
    let table = |header: &[String], rows: &[Vec<String>]| {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header).unwrap();
        for row in rows {
            writer.write_record(row).unwrap();
        }
        writer.into_inner().unwrap()
    };
    for (index, column) in header.iter().enumerate() {
        let with = |value: &str| {
            let mut row = row.clone();
            row[index] = value.to_owned();
            import(&table(&header, &[row]), Format::Csv).unwrap()
        };
        let misspelt: Vec<_> =
            header.iter().map(|name| if name == column { format!("{name}_") } else { name.clone() }).collect();
        let error = import(&table(&misspelt, &[]), Format::Csv).unwrap_err().source;
        assert!(matches!(&*error, StoreError::Line { line: 1, reason } if reason.contains(column)), "{error}");
        let twice: Vec<_> = header.iter().chain([column]).cloned().collect();
        assert!(matches!(
            *import(&table(&twice, &[]), Format::Csv).unwrap_err().source,
            StoreError::Line { line: 1, .. }
        ));

        let wrong = with("no such word");
        assert_eq!(wrong.refused.is_empty(), TEXTS.contains(&column.as_str()), "{column}: {wrong:?}");
        assert!(wrong.refused.iter().all(|refusal| refusal.error.to_string().contains(column.as_str())), "{wrong:?}");

        let without = |list: &[String]| {
            list.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, text)| text.clone()).collect::<Vec<_>>()
        };
        let left_out = import(&table(&without(&header), &[without(&row)]), Format::Csv);
        match column.as_str() {
            "key" => assert!(matches!(*left_out.unwrap_err().source, StoreError::Line { line: 1, .. })),
            // Half of a consent is none that anybody gave.
            "consent_given" | "consent_face" | "consent_fingerprint" => {
                let (left_out, empty) = (left_out.unwrap(), with(""));
                assert_eq!((left_out.refused[0].line, empty.refused[0].line), (2, 2));
                assert!(left_out.refused[0].error.to_string().contains("consent_"));
            }
            _ => assert_eq!((left_out.unwrap().enrolled, with("").enrolled), (1, 1), "{column}"),
        }
    }
    for list in
        ["{}", r#"[["passport"]]"#, r#"[{"kind": "passport", "expires": "2030-01-01", "number": "1", "unknown": 1}]"#]
    {
        let mut row = row.clone();
        row[header.iter().position(|column| column == "documents").unwrap()] = list.to_owned();
        assert_eq!(import(&table(&header, &[row]), Format::Csv).unwrap().refused.len(), 1, "{list}");
    }
    for fields in [1, header.len() - 1, header.len() + 1] {
        let row: Vec<_> = row.iter().chain(&row).take(fields).map(String::as_str).collect();
        let text = format!(
            "{}\n\"{}\"\n",
            header.join(","),
            row.iter().map(|field| field.replace('"', "\"\"")).collect::<Vec<_>>().join("\",\"")
        );
        assert_eq!(import(text.as_bytes(), Format::Csv).unwrap().refused[0].line, 2, "{fields} fields");
    }
}

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
    const COLUMNS: CsvColumns = CsvColumns { needed: &["name", "share"], others: &[] };
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
        const COLUMNS: CsvColumns = CsvColumns { needed: &["key"], others: &[] };
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

/// What contradicts itself, with the field that is to be named.
fn contradictions(register: &Register) -> Vec<(&'static str, Details)> {
    let change = |change: &dyn Fn(&mut Details)| {
        let mut details = full(register);
        change(&mut details);
        details
    };
    vec![
        (
            "consent.withdrawn",
            change(&|details| {
                let consent = details.consent.as_mut().unwrap();
                consent.withdrawn = Some(consent.given - SignedDuration::from_secs(1));
            }),
        ),
        ("documents.valid_from", change(&|details| details.documents[0].valid_from = Some(date(2034, 1, 2)))),
        (
            "documents.endorsements.valid_from",
            change(&|details| details.documents[0].endorsements[1].valid_from = Some(date(2030, 1, 2))),
        ),
    ]
}

#[test]
fn details_that_contradict_themselves_are_refused_on_every_way_in_with_their_field() {
    let f = fixture();
    let enrolment = |details: &Details| Enrolment::new("somebody").with_details(details.clone());
    let named = |error: &StoreError, wanted| matches!(error, StoreError::Invalid { field, .. } if *field == wanted);
    let (known, _) = f.register.enrol(&Enrolment::new("known").with_details(full(&f.register))).unwrap();
    for (field, details) in contradictions(&f.register) {
        assert!(named(&f.register.enrol(&enrolment(&details)).unwrap_err(), field), "{field}");
        assert!(
            named(f.register.enrol_all(&[enrolment(&details)]).unwrap()[0].as_ref().unwrap_err(), field),
            "{field}"
        );
        assert!(named(&f.register.update(known, details.clone()).unwrap_err(), field), "{field}");

        // As a subject is shown, which is as it is exchanged but for the names of documents.
        let mut line = serde_json::to_value(&details).unwrap();
        line["key"] = "somebody".into();
        let imported = f.register.import(&mut line.to_string().as_bytes(), Format::JsonLines, |_| ()).unwrap();
        assert!(named(&imported.refused[0].error, field), "{field}: {imported:?}");
        let (documents, consent) = (line["documents"].to_string().replace('"', "\"\""), &line["consent"]);
        let text = format!(
            "key,documents,consent_given,consent_withdrawn,consent_face,consent_fingerprint\nsomebody,\"{documents}\",{},{},true,true\n",
            consent["given"].as_str().unwrap(),
            consent["withdrawn"].as_str().unwrap()
        );
        let imported = f.register.import(&mut text.as_bytes(), Format::Csv, |_| ()).unwrap();
        assert!(named(&imported.refused[0].error, field), "{field}: {imported:?}");
    }
    assert_eq!(f.register.subjects().count(), 1);
}

/// A clock that is wrong keeps nobody from withdrawing, and what is stored can be exported and imported.
#[test]
fn a_withdrawal_before_the_consent_counts_from_the_consent_on() {
    let f = fixture();
    let (id, _) = f.register.enrol(&Enrolment::new("known").with_details(details(&f.register))).unwrap();
    f.register.withdraw_consent(id, Timestamp::UNIX_EPOCH).unwrap();
    let consent = f.register.subject_by_id(id).unwrap().unwrap().details.consent.unwrap();
    assert_eq!(consent.withdrawn, Some(consent.given));
    for format in [Format::JsonLines, Format::Csv] {
        let mut out = Vec::new();
        f.register.export(&mut out, format, false, |_, _| ()).unwrap();
        assert_eq!(import(&out, format).unwrap().enrolled, 1);
    }
}

#[test]
fn nobody_was_enrolled_in_the_far_future() {
    let f = fixture();
    let at = |hours: i64| Enrolment {
        enrolled: Timestamp::now() + SignedDuration::from_hours(hours),
        ..Enrolment::new(hours.to_string())
    };
    f.register.enrol(&at(1)).unwrap();
    assert!(matches!(f.register.enrol(&at(48)), Err(StoreError::Invalid { field: "enrolled", .. })));
    let imported = import(br#"{"key": "a", "enrolled": "9999-01-01T00:00:00Z"}"#, Format::JsonLines).unwrap();
    assert!(matches!(imported.refused[0].error, StoreError::Invalid { field: "enrolled", .. }));
}

#[test]
fn a_subject_as_it_is_shown_is_read_back_and_no_unknown_field_with_it() {
    let f = fixture();
    f.register.enrol(&Enrolment::new("full").with_details(full(&f.register))).unwrap();
    let subject = f.register.subject_by_id(SubjectId(1)).unwrap().unwrap();
    let value = serde_json::to_value(&subject).unwrap();
    assert_eq!(serde_json::from_value::<Subject>(value.clone()).unwrap(), subject);
    let mut misspelt = value;
    misspelt["expire"] = "2024-01-01".into();
    assert!(serde_json::from_value::<Subject>(misspelt).is_err());
    let consent = Consent { given: Timestamp::UNIX_EPOCH, scope: ConsentScope::default(), withdrawn: None };
    let mut value = serde_json::to_value(&consent).unwrap();
    value["withdrawn_at"] = "1970-01-02T00:00:00Z".into();
    assert!(serde_json::from_value::<Consent>(value).is_err());
}
