//! The operator's page says what the sources say: every message that it quotes stands there, and every command exists.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/operations.md")).unwrap()
}

/// The page of those who run a cluster.
fn cluster_page() -> String {
    std::fs::read_to_string(root().join("docs/cluster.md")).unwrap()
}

/// All Rust sources of the crates without their comments, with each string on one line and `…` for what is put into it.
fn sources() -> String {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                all.extend(
                    text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]),
                );
            }
        }
    }
    normalised(&all)
}

/// Strings that go on in the next line are joined, `{value}` becomes `…`, and backticks go, which the page cannot quote.
fn normalised(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let mut joined = parts.next().unwrap().to_owned();
    parts.for_each(|part| joined.push_str(part.trim_start()));
    let mut out = String::with_capacity(joined.len());
    let mut rest = joined.as_str();
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        out.push_str(before);
        if let Some(end) = after[1..].find(['}', '\n', '{']).filter(|end| after[1 + end..].starts_with('}')) {
            out.push('…');
            rest = &after[end + 2..];
        } else {
            out.push('{');
            rest = &after[1..];
        }
    }
    out.push_str(rest);
    out.replace('`', "")
}

/// The cells of the page's tables, each row with the head of its table.
fn rows(page: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let (mut rows, mut head) = (Vec::new(), Vec::new());
    for line in page.lines() {
        if !line.starts_with('|') {
            head.clear();
        } else if head.is_empty() {
            head = cells(line);
        } else if !line.starts_with("|---") {
            rows.push((head.clone(), cells(line)));
        }
    }
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_message_that_is_quoted_stands_in_the_sources() {
    let (page, sources) = (page(), sources());
    let mut checked = 0;
    let rows = [rows(&page), rows(&cluster_page())].concat();
    for (head, row) in rows.iter().filter(|(head, _)| head[0] == "it says") {
        for message in quoted(&row[0]) {
            checked += 1;
            assert!(message.len() > 12, "too short to be told from others: {message}");
            assert!(sources.contains(message), "no source says `{message}` ({head:?})");
        }
    }
    assert!(checked > 40, "{checked}");
    // The check itself can fail.
    assert!(!sources.contains("…: no space is left on the disc"));
}

#[test]
fn every_reason_has_the_code_and_the_phrase_that_the_page_gives() {
    let phrases = std::fs::read_to_string(root().join("crates/clearlane/src/reason/phrase.rs")).unwrap();
    let reasons = std::fs::read_to_string(root().join("crates/clearlane/src/reason.rs")).unwrap();
    let mut checked = 0;
    for (_, row) in rows(&page()).iter().filter(|(head, _)| head[0] == "code") {
        let (code, phrase) = (quoted(&row[0])[0], quoted(&row[1])[0]);
        let variant: String = code.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let is_variant = |line: &str| line.strip_prefix(&variant).is_some_and(|rest| rest.starts_with([' ', ',']));
        assert!(reasons.lines().any(|line| is_variant(line.trim_start())), "no reason has the code {code}");
        let arm = phrases.lines().find(|line| line.trim_start().strip_prefix("Self::").is_some_and(is_variant));
        let arm = arm.unwrap_or_else(|| panic!("no phrase of {code}"));
        assert!(arm.contains(&format!("(\"{phrase}\"")), "{code}: {arm}");
        checked += 1;
    }
    assert!(checked >= 10, "{checked}");
}

/// The lines of the page and of the drill that call the command, and what is quoted as a call.
fn calls() -> Vec<String> {
    let page = page();
    let drill = std::fs::read_to_string(root().join("docs/drill.sh")).unwrap();
    let mut calls: Vec<String> =
        page.lines().filter_map(|line| line.trim().strip_prefix("$ clearlane ")).map(str::to_owned).collect();
    calls.extend(
        quoted(&page.replace("```", ""))
            .into_iter()
            .filter_map(|call| call.strip_prefix("clearlane "))
            .map(str::to_owned),
    );
    calls.extend(drill.lines().filter_map(|line| line.split("\"$clearlane\" ").nth(1)).map(str::to_owned));
    calls
}

#[test]
fn every_command_and_option_that_the_page_and_the_drill_name_exists() {
    let calls = calls();
    assert!(calls.len() > 25, "{calls:?}");
    for call in calls {
        let mut line = clearlane_cli::command_line();
        line.build();
        let mut command = line.clone();
        let mut words = call.split(['#', '|', ';']).next().unwrap().split_whitespace().peekable();
        while let Some(word) = words.peek() {
            let Some(inner) = command.find_subcommand(word).cloned() else { break };
            command = inner;
            words.next();
        }
        assert!(!command.has_subcommands() || command.get_name() == "bench", "no such command: clearlane {call}");
        for word in words.filter(|word| word.starts_with("--")) {
            let long = word[2..].split('=').next().unwrap();
            let known = command.get_arguments().any(|arg| arg.get_long() == Some(long));
            assert!(known, "`clearlane {}` has no option --{long}", command.get_name());
        }
    }
}
