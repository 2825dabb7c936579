//! From enrolment to revocation on the built-in models, with people who do not exist.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use assert_cmd::Command;
use common::{clearlane, fictional, json};
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

const PEOPLE: [&str; 5] = ["f0000", "f0001", "f0010", "f0003", "f0004"];

struct Desk {
    folder: TempDir,
}

impl Desk {
    /// A key, and a folder of pictures that were not enrolled yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in PEOPLE {
            let bytes = std::fs::read(fictional(&format!("enrolled/{name}/enrol.jpg"))).unwrap();
            common::file(folder.path(), &format!("photos/{name}/1.jpg"), &bytes);
        }
        clearlane().args(["register", "keygen"]).arg(folder.path().join("desk.key")).assert().success();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(words).arg("--register").arg(self.path("desk.register"));
        command.arg("--key-file").arg(self.path("desk.key"));
        command
    }

    fn enrol(&self) -> Value {
        json(self.command(&["enrol", "--without-policy"]).arg(self.path("photos")))
    }

    fn identify(&self, picture: &str) -> Value {
        json(self.command(&["identify"]).arg(fictional(picture)))
    }
}

#[test]
fn who_is_enrolled_is_identified_until_they_are_revoked() {
    let desk = Desk::new();
    common::file(desk.folder.path(), "photos/letter/1.jpg", b"Dear Sir or Madam,");
    let report = desk.enrol();
    assert_eq!((&report["enrolled"], &report["templates"]), (&PEOPLE.len().into(), &PEOPLE.len().into()), "{report}");
    assert_eq!(report["failed"][0]["subject"], "letter");
    assert_eq!(desk.enrol()["passed_over"], PEOPLE.len());

    for name in PEOPLE {
        let answer = desk.identify(&format!("enrolled/{name}/enrol.jpg"));
        assert_eq!((&answer["subject"], &answer["candidates"][0]["subject"]), (&name.into(), &name.into()), "{answer}");
        assert!(answer["candidates"][0]["score"].as_f64().unwrap() > 0.99, "{answer}");
        assert!(answer["threshold"].as_f64().unwrap() < 1.0 && answer["reasons"].as_array().unwrap().is_empty());
    }
    let unknown = desk.identify("unknown/u0002/plain-1.jpg");
    assert_eq!((&unknown["subject"], &unknown["reasons"][0]["reason"]), (&Value::Null, &"no-candidate".into()));

    desk.command(&["register", "revoke", "f0010", "--reason", "asked for it"]).assert().success();
    let answer = desk.identify("enrolled/f0010/enrol.jpg");
    assert_eq!(answer["subject"], Value::Null, "{answer}");
    assert!(answer["candidates"].as_array().unwrap().iter().all(|candidate| candidate["subject"] != "f0010"));
    assert_eq!(desk.identify("enrolled/f0003/enrol.jpg")["subject"], "f0003");
    desk.command(&["register", "show", "f0010"]).assert().code(5).stderr(contains("f0010"));
    let checked = json(&mut desk.command(&["register", "check"]));
    assert_eq!((&checked["sound"], &checked["templates"]), (&true.into(), &(PEOPLE.len() - 1).into()));
}

#[test]
fn two_pictures_of_one_person_match_and_of_two_do_not() {
    let verify = |one: &str, other: &str| {
        let answer = json(clearlane().arg("verify").args([fictional(one), fictional(other)]));
        (answer["match"].as_bool().unwrap(), answer["score"].as_f64().unwrap())
    };
    let (verified, same) = verify("enrolled/f0000/enrol.jpg", "enrolled/f0000/enrol.jpg");
    assert!(verified && same > 0.99);
    let (verified, different) = verify("enrolled/f0000/enrol.jpg", "enrolled/f0003/enrol.jpg");
    assert!(!verified && different < same);
}

/// A facial record of ISO/IEC 19794-5:2005 without feature points, as it lies in a travel document's chip.
fn facial_record(image: &[u8]) -> Vec<u8> {
    let block = 20 + 12 + image.len() as u32;
    let mut record = b"FAC\x00010\0".to_vec();
    record.extend((14 + block).to_be_bytes());
    record.extend(1_u16.to_be_bytes());
    record.extend(block.to_be_bytes());
    record.extend([0; 2 + 14]);
    record.extend([1, 0, 1, 104, 1, 104, 1, 2, 0, 0, 0, 0]);
    record.extend(image);
    record
}

#[test]
fn the_portrait_of_a_chip_is_compared_with_whoever_holds_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let image = std::fs::read(fictional("enrolled/f0000/enrol.jpg")).unwrap();
    let chip = common::file(folder.path(), "chip.dg2", &facial_record(&image));
    clearlane().arg("verify").arg(&chip).arg(fictional("enrolled/f0000/plain-1.jpg")).assert().success();
    clearlane().arg("verify").arg(&chip).arg(fictional("enrolled/f0001/plain-1.jpg")).assert().code(1);
    let cut = common::file(folder.path(), "cut.dg2", &facial_record(&image)[..200]);
    clearlane().arg("verify").arg(&cut).arg(&chip).assert().code(3).stderr(contains("cut.dg2"));
}
