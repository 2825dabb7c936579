//! The command teaches its users: every command explains itself, with examples and exit codes.
#![allow(clippy::unwrap_used)]

mod common;

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
