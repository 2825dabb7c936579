//! Crossing records on the command line: found, printed for travellers, checked by officers, verified and exported.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use common::json;
use common::port::Port;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

/// Lets a traveller through, in one direction; the number of the record.
fn pass(port: &Port, traveller: &str, direction: &str) -> u64 {
    let queue = port.queue(&format!("{traveller}-{direction}.txt"), &[format!("enrolled/{traveller}/enrol.jpg")]);
    let passed = common::json_lines(&mut port.run_lanes(&queue, &["--direction", direction]));
    assert_eq!(passed[0]["decision"], "admit", "{}", passed[0]);
    passed[0]["record"].as_u64().unwrap()
}

fn print(port: &Port, traveller: &str, more: &[&str]) -> assert_cmd::assert::Assert {
    port.on_register(&["records", "print", traveller]).arg("--policy").arg(port.policy()).args(more).assert()
}

fn stdout(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

#[test]
fn the_last_passage_of_a_traveller_is_shown_and_printed() {
    let port = Port::shared();
    let (exit, entry) = (pass(&port, "f0000", "exit"), pass(&port, "f0000", "entry"));
    let last =
        |more: &[&str]| json(port.on_register(&["records", "last", "--subject", "f0000"]).args(more))["seq"].clone();
    assert_eq!((last(&[]), last(&["--direction", "exit"])), (entry.into(), exit.into()));
    port.on_register(&["records", "last", "--subject", "f0000", "--port", "gongbei"]).assert().code(1);

    let text = stdout(&print(&port, "f0000", &["--direction", "exit"]).success());
    assert!(
        text.contains("出境 exit") && text.contains("深圳湾口岸 Shenzhen Bay Port") && text.contains("f0000"),
        "{text}"
    );
    let printed: Value = serde_json::from_str(&stdout(&print(&port, "f0000", &["--json"]).success())).unwrap();
    assert_eq!(
        (&printed["record"], &printed["direction"], &printed["lane"]),
        (&entry.into(), &"entry".into(), &"lane 1".into())
    );
    assert_eq!((&printed["traveller"], &printed["subject"]), (&"f0000".into(), &port.id("f0000").into()));
    assert!(printed["time"].as_str().unwrap().ends_with("+08:00[Asia/Shanghai]"), "{printed}");

    let page = port.path("entry.html");
    print(&port, "f0000", &["--format", "html", "--out", page.to_str().unwrap()]).success().stdout("");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains("出入境通行记录") && page.contains("Record of a border crossing") && page.contains("入境 entry")
    );
    assert!(page.contains(printed["code"].as_str().unwrap()));
    assert!(!page.contains("http") && !page.contains("src=") && !page.contains("<script"));
    print(&port, "f0000", &["--port", "gongbei"]).code(1).stderr(contains("no such passage"));
    print(&port, "nobody", &[]).code(5).stderr(contains("nobody"));
}

#[test]
fn an_officer_checks_a_printed_record_by_its_code() {
    let port = Port::shared();
    let record = pass(&port, "f0001", "exit");
    let printed: Value =
        serde_json::from_str(&stdout(&print(&port, "f0001", &["--format", "json"]).success())).unwrap();
    let code = printed["code"].as_str().unwrap();
    let checked = json(&mut port.on_register(&["records", "verify", "--code", code]));
    assert_eq!(
        (&checked["sound"], &checked["ends_checked"], &checked["problems"]),
        (&true.into(), &true.into(), &Value::Array(vec![]))
    );
    assert_eq!((&checked["record"]["seq"], &checked["record"]["subject"]), (&record.into(), &port.id("f0001").into()));
    let shown = port.on_register(&["records", "verify", "--code", &code.to_lowercase()]).assert().success();
    shown.stdout(contains("is the code of this record").and(contains("shenzhen-bay")));

    // Another number, another digit, and what is no code.
    let (number, digits) = code.split_once('-').unwrap();
    let other = if digits.starts_with('Z') { digits.replacen('Z', "Y", 1) } else { format!("Z{}", &digits[1..]) };
    for forged in [format!("{}-{digits}", record - 1), format!("{number}-{other}"), format!("999999-{digits}")] {
        let refused = port.on_register(&["records", "verify", "--code", &forged]).assert().code(1);
        refused.stdout(contains("the code is of NO record"));
    }
    port.on_register(&["records", "verify", "--code", "12345"]).assert().code(2).stderr(contains("checking code"));
}

#[test]
fn a_record_that_was_altered_is_named_and_no_lane_opens_on_it() {
    let port = Port::shared();
    let record = pass(&port, "f0010", "exit");
    pass(&port, "f0010", "exit");
    let copy = port.path("copy.register");
    let backup = port.path("backup.register");
    port.on_register(&["register", "backup"]).arg(&backup).assert().success();
    let verify = |alter: &str| {
        std::fs::copy(&backup, &copy).unwrap();
        rusqlite::Connection::open(&copy).unwrap().execute_batch(alter).unwrap();
        let answer = port.on(&copy, &["records", "verify", "--json"]).assert();
        let code = answer.get_output().status.code();
        (code, serde_json::from_slice::<Value>(&answer.get_output().stdout).unwrap()["problems"].clone())
    };
    let (code, problems) = verify(&format!("UPDATE record SET direction = 'entry' WHERE seq = {record}"));
    assert_eq!((code, &problems[0]["row"]), (Some(1), &format!("crossing record {record}").into()));
    let run = |register: &std::path::Path| {
        let queue = port.queue("altered.txt", &["enrolled/f0010/enrol.jpg".into()]);
        let mut run = port.on(register, &["lane", "run", "--port", "shenzhen-bay"]);
        run.arg(queue).arg("--policy").arg(port.policy()).assert()
    };
    run(&copy).code(5).stderr(contains("problems were found in the register"));
    let (code, problems) = verify(&format!("DELETE FROM record WHERE seq = {record}"));
    assert_eq!((code, &problems[0]["row"]), (Some(1), &format!("crossing record {}", record + 1).into()));
    let (code, problems) = verify(&format!("DELETE FROM record WHERE seq > {record}"));
    assert_eq!((code, &problems[0]["row"]), (Some(1), &"the chain of crossing records".into()));
    let (code, problems) = verify("");
    assert_eq!((code, problems.as_array().unwrap().len()), (Some(0), 0));
    run(&copy).success();
}

#[test]
fn records_are_exported_as_json_lines_and_csv_without_face_or_template() {
    let port = Port::shared();
    let record = pass(&port, "f0003", "exit");
    let (lines, table) = (port.path("records.jsonl"), port.path("records.csv"));
    let export =
        |to: &std::path::Path, more: &[&str]| json(port.on_register(&["records", "export"]).arg(to).args(more));
    let exported = export(&lines, &[])["exported"].as_u64().unwrap();
    assert!(exported >= record);
    let text = std::fs::read_to_string(&lines).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len() as u64, exported);
    let mut known =
        ["seq", "time", "port", "lane", "direction", "outcome", "subject", "score", "threshold", "margin"].to_vec();
    known.extend(["model", "reasons", "voids", "hash", "encoding"]);
    for (number, record) in records.iter().enumerate() {
        assert_eq!(record["seq"], number + 1);
        assert!(record.as_object().unwrap().keys().all(|field| known.contains(&field.as_str())), "{record}");
    }

    export(&table, &["--subject", "f0003", "--outcome", "admit", "--direction", "exit"]);
    let mut rows = csv::Reader::from_path(&table).unwrap();
    assert_eq!(rows.headers().unwrap().iter().collect::<Vec<_>>(), known);
    let id = port.id("f0003").to_string();
    let rows: Vec<csv::StringRecord> = rows.records().collect::<Result<_, _>>().unwrap();
    assert!(rows.iter().all(|row| row[6] == id && row[5] == *"admit"));
    assert!(rows.iter().any(|row| row[0] == record.to_string() && row[2] == *"shenzhen-bay"));
    port.on_register(&["records", "list", "--outcome", "refer"]).assert().success().stdout(contains("SUBJECT"));
    port.on_register(&["records", "export", "nowhere/records.csv"]).assert().code(6).stderr(contains("nowhere"));
}
