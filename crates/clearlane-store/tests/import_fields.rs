//! What an import takes and what it refuses, tried on every field of a full export.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_store::{Enrolment, Format, ImageDigest, NewTemplate, StoreError};
use serde_json::{Map, Value, json};
use support::{fixture, full, import, template};

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
