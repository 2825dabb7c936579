//! Enrolment by the rules of a policy, and a register that goes over to a new embedder: on people who do not exist.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use common::{clearlane, file, json, next_model};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

const PEOPLE: [&str; 4] = ["f0000", "f0001", "f0003", "f0004"];

struct Port {
    folder: TempDir,
}

impl Port {
    /// A key, and the shipped policy without floors of quality, for people who do not exist.
    fn new() -> Self {
        let port = Self { folder: tempfile::tempdir().unwrap() };
        clearlane().args(["register", "keygen"]).arg(port.path("port.key")).assert().success();
        let shipped = fs::read_to_string(root().join("policies/shenzhen-bay-and-gongbei.toml")).unwrap();
        let lines = shipped.lines().map(|line| if line.starts_with("quality = ") { "quality = {}" } else { line });
        let rules = lines.collect::<Vec<_>>().join("\n").replace("\"east-asian-adults\"", "\"fictional-people\"");
        assert!(rules.contains("populations = [\"fictional-people\"]"));
        file(port.folder.path(), "port.toml", rules.as_bytes());
        port
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder SUBJECT/IMAGE with the picture of enrolment of each of these people.
    fn photos(&self, name: &str, people: &[&str]) -> PathBuf {
        for person in people {
            file(self.folder.path(), &format!("{name}/{person}/1.jpg"), &fs::read(picture(person)).unwrap());
        }
        self.path(name)
    }

    fn on_register(&self, words: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(words).arg("--register").arg(self.path("port.db")).arg("--key-file").arg(self.path("port.key"));
        command
    }

    fn enrol(&self, source: &Path) -> Command {
        let mut command = self.on_register(&["enrol"]);
        command.arg(source).arg("--policy").arg(self.path("port.toml"));
        command
    }

    /// A folder with the model `next`.
    fn next_model(&self) -> PathBuf {
        next_model(&self.path("models"))
    }

    fn reembed(&self, source: &Path) -> Command {
        let mut command = self.on_register(&["register", "reembed"]);
        command.arg(source).arg("--policy").arg(self.path("port.toml"));
        command.arg("--models").arg(self.path("models")).args(["--embedder", "next"]);
        command
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn picture(person: &str) -> PathBuf {
    root().join("datasets/fictional/enrolled").join(person).join("enrol.jpg")
}

/// Who was not enrolled, and the first reason's code, or nothing where it was no matter for an officer.
fn failed(report: &Value) -> Vec<(&str, Option<&str>)> {
    let failed = report["failed"].as_array().unwrap();
    failed.iter().map(|one| (one["subject"].as_str().unwrap(), one["refer"][0]["reason"].as_str())).collect()
}

#[test]
fn enrolment_by_a_policy_asks_for_consent_and_refers_a_face_that_is_enrolled_under_another_name() {
    let port = Port::new();
    port.photos("photos", &PEOPLE);
    let consent = "2024-11-25T00:00:00Z,true";
    let list = format!(
        "subject,image,consent,consent_fingerprint\n\
         f0000,photos/f0000/1.jpg,{consent}\n\
         f0001,photos/f0001/1.jpg,,\n\
         f0003,photos/f0003/1.jpg,2024-11-25T00:00:00Z,\n\
         f0004,photos/f0004/1.jpg,{consent}\n\
         f0004,photos/missing.jpg,{consent}\n\
         nowhere,photos/missing.jpg,{consent}\n\
         twin,photos/f0000/1.jpg,{consent}\n"
    );
    let list = file(port.folder.path(), "list.csv", list.as_bytes());
    let first = json(&mut port.enrol(&list));
    assert_eq!((&first["enrolled"], &first["templates"]), (&Value::from(2), &Value::from(2)), "{first}");
    let others = [
        ("f0004", None),
        ("nowhere", None),
        ("f0001", Some("no-consent")),
        ("f0003", Some("consent-scope")),
        ("twin", Some("duplicate-application")),
    ];
    assert_eq!(failed(&first), others, "{first}");

    let second = port.enrol(&list).assert().code(1).stdout(contains("twin: to an officer: duplicate face"));
    second.stdout(contains("2 were enrolled before"));
    port.enrol(&list).args(["--face", "largest"]).assert().code(2);
}

#[test]
fn who_was_imported_without_a_face_is_enrolled_with_what_the_register_knows() {
    let port = Port::new();
    let consent = r#"{"given":"2024-11-25T00:00:00Z","scope":{"face":true,"fingerprint":true}}"#;
    let people =
        format!("{{\"key\":\"f0000\",\"birth\":\"1990-06-15\",\"consent\":{consent}}}\n{{\"key\":\"f0001\"}}\n");
    let people = file(port.folder.path(), "people.jsonl", people.as_bytes());
    port.on_register(&["register", "import"]).arg(people).assert().success();
    // A folder says nothing of consent: what the register knows counts.
    let report = json(&mut port.enrol(&port.photos("photos", &PEOPLE[..3])));
    assert_eq!(report["enrolled"], 1);
    assert_eq!(failed(&report), [("f0001", Some("no-consent")), ("f0003", Some("no-consent"))]);
    let shown = json(&mut port.on_register(&["register", "show", "f0000"]));
    assert_eq!(shown["birth"], "1990-06-15", "{shown}");
}

#[test]
fn a_register_goes_over_to_a_new_embedder_from_pictures_that_are_supplied_again() {
    let port = Port::new();
    let photos = port.photos("photos", &PEOPLE);
    port.on_register(&["enrol", "--without-policy"]).arg(&photos).assert().success();
    port.next_model();

    // Without consent nobody's face is processed anew.
    let refused = json(&mut port.reembed(&photos));
    assert_eq!(failed(&refused), PEOPLE.map(|person| (person, Some("no-consent"))), "{refused}");
    let consent = r#"{"given":"2024-11-25T00:00:00Z","scope":{"face":true,"fingerprint":true}}"#;
    let all = PEOPLE.map(|person| format!("{{\"key\":\"{person}\",\"consent\":{consent}}}\n")).concat();
    let people = file(port.folder.path(), "people.jsonl", all.as_bytes());
    fs::remove_file(port.path("port.db")).unwrap();
    port.on_register(&["register", "import"]).arg(people).assert().success();
    port.enrol(&photos).assert().success();

    let some = port.photos("some", &PEOPLE[..2]);
    file(port.folder.path(), "some/f0003/1.jpg", &fs::read(picture("f0004")).unwrap());
    let report = json(&mut port.reembed(&some));
    assert_eq!((&report["reembedded"], &report["coverage"]["covered"]), (&Value::from(2), &Value::from(2)), "{report}");
    assert_eq!(failed(&report), [("f0003", Some("not-matched"))], "a swapped picture is found out");
    assert_eq!(
        (&report["lane"]["embedder"], &report["lane"]["reason"]),
        (&"clearlane-embedder".into(), &"not-yet".into())
    );

    let again = port.reembed(&photos).assert().success();
    again.stdout(contains("2 had theirs before").and(contains("a lane that is opened now uses `next`")));
    port.on_register(&["register", "stats"]).assert().success().stdout(contains("100.00 %").count(2));
    let checked = json(&mut port.on_register(&["register", "check"]));
    assert_eq!((&checked["sound"], &checked["templates"]), (&Value::from(true), &Value::from(8)));
}

#[test]
fn no_lane_opens_with_a_model_that_was_not_calibrated_as_far_as_the_policy_asks() {
    let port = Port::new();
    let photos = port.photos("photos", &PEOPLE);
    port.on_register(&["enrol", "--without-policy"]).arg(&photos).assert().success();
    let models = port.next_model();
    let mut both = port.on_register(&["enrol", "--without-policy", "--add-model", "--embedder", "next"]);
    both.arg(&photos).arg("--models").arg(&models).assert().success();
    let mut lane = port.on_register(&["lane", "run", "--port", "gongbei", "--embedder", "next"]);
    lane.arg(photos).arg("--policy").arg(port.path("port.toml")).arg("--models").arg(models);
    let refused = lane.assert().code(4).stdout("");
    refused.stderr(contains("`comparison.fmr`").and(contains("1.00e-6")).and(contains("clearlane calibrate")));
}

#[test]
fn a_sweep_takes_out_whose_enrolment_has_ended() {
    let port = Port::new();
    let people = "{\"key\":\"gone\",\"expires\":\"2026-02-28\"}\n{\"key\":\"stays\",\"expires\":\"2026-03-01\"}\n";
    let people = file(port.folder.path(), "people.jsonl", people.as_bytes());
    port.on_register(&["register", "import"]).arg(people).assert().success();
    let swept = json(&mut port.on_register(&["register", "sweep", "--day", "2026-03-01"]));
    assert_eq!((swept["expired"].as_array().unwrap().len(), &swept["erased"]), (1, &Value::from(true)), "{swept}");
    let left = json(&mut port.on_register(&["register", "stats"]));
    assert_eq!((&left["stats"]["subjects"], &left["stats"]["revoked"]), (&Value::from(1), &Value::from(1)));
    let forgotten = json(&mut port.on_register(&["register", "sweep", "--day", "2026-03-01", "--forget-after", "0"]));
    assert_eq!(forgotten["forgotten"], 1);
}
