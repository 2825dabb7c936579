//! The command teaches its users: every command explains itself, with examples and exit codes.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::clearlane;
use predicates::prelude::*;
use predicates::str::contains;

/// Every command that the top-level help lists.
fn commands() -> Vec<String> {
    let help = String::from_utf8(clearlane().arg("-h").output().unwrap().stdout).unwrap();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_command_has_help_and_no_colours_in_a_pipe() {
    let commands = commands();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands.iter().filter(|command| *command != "help") {
        let help = clearlane().args([command, "--help"]).assert().success();
        help.stdout(contains("Usage: ").and(contains("\u{1b}").not()).and(contains("--json")));
    }
}

/// The help of a command and of all below it, each as one line of words.
fn helps(path: &[String], helps: &mut Vec<String>) {
    let output = clearlane().args(path).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    if let Some(list) = help.split("\nCommands:\n").nth(1) {
        let list = list.split("\n\n").next().unwrap();
        let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
            self::helps(&[path, &[name.to_owned()]].concat(), helps);
        }
    }
    helps.push(help.split_whitespace().collect::<Vec<_>>().join(" "));
}

/// The paragraphs after the first of what is written above each struct of arguments.
fn explanations(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            explanations(&path, found);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let mut comment: Vec<&str> = Vec::new();
        for line in source.lines() {
            if let Some(words) = line.strip_prefix("///") {
                comment.push(words.trim());
            } else if line.starts_with("pub(") && line.contains(" struct ") {
                if line.contains("Args ") || line.contains("Args<") {
                    let paragraphs = comment.split(|line| line.is_empty()).skip(1);
                    found.extend(paragraphs.map(|lines| lines.join(" ").replace("\\`", "`")));
                }
                comment.clear();
            } else if line.is_empty() {
                comment.clear();
            }
        }
    }
}

#[test]
fn all_that_is_written_of_a_command_is_in_its_help() {
    let (mut shown, mut written) = (Vec::new(), Vec::new());
    helps(&[], &mut shown);
    explanations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/clearlane-cli/src/commands"), &mut written);
    assert!(written.len() >= 40, "{} paragraphs", written.len());
    for paragraph in written {
        assert!(shown.iter().any(|help| help.contains(paragraph.trim_end_matches('.'))), "no help has: {paragraph}");
    }
}

#[test]
fn exit_codes_and_settings_are_in_the_help() {
    let help = clearlane().arg("--help").assert().success();
    help.stdout(contains("Exit codes:").and(contains("130")).and(contains("CLEARLANE_MODELS")));
}

#[test]
fn completions_name_every_command_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = clearlane().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(script.stdout).unwrap();
        for command in commands() {
            assert!(script.contains(&command), "{shell} does not complete {command}");
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    clearlane().arg("--version").assert().success().stdout(format!("clearlane {}\n", env!("CARGO_PKG_VERSION")));
}
