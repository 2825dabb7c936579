//! Crossing records: kept, found, and shown to be unaltered; and claims that are used once.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_store::{Direction, Erasure, Fault, NewRecord, Outcome, Problem, RecordQuery, Register, Row, StoreError};
use clearlane_template::SubjectId;
use jiff::{SignedDuration, Timestamp};
use support::{Fixture, fixture, keyring, meddle, passage};

fn recorded(count: i64) -> Fixture {
    let f = fixture();
    f.register.append_records(&(1..=count).map(passage).collect::<Vec<_>>()).unwrap();
    f
}

fn problems(f: &Fixture) -> Vec<Problem> {
    f.register.verify_records(|_, _| ()).unwrap().problems
}

/// How many records there are, all of them sound.
fn verified(f: &Fixture) -> u64 {
    let report = f.register.verify_records(|_, _| ()).unwrap();
    assert_eq!((report.keyed, &report.problems), (true, &vec![]));
    report.records
}

#[test]
fn records_are_numbered_without_gaps_and_come_back_as_they_were_written() {
    let f = recorded(3000);
    assert_eq!(f.register.append_record(&passage(3001)).unwrap(), 3001);
    let records: Vec<_> = f.register.records(RecordQuery::default()).map(Result::unwrap).collect();
    assert!(records.iter().zip(1..).all(|(record, seq)| record.seq == seq && record.passage == passage(seq as i64)));
    assert_eq!(records.len(), 3001);
    assert_eq!(f.register.record(17).unwrap().as_ref(), records.get(16));
    assert_eq!(f.register.record(4000).unwrap(), None);
    assert_eq!(verified(&f), 3001);
}

#[test]
fn the_last_entry_or_exit_of_a_subject_at_a_port_is_found() {
    let f = recorded(10);
    let other = NewRecord { port: "gongbei".into(), ..passage(11) };
    let unknown = NewRecord { subject: None, ..passage(13) };
    let referred = NewRecord { outcome: Outcome::Refer, reasons: "[\"margin\"]".into(), ..passage(15) };
    f.register.append_records(&[other, unknown, referred]).unwrap();
    let query = |direction| RecordQuery {
        subject: Some(SubjectId(1)),
        port: Some("shenzhen-bay".into()),
        direction: Some(direction),
        outcome: Some(Outcome::Admit),
        ..RecordQuery::default()
    };
    assert_eq!(f.register.last_record(&query(Direction::Entry)).unwrap().unwrap().seq, 9);
    assert_eq!(f.register.last_record(&query(Direction::Exit)).unwrap().unwrap().seq, 10);
    let times = RecordQuery { from: Some(passage(3).time), until: Some(passage(6).time), ..RecordQuery::default() };
    let found: Vec<u64> = f.register.records(times).map(|record| record.unwrap().seq).collect();
    assert_eq!(found, [3, 4, 5]);
    assert_eq!(
        f.register.last_record(&RecordQuery { subject: Some(SubjectId(2)), ..query(Direction::Exit) }).unwrap(),
        None
    );
}

#[test]
fn an_altered_record_is_named_whatever_was_altered() {
    for change in [
        "time = time + 1",
        "port = 'gongbei'",
        "lane = 'lane-9'",
        "direction = 'exit'",
        "outcome = 'refer'",
        "subject = 2",
        "subject = NULL",
        "score = 0.75",
        "threshold = NULL",
        "margin = 0.0",
        "model = zeroblob(32)",
        "reasons = 'none'",
        "hash = zeroblob(32)",
        "voids = 3",
    ] {
        let f = recorded(9);
        meddle(&f.path, &format!("UPDATE record SET {change} WHERE seq = 5"));
        let found = problems(&f);
        assert_eq!(found[0], Problem { row: Row::Record(5), fault: Fault::Chained }, "{change}");
    }
    let f = recorded(9);
    meddle(&f.path, "UPDATE record SET direction = 'sideways' WHERE seq = 5");
    assert_eq!(problems(&f)[0], Problem { row: Row::Record(5), fault: Fault::Value { column: "direction" } });
}

#[test]
fn a_cut_chain_is_found_wherever_it_was_cut() {
    let cut = |which: &str| {
        let f = recorded(9);
        meddle(&f.path, &format!("DELETE FROM record WHERE seq {which}"));
        problems(&f)
    };
    assert_eq!(cut("= 5"), [Problem { row: Row::Record(6), fault: Fault::Gap { from: 5 } }]);
    assert_eq!(cut("<= 3"), [Problem { row: Row::Record(4), fault: Fault::Gap { from: 1 } }]);
    assert_eq!(cut("> 7"), [Problem { row: Row::Chain, fault: Fault::End { found: 7, expected: 9 } }]);
    assert_eq!(cut("> 0"), [Problem { row: Row::Chain, fault: Fault::End { found: 0, expected: 9 } }]);
}

#[test]
fn records_that_were_exchanged_or_put_in_are_found() {
    let f = recorded(9);
    meddle(
        &f.path,
        "UPDATE record SET seq = -1 WHERE seq = 4; UPDATE record SET seq = 4 WHERE seq = 5; UPDATE record SET seq = 5 WHERE seq = -1",
    );
    let rows: Vec<Row> = problems(&f).into_iter().map(|problem| problem.row).collect();
    assert_eq!(rows, [Row::Record(4), Row::Record(5), Row::Record(6)]);
    let f = recorded(9);
    meddle(
        &f.path,
        "INSERT INTO record SELECT 10, time, port, lane, direction, outcome, subject, score, threshold, margin, model, reasons, hash, voids, encoding
         FROM record WHERE seq = 9",
    );
    assert_eq!(problems(&f).last().unwrap().fault, Fault::End { found: 10, expected: 9 });
}

#[test]
fn the_ends_of_the_chain_cannot_be_rewritten_without_the_key() {
    let f = recorded(9);
    meddle(
        &f.path,
        "DELETE FROM record WHERE seq > 7; UPDATE root SET last_record = 7, record_hash = (SELECT hash FROM record WHERE seq = 7)",
    );
    let refused = |error| matches!(error, StoreError::Refused { row: Row::Root, fault: Fault::Authentication });
    assert!(refused(f.register.verify_records(|_, _| ()).unwrap_err()));
    assert!(refused(f.register.append_record(&passage(10)).unwrap_err()), "nothing is added to it");
    assert_eq!(
        f.register.check(|_, _| ()).unwrap().problems,
        [Problem { row: Row::Root, fault: Fault::Authentication }]
    );
}

#[test]
fn nothing_is_added_to_a_chain_that_was_cut_and_nothing_is_let_go_of_one_that_was_altered() {
    let f = recorded(9);
    meddle(&f.path, "DELETE FROM record WHERE seq > 7");
    let end = Fault::End { found: 7, expected: 9 };
    let error = f.register.append_record(&passage(10)).unwrap_err();
    assert!(matches!(error, StoreError::Refused { row: Row::Chain, fault } if fault == end));
    let error = f.register.prune_records(passage(3).time).unwrap_err();
    assert!(matches!(error, StoreError::Refused { row: Row::Chain, fault } if fault == end));
    assert_eq!(problems(&f), [Problem { row: Row::Chain, fault: end.clone() }]);

    let f = recorded(9);
    meddle(&f.path, "UPDATE record SET outcome = 'refer' WHERE seq = 2");
    assert!(matches!(f.register.prune_records(passage(5).time), Err(StoreError::Refused { row: Row::Record(2), .. })));
    assert!(matches!(f.register.record(2), Err(StoreError::Refused { row: Row::Record(2), fault: Fault::Chained })));
    assert!(f.register.record(5).unwrap().is_some());
}

#[test]
fn a_record_that_takes_another_back_says_which() {
    let f = recorded(3);
    let late = NewRecord { outcome: Outcome::Refer, voids: Some(3), ..passage(3) };
    assert_eq!(f.register.append_record(&late).unwrap(), 4);
    assert_eq!(f.register.record(4).unwrap().unwrap().passage.voids, Some(3));
    assert_eq!(verified(&f), 4);
}

#[test]
fn old_records_can_be_let_go_and_the_rest_stays_verifiable() {
    let f = recorded(20);
    assert_eq!(f.register.prune_records(passage(8).time).unwrap(), (7, Erasure::Complete));
    assert_eq!(verified(&f), 13);
    assert_eq!(f.register.append_record(&passage(21)).unwrap(), 21);
    assert_eq!(f.register.prune_records(passage(1000).time).unwrap(), (14, Erasure::Complete));
    assert_eq!(f.register.append_record(&passage(22)).unwrap(), 22);
    assert_eq!(verified(&f), 1);
}

#[test]
fn without_a_key_only_gaps_are_found_and_the_report_says_so() {
    let f = recorded(9);
    let keyless = Register::open_read_only(&f.path, clearlane_store::Keyring::empty()).unwrap();
    let report = keyless.verify_records(|_, _| ()).unwrap();
    assert_eq!((report.records, report.keyed, report.is_sound()), (9, false, true));
    meddle(&f.path, "DELETE FROM record WHERE seq = 5");
    let found = keyless.verify_records(|_, _| ()).unwrap().problems;
    assert_eq!(found[0], Problem { row: Row::Record(6), fault: Fault::Gap { from: 5 } });
}

#[test]
fn threads_that_record_at_the_same_time_each_get_the_number_of_their_own_record() {
    let f = fixture();
    let (threads, each) = (6, 15);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let register = &f.register;
            scope.spawn(move || {
                for number in 0..each {
                    let own = NewRecord { lane: format!("lane {thread}"), ..passage(number) };
                    let seq = register.append_record(&own).unwrap();
                    assert_eq!(register.record(seq).unwrap().unwrap().passage, own);
                }
            });
        }
    });
    assert_eq!(verified(&f), (threads * each) as u64);
}

#[test]
fn a_passage_that_cannot_be_judged_fails_alone_and_others_are_recorded() {
    let f = fixture();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let register = &f.register;
            scope.spawn(move || {
                for number in 0..8 {
                    let jams = number % 4 == thread % 4;
                    let verdict = move |_: &mut clearlane_store::Standing<'_, '_>| {
                        let jammed = || StoreError::Invalid { field: "passage", reason: "jammed".to_owned() };
                        if jams { Err(jammed()) } else { Ok(passage(number)) }
                    };
                    let concluded = register.conclude(std::sync::Arc::new(verdict), clearlane_store::DEFAULT_WAIT);
                    assert_eq!(concluded.is_err(), jams, "{concluded:?}");
                }
            });
        }
    });
    assert_eq!(verified(&f), 8 * 6);
}

#[test]
fn an_export_says_all_that_an_auditor_needs_to_compute_the_chain_anew() {
    let f = recorded(30);
    f.register.append_record(&NewRecord { subject: None, score: None, model: None, ..passage(31) }).unwrap();
    let odd =
        NewRecord { lane: "lane, \"4\"".into(), outcome: Outcome::Refer, reasons: "no-face".into(), ..passage(32) };
    f.register.append_record(&odd).unwrap();
    let export = |format| {
        let mut out = Vec::new();
        assert_eq!(f.register.export_records(&mut out, format, RecordQuery::default(), |_| ()).unwrap(), 32);
        String::from_utf8(out).unwrap()
    };
    let lines = export(clearlane_store::Format::JsonLines);
    let key = f.register.record_key().unwrap();
    let mut hash = blake3::derive_key("clearlane 2025 crossing record chain", &f.register.id());
    for line in lines.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        hash = audited(key.as_bytes(), &hash, &record);
        assert_eq!(record["hash"], blake3::Hash::from_bytes(hash).to_hex().as_str(), "{line}");
    }
    assert_eq!(lines.lines().count(), 32);

    let table = export(clearlane_store::Format::Csv);
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let header = rows.headers().unwrap().clone();
    let rows: Vec<_> = rows.records().collect::<Result<_, _>>().unwrap();
    for (row, line) in rows.iter().zip(lines.lines()) {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        for (name, cell) in header.iter().zip(row) {
            let value = &record[name];
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(cell, if value.is_null() { "" } else { &text }, "{name}");
        }
    }
    assert_eq!(rows.len(), 32);

    let late = RecordQuery { from: Some(passage(500).time), ..RecordQuery::default() };
    let mut out = Vec::new();
    assert_eq!(f.register.export_records(&mut out, clearlane_store::Format::Csv, late, |_| ()).unwrap(), 0);
    assert_eq!(String::from_utf8(out).unwrap().trim_end(), header.iter().collect::<Vec<_>>().join(","));
}

/// The hash of an exported record, as the documentation of `Record` says, and nothing from this crate.
fn audited(key: &[u8; 32], before: &[u8; 32], record: &serde_json::Value) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(before);
    let mut value = |tag: u8, bytes: &[u8]| {
        hasher.update(&[tag]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    let text = |name: &str| record[name].as_str().unwrap().as_bytes();
    let time: Timestamp = record["time"].as_str().unwrap().parse().unwrap();
    value(b't', b"record 3");
    value(b'n', &record["seq"].as_u64().unwrap().to_le_bytes());
    value(b'n', &time.as_millisecond().to_le_bytes());
    for name in ["port", "lane", "direction", "outcome"] {
        value(b't', text(name));
    }
    match record.get("subject") {
        Some(subject) => value(b'n', &subject.as_u64().unwrap().to_le_bytes()),
        None => value(b'-', &[]),
    }
    for name in ["score", "threshold", "margin"] {
        match record.get(name) {
            Some(score) => value(b'b', &score.to_string().parse::<f32>().unwrap().to_le_bytes()),
            None => value(b'-', &[]),
        }
    }
    match record.get("model") {
        Some(model) => {
            let digits = model.as_str().unwrap();
            let bytes: Vec<u8> =
                (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
            value(b'b', &bytes);
        }
        None => value(b'-', &[]),
    }
    value(b't', text("reasons"));
    match record.get("voids") {
        Some(voids) => value(b'n', &voids.as_u64().unwrap().to_le_bytes()),
        None => value(b'-', &[]),
    }
    *hasher.finalize().as_bytes()
}

#[test]
fn a_checking_code_is_of_one_record_and_is_read_as_people_write_it() {
    let f = recorded(40);
    let records: Vec<_> = f.register.records(RecordQuery::default()).map(Result::unwrap).collect();
    for record in &records {
        let (code, text) = (record.code(), record.code().to_string());
        assert_eq!((code.seq(), text.parse()), (record.seq, Ok(code)));
        let number = format!("{}-", record.seq);
        let digits = text.strip_prefix(&number).unwrap().replace('-', "");
        // Independently: the first twenty hexadecimal digits of the hash are the code's bits.
        let bits = digits
            .chars()
            .fold(0_u128, |bits, digit| bits * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".find(digit).unwrap() as u128);
        assert_eq!(format!("{bits:020x}"), record.hash.to_string()[..20]);
        let careless = format!(" {number}{} ", digits.to_lowercase().replace('0', "O").replace('1', "l"));
        assert_eq!(careless.parse(), Ok(code));
        assert!(records.iter().filter(|other| other.code() == code).count() == 1);
    }
    let code = records[4].code().to_string();
    for wrong in
        ["", "5", "5-", "0123-4567-89AB-CDEF", &code[..code.len() - 1], &format!("{code}0"), &code.replace('-', "u")]
    {
        assert!(wrong.parse::<clearlane_store::CheckingCode>().is_err(), "{wrong}");
    }
}

#[test]
fn what_cannot_be_recorded_is_refused_and_nothing_of_its_batch_is_kept() {
    let f = fixture();
    for wrong in [
        NewRecord { score: Some(f32::NAN), ..passage(2) },
        NewRecord { port: String::new(), ..passage(2) },
        NewRecord { reasons: "x".repeat(5000), ..passage(2) },
    ] {
        assert!(matches!(f.register.append_records(&[passage(1), wrong]), Err(StoreError::Invalid { .. })));
    }
    assert_eq!(f.register.records(RecordQuery::default()).count(), 0);
}

#[test]
fn a_claim_is_spent_once_in_all_processes() {
    let f = fixture();
    let other = Register::open(&f.path, keyring()).unwrap();
    let soon = Timestamp::now() + SignedDuration::from_mins(5);
    assert!(f.register.spend_claim([1; 16], soon).unwrap());
    assert!(!other.spend_claim([1; 16], soon).unwrap());
    assert!(other.spend_claim([2; 16], soon).unwrap());
    drop((other, f.register));
    assert!(!Register::open(&f.path, keyring()).unwrap().spend_claim([1; 16], soon).unwrap());
}
