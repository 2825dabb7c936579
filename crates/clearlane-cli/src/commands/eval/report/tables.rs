//! Any document as headings, tables and lists: whatever a protocol adds to its document is in its report.

use clearlane::Language;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::words::{joined, word};
use crate::page::table;

/// Lists of more numbers are drawn, not listed.
const LISTED: usize = 24;
/// Rows of a table; the rest is in the document alone.
const ROWS: usize = 200;

/// The figures that a reader looks for first, wherever in the document they are.
const CARDS: [&str; 7] = ["accuracy", "eer", "auc", "mated", "non_mated", "captures", "subjects"];

/// A card for each of the figures that come first.
pub(super) fn cards(document: &Value, language: Language) -> Markup {
    let found = CARDS.iter().filter_map(|key| Some((key, find(document, key)?)));
    html! {
        ul.cards {
            @for (key, value) in found {
                li { b { @if *key == "eer" { (percent(value.as_f64().unwrap_or_default())) } @else { (short(value)) } } (word(key, language)) }
            }
        }
    }
}

/// The first value of this name, breadth first: what stands outermost. Not within lists, whose items are parts of a whole.
pub(super) fn find<'v>(document: &'v Value, key: &str) -> Option<&'v Value> {
    let mut level = vec![document];
    while !level.is_empty() {
        if let Some(found) = level.iter().find_map(|value| value.get(key)) {
            return Some(found);
        }
        level = level.into_iter().filter(|value| value.is_object()).flat_map(children).collect();
    }
    None
}

pub(super) fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// The fields of an object: single values as a list, objects under headings, lists of objects as tables.
pub(super) fn section(value: &Value, language: Language, depth: usize) -> Markup {
    let Value::Object(fields) = value else { return html! { p { (cell(value)) } } };
    let plain: Vec<_> = fields.iter().filter(|(_, value)| is_plain(value) && !value.is_null()).collect();
    let others = fields.iter().filter(|(key, value)| !is_plain(value) && !is_drawn(key, value));
    html! {
        @if !plain.is_empty() {
            dl { @for (key, value) in plain { dt { (word(key, language)) } dd { (cell(value)) } } }
        }
        @for (key, value) in others {
            (heading(&word(key, language), depth))
            @match value {
                Value::Array(items) => (list(items, language, depth + 1)),
                _ => (section(value, language, depth + 1)),
            }
        }
    }
}

fn heading(text: &str, depth: usize) -> Markup {
    match depth {
        2 => html! { h2 { (text) } },
        3 => html! { h3 { (text) } },
        _ => html! { h4 { (text) } },
    }
}

fn list(items: &[Value], language: Language, depth: usize) -> Markup {
    let rows: Vec<Map<String, Value>> = items.iter().filter_map(flat).collect();
    if rows.len() < items.len() {
        // Of objects within which there are lists again: each under a heading of its own.
        return html! {
            @for item in items {
                @if let Some(name) = name(item) { (heading(&name, depth)) }
                (section(item, language, depth + 1))
            }
        };
    }
    let mut columns: Vec<&str> = Vec::new();
    for key in rows.iter().flat_map(Map::keys) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    let headers: Vec<String> = columns.iter().map(|key| word(key, language)).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let is_number =
        |key: &str| rows.iter().filter_map(|row| row.get(key)).all(|value| value.is_number() || value.is_null());
    let numbers: Vec<usize> = columns.iter().enumerate().filter(|(_, key)| is_number(key)).map(|(at, _)| at).collect();
    let cells = rows.iter().take(ROWS).map(|row| {
        columns.iter().map(|key| html! { @if let Some(value) = row.get(*key) { (cell(value)) } }).collect::<Vec<_>>()
    });
    html! {
        (table(&headers, &numbers, cells))
        @if rows.len() > ROWS { p.note { (joined(&[ROWS.to_string(), " / ".into(), rows.len().to_string()])) } }
    }
}

/// What an object among others is called.
fn name(item: &Value) -> Option<String> {
    let named = ["values", "name", "gallery", "mode", "threshold"].iter().find_map(|key| item.get(key))?;
    Some(short(named))
}

/// An object without lists of objects in it, as a row; a single value as a row of its own.
fn flat(item: &Value) -> Option<Map<String, Value>> {
    match item {
        Value::Object(fields) if fields.values().all(is_plain) => Some(fields.clone()),
        Value::Object(_) | Value::Array(_) => None,
        single => Some(Map::from_iter([(String::new(), single.clone())])),
    }
}

/// Whether a value fits into a cell.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            is_rate(fields)
                || is_range(fields)
                || (fields.values().all(|value| !value.is_array() && !value.is_object()) && fields.len() <= 5)
        }
        Value::Array(items) => items.iter().all(|item| !item.is_array() && !item.is_object()) && items.len() <= LISTED,
        _ => true,
    }
}

/// Whether a chart shows it.
fn is_drawn(key: &str, value: &Value) -> bool {
    key == "det"
        || key.ends_with("_histogram")
        || matches!(value, Value::Array(items) if items.len() > LISTED && items.iter().all(Value::is_number))
}

fn is_rate(fields: &Map<String, Value>) -> bool {
    fields.contains_key("events") && fields.contains_key("trials")
}

fn is_range(fields: &Map<String, Value>) -> bool {
    fields.len() == 2 && fields.contains_key("low") && fields.contains_key("high")
}

/// A value in a cell: a rate with its interval and what it was counted among.
fn cell(value: &Value) -> Markup {
    match value {
        Value::Object(fields) if is_rate(fields) => {
            let count = joined(&[short(&fields["events"]), " / ".into(), short(&fields["trials"])]);
            html! {
                @if let Some(rate) = share(fields) { (percent(rate)) " " }
                @if let Some(Value::Object(range)) = fields.get("interval") { small { "(" (range_of(range)) ") " } }
                small { (count) }
            }
        }
        Value::Object(fields) if is_range(fields) => html! { (range_of(fields)) },
        Value::Object(fields) => html! {
            @for (at, (key, value)) in fields.iter().enumerate() { @if at > 0 { "; " } (key.replace('_', " ")) " " (short(value)) }
        },
        Value::Array(items) => html! { (items.iter().map(short).collect::<Vec<_>>().join(", ")) },
        value => html! { (short(value)) },
    }
}

fn share(fields: &Map<String, Value>) -> Option<f64> {
    let (events, trials) = (fields["events"].as_f64()?, fields["trials"].as_f64()?);
    (trials > 0.0).then_some(events / trials)
}

fn range_of(range: &Map<String, Value>) -> String {
    let end = |key: &str| range.get(key).and_then(Value::as_f64).map_or_else(String::new, number);
    joined(&[end("low"), " – ".into(), end("high")])
}

/// Rates of a hundredth of a percent and more as percent, lower ones as powers of ten.
fn percent(rate: f64) -> String {
    if rate == 0.0 || rate >= 1e-4 { format!("{:.2} %", 100.0 * rate) } else { format!("{rate:.1e}") }
}

fn number(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 {
        format!("{value:.0}")
    } else if value.abs() >= 1e-3 {
        format!("{value:.4}")
    } else {
        format!("{value:.2e}")
    }
}

/// A value in few characters.
pub(super) fn short(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(found) => found.as_f64().map_or_else(|| found.to_string(), number),
        Value::Bool(yes) => yes.to_string(),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => match fields.get("mean") {
            // An accuracy over folds.
            Some(mean) => joined(&[
                percent(mean.as_f64().unwrap_or_default()),
                " ± ".into(),
                fields.get("standard_error").and_then(Value::as_f64).map_or_else(String::new, percent),
            ]),
            None => share_of(fields),
        },
    }
}

fn share_of(fields: &Map<String, Value>) -> String {
    if is_rate(fields) { share(fields).map_or_else(|| "–".to_owned(), percent) } else { String::new() }
}
