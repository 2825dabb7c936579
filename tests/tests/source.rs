//! What the source must keep to, read from the source: mistakes that no other test would see until somebody makes use of
//! them.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// A source file of a crate: its path from the workspace's root, and its text without the unit tests.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    folders.push(root.join("benches/src"));
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    sources.sort();
    assert!(sources.len() > 200, "{}", sources.len());
    sources
}

/// The types that derive `name` in a source file: for each, its attributes from the derive on, and its definition.
fn deriving<'s>(text: &'s str, name: &str) -> Vec<(&'s str, &'s str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("#[derive(") {
        let end = at + text[at..].find(")]").unwrap();
        let derives = text[at + "#[derive(".len()..end].split(',').map(|name| name.trim().rsplit("::").next().unwrap());
        if derives.into_iter().any(|derived| derived == name) {
            let item = end + text[end..].find("struct ").into_iter().chain(text[end..].find("enum ")).min().unwrap();
            let brace = text[item..].find(['{', ';', '(']).map(|length| item + length).unwrap();
            let close = if text[brace..].starts_with('{') { closing(text, brace) } else { brace };
            found.push((&text[at..item], &text[item..=close]));
        }
    }
    found
}

/// Where the brace at `open` is closed.
fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, character) in text[open..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return open + at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    panic!("no end of: {}", &text[open..])
}

fn named(definition: &str) -> &str {
    let name = definition.split_whitespace().nth(1).unwrap();
    name.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap()
}

/// Types with named fields that may take fields they do not know, and why.
const LENIENT: [(&str, &str); 4] = [
    ("EarlierCapture", "part of EarlierFile"),
    ("EarlierFile", "it only looks for a key that earlier policies had; the policy itself is read by another type"),
    ("NewRecord", "records are written out and never read in: an auditor's program reads what a later version adds"),
    ("Record", "the same"),
];

#[test]
fn every_type_that_is_read_refuses_fields_that_it_does_not_know() {
    let (mut checked, mut lenient) = (0, Vec::new());
    for (path, text) in sources() {
        for (attributes, definition) in deriving(&text, "Deserialize") {
            let serde: String = attributes.lines().filter(|line| line.contains("#[serde(")).collect();
            let elsewhere = serde.contains("try_from = ");
            let fields = if definition.starts_with("struct ") {
                definition.ends_with('}')
            } else {
                // Of an enumeration's variants, those with fields of their own.
                definition.matches('{').count() > 1
            };
            if !fields || elsewhere {
                continue;
            }
            let name = named(definition);
            if LENIENT.iter().any(|(lenient, _)| *lenient == name) {
                lenient.push((name.to_owned(), serde.contains("deny_unknown_fields")));
                continue;
            }
            checked += 1;
            assert!(
                serde.contains("deny_unknown_fields"),
                "{path}: `{name}` takes fields that it does not know: a misspelt one would be lost. \
                 Give it #[serde(deny_unknown_fields)]"
            );
        }
    }
    assert!(checked > 30, "{checked}");
    for (name, reason) in LENIENT {
        assert!(lenient.contains(&(name.to_owned(), false)), "`{name}` needs no exception any more ({reason})");
    }
}

#[test]
fn a_type_that_reads_itself_reads_a_word() {
    for (path, text) in sources() {
        for (at, _) in text.match_indices("Deserialize<'de> for ") {
            let body = &text[at..closing(&text, at + text[at..].find('{').unwrap())];
            let word = body.contains("String::deserialize(deserializer)?.parse()")
                || body.contains("<String as serde::Deserialize>::deserialize(deserializer)?.parse()");
            assert!(word, "{path}: what is read by hand is tested by hand; say here why it is strict: {body}");
        }
    }
}

/// serde refuses a path that is not UTF-8, and `json!` panics on it.
#[test]
fn no_path_is_printed_but_by_the_type_that_shows_them() {
    let is_path = |kind: &str| {
        let words = kind.split(|character: char| !character.is_alphanumeric());
        words.into_iter().any(|word| matches!(word, "PathBuf" | "Path" | "OsString" | "OsStr"))
    };
    let sources = sources();
    for (path, text) in &sources {
        for (_, definition) in deriving(text, "Serialize") {
            let field = definition.lines().find(|line| line.split_once(": ").is_some_and(|(_, kind)| is_path(kind)));
            assert!(
                field.is_none(),
                "{path}: {} is serialised as a path; make it a ShownPath: {field:?}",
                named(definition)
            );
        }
    }
    for (path, text) in &sources {
        assert!(!text.contains("display()"), "{path}: print paths with `shown(path)`");
    }
    let command: Vec<_> = sources.iter().filter(|(path, _)| path.starts_with("crates/clearlane-cli/")).collect();
    let mut checked = 0;
    for (path, text) in &command {
        // The names that paths go by in this file.
        let mut names = Vec::new();
        for line in text.lines() {
            for (before, kind) in line.match_indices(": ").map(|(at, _)| (&line[..at], &line[at + 2..])) {
                let kind = kind.split([',', ')', '=', '{']).next().unwrap();
                let name = before.rsplit(|character: char| !character.is_alphanumeric() && character != '_').next();
                names.extend(name.filter(|name| is_path(kind) && !name.is_empty()));
            }
        }
        checked += names.len();
        for (at, _) in text.match_indices("json!(") {
            let (mut depth, mut end) = (0, at);
            for (offset, character) in text[at..].char_indices() {
                depth += i32::from(character == '(') - i32::from(character == ')');
                if character == ')' && depth == 0 {
                    end = at + offset;
                    break;
                }
            }
            for value in
                text[at..end].split(',').filter_map(|field| field.split_once(": ").map(|(_, value)| value.trim()))
            {
                let value = value.trim_end_matches([' ', '}', '\n']);
                let plain = value.chars().all(|character| character.is_alphanumeric() || "_.&*".contains(character));
                let last = value.rsplit(['.', '&', '*']).next().unwrap();
                assert!(
                    !plain || !names.contains(&last),
                    "{path}: json! panics on the path `{value}` where it is not UTF-8; use `shown({value})`"
                );
            }
        }
    }
    assert!(checked > 40, "{checked}");
}

/// The crates that others build on.
const PRODUCTS: [&str; 8] = [
    "clearlane",
    "clearlane-embed",
    "clearlane-eval",
    "clearlane-infer",
    "clearlane-match",
    "clearlane-simd",
    "clearlane-store",
    "clearlane-template",
];

/// Libraries whose types may stand in a product's public signatures, and why.
const SHOWN: [(&str, &str, &str); 4] = [
    ("", "jiff", "times and days, which Rust has none of; `clearlane` re-exports it"),
    ("clearlane-infer", "ndarray", "tensors in and out, without a copy"),
    ("clearlane-embed", "ndarray", "the same"),
    ("clearlane", "zeroize", "a private key as text, wiped when it is dropped"),
];

/// Names that a file imports from a library that is none of ours, each with that library.
fn imported<'t>(text: &'t str, libraries: &[String]) -> Vec<(&'t str, String)> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices("\nuse ") {
        let import = &text[at + 5..at + 5 + text[at + 5..].find(';').unwrap()];
        let library = import.split("::").next().unwrap().trim();
        if libraries.iter().any(|name| name == library) {
            let idents = import.split(|character: char| !character.is_alphanumeric() && character != '_');
            // Traits, which are named in no signature, do no harm here.
            let types = idents.filter(|ident| ident.starts_with(|first: char| first.is_ascii_uppercase()));
            names.extend(types.map(|ident| (ident, library.to_owned())));
        }
    }
    names
}

#[test]
fn no_product_shows_the_types_of_another_library() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
    let libraries: Vec<_> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| !name.starts_with("clearlane"))
        .map(|name| name.replace('-', "_"))
        .collect();
    let mut checked = 0;
    for (path, text) in sources() {
        let Some(product) = PRODUCTS.iter().find(|name| path.starts_with(&format!("crates/{name}/"))) else { continue };
        let imported = imported(&text, &libraries);
        let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
        let items = text[..tests].match_indices("\n    pub fn ").chain(text[..tests].match_indices("\npub fn "));
        let signatures = items.map(|(at, _)| &text[at..at + text[at..].find(['{', ';']).unwrap()]);
        let errors = text[..tests].match_indices("\npub enum ").map(|(at, _)| {
            let open = at + text[at..].find('{').unwrap();
            &text[at..closing(&text, open)]
        });
        for shown in signatures.chain(errors) {
            checked += 1;
            let words: Vec<_> =
                shown.split(|character: char| !character.is_alphanumeric() && !"_:".contains(character)).collect();
            let named = imported.iter().find(|(name, _)| words.contains(name)).map(|(_, library)| library.as_str());
            let by_path = words.iter().find_map(|word| {
                let library = word.split("::").next().filter(|_| word.contains("::"))?;
                libraries.iter().find(|name| *name == library).map(String::as_str)
            });
            for library in named.into_iter().chain(by_path) {
                let derive = matches!(library, "thiserror" | "serde" | "strum");
                let excepted = SHOWN.iter().any(|(of, name, _)| *name == library && (of.is_empty() || of == product));
                assert!(derive || excepted, "{path}: a type of {library} is public: {}", shown.trim());
            }
        }
    }
    assert!(checked > 400, "{checked}");
}
