//! Machines that give little: one processor, little memory. The command works there, or says why not.
#![cfg(all(target_os = "linux", feature = "builtin"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

use common::fictional;

/// The signal by which Rust ends a process whose allocation failed.
const SIGABRT: i32 = 6;

/// Runs the command after a line of shell, without the settings of whoever runs the tests.
fn after(line: &str, words: &[&str]) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{line} \"$0\" \"$@\"")]);
    shell.arg(env!("CARGO_BIN_EXE_clearlane-under-test")).args(words);
    for setting in common::SETTINGS {
        shell.env_remove(setting);
    }
    shell.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The address space that the command has taken when it begins to work, in KiB: what its own message says of a limit that is
/// known.
fn taken_at_first() -> u64 {
    for limit in (40_000..1_000_000).step_by(8_000) {
        let output = after(&format!("ulimit -v {limit}; exec"), &["models", "list"]);
        let text = said(&output);
        if let Some(left) = text.split_once("memory leaves ").and_then(|(_, rest)| rest.split(' ').next()) {
            return limit - 1024 * left.parse::<u64>().unwrap();
        }
        assert!(!output.status.success(), "with {limit} KiB it works before it says that this is too little");
    }
    panic!("no limit is too little");
}

#[test]
fn one_processor_is_enough() {
    if Command::new("taskset").arg("--version").output().is_err() {
        eprintln!("skipped: taskset is not installed");
        return;
    }
    let picture = fictional("enrolled/f0000/plain-1.jpg").display().to_string();
    // The first processor that this test may use: a container may have others than 0.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    let first = list.split(['-', ',']).next().unwrap();
    for words in [
        &["inspect", picture.as_str()][..],
        &["lane", "simulate", "--enrolled", "200", "--passages", "40", "--lanes", "4"],
    ] {
        let output = after(&format!("exec taskset -c {first}"), words);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
    }
}

#[test]
fn a_limit_that_leaves_too_little_memory_is_said() {
    let taken = taken_at_first();
    for json in [false, true] {
        let words = ["models", "list", "--json"];
        let words = &words[..if json { 3 } else { 2 }];
        let output = after(&format!("ulimit -v {}; exec", taken + (16 << 10)), words);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(6), "{text}");
        assert!(text.contains("the limit on this process' memory leaves ") && text.contains("ulimit -v"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), json, "{text}");
    }
}

#[test]
fn where_little_memory_is_left_one_thread_does_the_work() {
    let output = after(&format!("ulimit -v {}; exec", taken_at_first() + (200 << 10)), &["bench", "--cpu", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["threads"], 1, "{shown}");
}

#[test]
fn whatever_the_limit_on_memory_nothing_ends_without_words() {
    let taken = taken_at_first();
    let picture = fictional("enrolled/f0000/plain-1.jpg").display().to_string();
    // A gallery of 128 values and many rows asks for more than some of these limits leave.
    let calls = [
        &["inspect", picture.as_str()][..],
        &["bench", "search", "--sizes", "100000", "--dimension", "128", "--probes", "2"],
        &["lane", "simulate", "--enrolled", "2000", "--passages", "20"],
    ];
    let (mut refused, mut worked) = (0, 0);
    for more in [32, 68, 80, 110, 160, 1024] {
        for words in calls {
            let output = after(&format!("ulimit -v {}; exec", taken + (more << 10)), words);
            let text = said(&output);
            let what = format!("{more} MiB more, {words:?}: {:?} {text}", output.status);
            assert!(!text.contains("panicked"), "{what}");
            match (output.status.code(), output.status.signal()) {
                (Some(0), _) => worked += 1,
                // Typed, with what was refused.
                (Some(code @ 2..=6), _) => {
                    assert!(text.contains("error: "), "{what}");
                    // Whatever asked for it.
                    assert!(!text.contains("the system refused") || code == 6, "{what}");
                    refused += 1;
                }
                (None, Some(SIGABRT)) => {
                    assert!(text.contains("memory allocation of "), "{what}");
                    refused += 1;
                }
                _ => panic!("{what}"),
            }
        }
    }
    assert!(refused >= calls.len() && worked >= calls.len(), "{refused} were refused and {worked} worked");
}
