//! Lanes and claims on the built-in models: whom they admit, whom they send to an officer, and what is left of it.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::port::{ENROLLED, Port};
use common::{clearlane, fictional, json, json_lines};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

#[test]
fn four_lanes_admit_each_traveller_as_themselves_and_refer_others() {
    let port = Port::shared();
    let picture = |name: &&str| format!("enrolled/{name}/enrol.jpg");
    let unknown = ["u0002", "u0022", "u0118", "u0167"];
    let pictures = ENROLLED.iter().map(picture).chain(unknown.iter().map(|name| format!("unknown/{name}/plain-1.jpg")));
    let queue = port.queue("four-lanes.txt", &pictures.collect::<Vec<_>>());
    let before = json(&mut port.on_register(&["records", "verify"]))["records"].as_u64().unwrap();

    let lines = json_lines(&mut port.run_lanes(&queue, &["--lanes", "4", "--direction", "entry"]));
    let (report, passed) = lines.split_last().unwrap();
    assert_eq!(passed.len(), ENROLLED.len() + unknown.len());
    let by_name: BTreeMap<_, _> =
        passed.iter().map(|passage| (passage["passenger"].as_str().unwrap(), passage)).collect();
    let passage = |picture: &str| by_name[fictional(picture).to_str().unwrap()];
    for name in ENROLLED {
        let passage = passage(&format!("enrolled/{name}/enrol.jpg"));
        assert_eq!((&passage["decision"], &passage["subject"]), (&"admit".into(), &port.id(name).into()), "{passage}");
    }
    for name in unknown {
        let passage = passage(&format!("unknown/{name}/plain-1.jpg"));
        assert_eq!(passage["decision"], "refer", "{passage}");
    }
    assert!(passed.iter().all(|passage| (1..=4).contains(&passage["lane"].as_u64().unwrap())));

    let metrics = &report["metrics"];
    assert_eq!((&metrics["admitted"], &metrics["referred"]), (&ENROLLED.len().into(), &unknown.len().into()));
    assert_eq!((&report["passages"], &report["interrupted"]), (&passed.len().into(), &false.into()));
    assert!(report["passages_a_minute"].as_f64().unwrap() > 0.0);
    let referrals: u64 = metrics["reasons"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert!(referrals >= unknown.len() as u64, "{metrics}");
    for stage in ["detect", "align", "quality", "embed", "capture", "search", "rules", "record", "total"] {
        let latency = &metrics[stage];
        assert!(latency["count"].as_u64().unwrap() > 0, "{stage}: {latency}");
        assert!(latency["p50_us"].as_u64() <= latency["p99_us"].as_u64(), "{stage}: {latency}");
    }
    assert_eq!((&metrics["pad"]["count"], &metrics["total"]["count"]), (&0.into(), &passed.len().into()));

    // Every passage has a record of its own, and the chain holds.
    let mut numbers: Vec<_> = passed.iter().map(|passage| passage["record"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), passed.len());
    assert!(numbers[0] > before);
    assert_eq!(json(&mut port.on_register(&["records", "verify"]))["sound"], true);
}

#[test]
fn a_run_for_people_ends_with_rate_latencies_and_the_reasons_of_referrals() {
    let port = Port::shared();
    let queue = port.queue("for-people.txt", &["enrolled/f0001/enrol.jpg".into(), "unknown/u0002/plain-2.jpg".into()]);
    let run = port.run_lanes(&queue, &[]).assert().code(1);
    let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert!(text.contains("1 admitted, 1 referred") && text.contains(" a minute"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("total") && line.split_whitespace().count() == 5), "{text}");
    // Nobody watches: no progress, and no colours.
    assert!(run.get_output().stderr.is_empty() && !text.contains('\u{1b}'));
}

#[test]
fn a_folder_is_one_passenger_of_several_frames_who_must_be_one_person() {
    let port = Port::shared();
    let queue = port.path("several-frames");
    for (passenger, pictures) in [
        ("alone", ["enrolled/f0010/enrol.jpg", "enrolled/f0010/plain-1.jpg"]),
        ("two", ["enrolled/f0010/enrol.jpg", "enrolled/f0003/enrol.jpg"]),
    ] {
        let folder = queue.join(passenger);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, picture) in pictures.iter().enumerate() {
            std::fs::copy(fictional(picture), folder.join(format!("{number}.jpg"))).unwrap();
        }
    }
    // The demonstration makes its probe of one frame, and judges all.
    let lines = json_lines(&mut port.run_lanes(&queue, &[]));
    let of = |name: &str| lines.iter().find(|line| line["passenger"].as_str().is_some_and(|path| path.ends_with(name)));
    assert_eq!(of("alone").unwrap()["subject"], port.id("f0010"));
    assert_eq!(of("two").unwrap()["reasons"][0]["reason"], "frames-disagree");
}

#[test]
fn a_claim_is_read_from_its_picture_believed_at_its_port_and_good_for_one_passage() {
    let port = Port::shared();
    let (issuer, public) = (port.path("issuer.pem"), port.path("issuer.pem.pub"));
    clearlane().args(["claim", "keygen"]).arg(&issuer).assert().success();
    let command = |traveller: &str, place: &str| {
        let mut command = port.on_register(&["claim", "issue", traveller, "--port", place]);
        command.arg("--issuer").arg(&issuer);
        command
    };
    let issue = |traveller: &str, to: &str| json(command(traveller, "shenzhen-bay").arg("--out").arg(port.path(to)));
    let issued = issue("f0004", "claim.png");
    assert!(issued["text"].as_str().unwrap().starts_with("CLEARLANE2:"));

    let read = |picture: &str, place: &str, key: &std::path::Path| {
        let mut command = port.on_register(&["claim", "read", "--port", place]);
        command.arg("--issuer").arg(key).arg(port.path(picture));
        command
    };
    let good = json(&mut read("claim.png", "shenzhen-bay", &public));
    assert_eq!((&good["good"], &good["subject"]), (&true.into(), &port.id("f0004").into()));
    assert_eq!(good["expires"], issued["expires"]);
    let refusal = |command: &mut assert_cmd::Command| {
        let answer = command.arg("--json").assert().code(1);
        serde_json::from_slice::<Value>(&answer.get_output().stdout).unwrap()["refusal"].clone()
    };
    assert_eq!(refusal(&mut read("claim.png", "gongbei", &public)), "other-port");
    clearlane().args(["claim", "keygen"]).arg(port.path("other.pem")).assert().success();
    assert_eq!(refusal(&mut read("claim.png", "shenzhen-bay", &port.path("other.pem.pub"))), "unknown-issuer");
    std::fs::copy(fictional("enrolled/f0004/enrol.jpg"), port.path("no-claim.jpg")).unwrap();
    read("no-claim.jpg", "shenzhen-bay", &public).assert().code(3).stderr(contains("no claim"));
    command("nobody", "gongbei").assert().code(5);
    command("f0004", "gongbei").args(["--lifetime", "601"]).assert().code(2);
    // As people see it.
    command("f0004", "gongbei").assert().success().stdout(contains("good until").and(contains("▀")));

    // The one whom it names passes with it once; somebody else does not.
    let (queue, face) = (port.path("claims"), |traveller: &str| fictional(&format!("enrolled/{traveller}/enrol.jpg")));
    let passenger = |name: &str, claim: &str, traveller: &str| {
        let folder = queue.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(port.path(claim), folder.join("phone.png")).unwrap();
        std::fs::copy(face(traveller), folder.join("face.jpg")).unwrap();
    };
    issue("f0004", "stolen.png");
    passenger("1", "claim.png", "f0004");
    passenger("2", "claim.png", "f0004");
    passenger("3", "stolen.png", "f0014");
    std::fs::create_dir_all(queue.join("4")).unwrap();
    std::fs::copy(face("f0004"), queue.join("4/face.jpg")).unwrap();
    let lines = json_lines(&mut port.run_lanes(&queue, &["--claim-issuer", public.to_str().unwrap()]));
    assert_eq!(
        (&lines[0]["decision"], &lines[0]["subject"]),
        (&"admit".into(), &port.id("f0004").into()),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1]["reasons"][0]["reason"], "claim-refused", "{}", lines[1]);
    assert_eq!(lines[1]["reasons"][0]["refusal"], "replayed");
    assert_eq!(lines[2]["reasons"][0]["reason"], "not-matched", "{}", lines[2]);
    assert_eq!(lines[3]["reasons"][0]["reason"], "no-claim", "{}", lines[3]);
}

#[test]
fn the_log_of_a_run_tells_every_stage_and_nothing_of_the_travellers() {
    let port = Port::shared();
    let queue = port.queue("logged.txt", &["enrolled/f0006/enrol.jpg".into(), "unknown/u0002/plain-1.jpg".into()]);
    let run = port.run_lanes(&queue, &["--quiet"]).env("CLEARLANE_LOG", "trace").assert().code(1);
    let log = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert_eq!(log.matches("decided").count(), 2, "{log}");
    assert!(log.contains("shenzhen-bay") && log.contains("lane 1"), "{log}");
    for secret in ["f0006", "u0002", ".jpg", "exit-entry-permit", "1990-05-17", "subject="] {
        assert!(!log.contains(secret), "`{secret}` is in the log:\n{log}");
    }
    clearlane()
        .args(["models", "list"])
        .env("CLEARLANE_LOG", "loud")
        .assert()
        .code(2)
        .stderr(contains("CLEARLANE_LOG"));
}

#[test]
fn a_simulated_day_has_no_wrong_admission_and_records_every_passage() {
    let folder = tempfile::tempdir().unwrap();
    let simulate = || {
        let mut command = clearlane();
        command.args([
            "lane",
            "simulate",
            "--enrolled",
            "500",
            "--passages",
            "300",
            "--non-enrolled",
            "0.2",
            "--lanes",
            "3",
        ]);
        command.arg("--within").arg(folder.path());
        command
    };
    let day = json(&mut simulate());
    assert_eq!((&day["passages"], &day["records"], &day["wrong_admissions"]), (&300.into(), &300.into(), &0.into()));
    assert_eq!((&day["sound"], &day["lanes"]), (&true.into(), &3.into()));
    let count = |name: &str| day[name].as_u64().unwrap();
    assert_eq!(count("admitted") + count("mated_referred") + count("non_enrolled"), 300);
    assert!(count("non_enrolled") > 30 && count("admitted") > 200, "{day}");
    assert!(day["rate"].as_f64().unwrap() > 0.0 && day["metrics"]["record"]["count"] == 300, "{day}");
    simulate().assert().success().stdout(contains("passages a second").and(contains("wrongly admitted        0")));
    // Nothing is left of it.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
