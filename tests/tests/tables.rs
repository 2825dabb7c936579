//! Tables for people: columns line up in a terminal.
#![allow(clippy::unwrap_used)]

mod common;

use common::{clearlane, file};

/// Columns of a terminal that a text takes: Chinese characters take two each.
fn width(text: &str) -> usize {
    text.chars().map(|character| if ('\u{4e00}'..='\u{9fff}').contains(&character) { 2 } else { 1 }).sum()
}

#[test]
fn a_name_in_chinese_keeps_the_columns_after_it_in_line() {
    let folder = tempfile::tempdir().unwrap();
    let (register, key) = (folder.path().join("port.register"), folder.path().join("port.key"));
    clearlane().args(["register", "keygen"]).arg(&key).assert().success();
    let on_register = |command: &str| {
        let mut on_register = clearlane();
        on_register.args(["register", command, "--register"]).arg(&register).arg("--key-file").arg(&key);
        on_register
    };
    let subjects = file(folder.path(), "subjects.csv", "key\nAaron\n陳大文\n".as_bytes());
    on_register("import").arg(subjects).assert().success();
    let list = String::from_utf8(on_register("list").output().unwrap().stdout).unwrap();
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    let category = lines[0].find("CATEGORY").unwrap();
    for (line, name) in [(lines[1], "Aaron"), (lines[2], "陳大文")] {
        assert!(line.contains(name), "{list}");
        // The category is unknown.
        assert_eq!(width(&line[..line.find('-').unwrap()]), category, "{list}");
    }
}
