//! The command line's own tree of commands, and calls that are made from it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::{Arg, Command, ValueHint};

use super::clearlane;

/// The exit codes that the help documents.
pub(crate) fn documented() -> BTreeSet<i32> {
    let help = String::from_utf8(clearlane().arg("--help").output().unwrap().stdout).unwrap();
    let codes = help.split("Exit codes:").nth(1).unwrap().split("\n\n").next().unwrap();
    let codes: BTreeSet<i32> = codes.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert!(codes.len() >= 8, "{codes:?}");
    codes
}

/// The commands that do something, each with the words that call it.
pub(crate) fn commands() -> Vec<(Vec<String>, Command)> {
    let mut line = clearlane_cli::command_line();
    line.build();
    let mut found = Vec::new();
    let mut open = vec![(Vec::new(), line)];
    while let Some((words, command)) = open.pop() {
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let words: Vec<String> = words.iter().cloned().chain([inner.get_name().to_owned()]).collect();
            if inner.has_subcommands() {
                open.push((words, inner.clone()));
            } else {
                found.push((words, inner.clone()));
            }
        }
    }
    assert!(found.len() >= 30, "{found:?}");
    found
}

pub(crate) fn takes_path(arg: &Arg) -> bool {
    arg.get_value_hint() == ValueHint::AnyPath
}

/// What makes a command short whose other arguments would let it work for minutes.
pub(crate) fn brakes(words: &[String]) -> &'static [&'static str] {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["demo"] => &["--faces", "/nowhere"],
        ["bench", "search"] => &["--sizes", "100", "--dimension", "16", "--probes", "2"],
        ["bench", "soak"] => &["--duration", "1s", "--lanes", "1", "--enrolled", "10", "--picture-every", "0"],
        ["lane", "simulate"] => &["--enrolled", "2", "--passages", "2", "--lanes", "1"],
        _ => &[],
    }
}

/// Where no broker listens.
const NO_BROKER: &str = "nats://127.0.0.1:1";

/// A lane that follows a cluster.
const ON_A_CLUSTER: [&str; 5] = ["--follow", "--brokers", NO_BROKER, "--cluster-key", "port.key"];

/// The words of a call with `value` for `tried`, and `other` for every other path that is needed.
pub(crate) fn call(
    words: &[String],
    command: &Command,
    tried: &Arg,
    value: &OsStr,
    other: impl Fn(&Arg) -> OsString,
) -> Vec<OsString> {
    let mut call: Vec<OsString> = words.iter().map(OsString::from).collect();
    let tried_name = tried.get_long().map(|long| format!("--{long}"));
    let brakes = brakes(words);
    for brake in brakes.chunks(2).filter(|brake| tried_name.as_deref() != brake.first().copied()) {
        call.extend(brake.iter().map(OsString::from));
    }
    for arg in command.get_arguments() {
        // A sweep's time comes from a policy's file or is given; an enrolment is by a policy, or says that it is by none.
        let one_of = (words == ["register", "sweep"] || words == ["enrol"]) && arg.get_id() == "policy";
        if !arg.is_required_set() && !one_of && arg.get_id() != tried.get_id() {
            continue;
        }
        if let Some(long) = arg.get_long() {
            call.push(format!("--{long}").into());
        }
        let plain = match (arg.get_id().as_str(), words) {
            ("brokers", _) => NO_BROKER,
            ("since", _) => "2026-01-01T00:00:00Z",
            ("name", [first, second]) if first == "datasets" && second == "check" => "lfw",
            _ => "nothing",
        };
        let word = arg.get_possible_values().first().map_or(plain.to_owned(), |value| value.get_name().to_owned());
        call.push(match arg {
            tried_arg if tried_arg.get_id() == tried.get_id() => value.to_owned(),
            arg if takes_path(arg) => other(arg),
            _ => word.into(),
        });
    }
    // What an option needs beside it.
    if tried.get_id() == "probe_vectors" {
        call.extend(["--vectors".into(), value.to_owned()]);
    }
    if tried.get_id() == "labels" {
        call.extend(["--group-by", "a"].map(OsString::from));
    }
    if tried.get_id() == "write" {
        call.extend(["--population", "a", "--measured-on", "a"].map(OsString::from));
    }
    if tried.get_id().as_str().starts_with("tls_") && words == ["lane", "run"] {
        call.extend(ON_A_CLUSTER.map(OsString::from));
    }
    match tried.get_id().as_str() {
        "tls_certificate" => call.extend(["--tls-key", "letter"].map(OsString::from)),
        "tls_key" => call.extend(["--tls-certificate", "letter"].map(OsString::from)),
        "snapshots" if words == ["lane", "run"] => call.extend(ON_A_CLUSTER.map(OsString::from)),
        "outbox" => call.extend(ON_A_CLUSTER.iter().chain(&["--send-records", "lane-1"]).map(OsString::from)),
        _ => {}
    }
    if tried.get_id() == "templates_out" && words == ["eval", "lfw"] {
        call.push("--all-pairs".into());
    }
    if tried.get_id() == "keep" && words == ["bench", "search"] {
        call.extend(["--faces".into(), value.to_owned()]);
    }
    if tried.get_id() == "key_file" && words == ["bench", "search"] {
        call.extend(["--register".into(), value.to_owned()]);
    }
    call
}
