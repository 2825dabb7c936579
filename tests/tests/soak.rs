//! Some seconds of the endurance run. How long anything took is not looked at; the whole of it is run by hand.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{clearlane, json};
use predicates::str::contains;
use serde_json::Value;

fn soak(folder: &Path, duration: &str, more: &[&str]) -> assert_cmd::Command {
    let mut command = clearlane();
    command.args(["bench", "soak", "--duration", duration, "--lanes", "3", "--enrolled", "150", "--rate", "40"]);
    command.arg("--within").arg(folder).args(more);
    command
}

#[test]
fn some_seconds_of_everything_a_port_does_lose_nothing() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let out = out.path().join("soak");
    let run = json(soak(folder.path(), "8s", &[]).arg("--out").arg(&out));
    assert_eq!((&run["ok"], &run["sound"], &run["fault_count"]), (&true.into(), &true.into(), &0.into()), "{run}");
    let done = |name: &str| run["done"][name].as_u64().unwrap();
    // All of it came: what is seldom done as well.
    for what in ["admitted", "left_referred", "pictures", "enrolments", "revocations", "withdrawals", "expiries"] {
        assert!(done(what) > 0, "{what}: {run}");
    }
    for what in ["sweeps", "swept", "rekeys", "backups", "model_changes"] {
        assert!(done(what) > 0, "{what}: {run}");
    }
    assert!(done("enrolments") > 150, "{run}");
    // The records are those of the passages that have one; a late admission that was taken back has two.
    assert!(run["records"].as_u64().unwrap() >= done("passages") - done("not_recorded"), "{run}");
    let samples = run["samples"].as_array().unwrap();
    assert!(samples.len() > 10 && samples.iter().any(|sample| sample["p99_ms"].as_f64().unwrap_or(0.0) > 0.0), "{run}");
    if cfg!(target_os = "linux") {
        let held = |sample: &Value, what: &str| sample[what].as_u64().unwrap();
        assert!(samples.iter().all(|sample| held(sample, "resident") > 1 << 20 && held(sample, "threads") > 3));
        // The register, its log, its index and the ledger are open all the time.
        assert!(samples.iter().all(|sample| held(sample, "handles") >= 4), "{samples:?}");
        let drift: Vec<_> =
            run["drift"].as_array().unwrap().iter().map(|drift| drift["figure"].as_str().unwrap()).collect();
        assert!(drift.contains(&"resident") && drift.contains(&"handles"), "{drift:?}");
    }
    // Nothing is left of it but what was asked for.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(out.join("soak.json")).unwrap()).unwrap();
    assert_eq!(kept, run);
    let csv = std::fs::read_to_string(out.join("samples.csv")).unwrap();
    assert_eq!(csv.lines().count(), samples.len() + 1);
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns), "{csv}");
    for plot in ["memory.svg", "handles.svg", "latency.svg", "files.svg"] {
        let svg = std::fs::read_to_string(out.join(plot)).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("minutes"), "{plot}");
    }
}

#[test]
fn in_words_it_says_what_was_done_and_that_nothing_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let run = soak(folder.path(), "2s", &["--picture-every", "0"]).assert().success();
    run.stdout(contains("register and chain of records sound; nothing lost")).stdout(contains("SECOND TENTH"));
}

#[test]
fn what_cannot_be_is_refused() {
    for (words, reason) in [
        (["--duration", "0s"], "expected a time from 10ms"),
        (["--duration", "soon"], "expected a time from 10ms"),
        (["--sample-every", "-1s"], "expected a time from 10ms"),
        (["--non-enrolled", "0.6"], "[0, 0.5]"),
        (["--rate", "0"], "--rate"),
    ] {
        let words = [words[0].to_owned() + "=" + words[1]];
        clearlane().args(["bench", "soak"]).args(words).assert().code(2).stderr(contains(reason));
    }
}
