//! Crossing records: kept, found, and shown to be unaltered; and claims that are used once.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_store::{Direction, Erasure, Fault, NewRecord, Outcome, Problem, RecordQuery, Register, Row, StoreError};
use clearlane_template::SubjectId;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use support::{Fixture, fixture, keyring, passage};

fn recorded(count: i64) -> Fixture {
    let f = fixture();
    f.register.append_records(&(1..=count).map(passage).collect::<Vec<_>>()).unwrap();
    f
}

fn problems(f: &Fixture) -> Vec<Problem> {
    f.register.verify_records(|_, _| ()).unwrap().1
}

fn meddle(f: &Fixture, sql: &str) {
    Connection::open(&f.path).unwrap().execute_batch(sql).unwrap();
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
    assert_eq!(f.register.verify_records(|_, _| ()).unwrap(), (3001, vec![]));
}

#[test]
fn the_last_entry_or_exit_of_a_subject_at_a_port_is_found() {
    let f = recorded(10);
    let other = NewRecord { port: "gongbei".into(), ..passage(11) };
    let stranger = NewRecord { subject: None, ..passage(13) };
    let referred = NewRecord { outcome: Outcome::Refer, reasons: "[\"margin\"]".into(), ..passage(15) };
    f.register.append_records(&[other, stranger, referred]).unwrap();
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
        "score = 0.72",
        "threshold = NULL",
        "margin = 0.0",
        "model = zeroblob(32)",
        "reasons = 'none'",
        "hash = zeroblob(32)",
    ] {
        let f = recorded(9);
        meddle(&f, &format!("UPDATE record SET {change} WHERE seq = 5"));
        let found = problems(&f);
        assert_eq!(found[0], Problem { row: Row::Record(5), fault: Fault::Chained }, "{change}");
    }
    let f = recorded(9);
    meddle(&f, "UPDATE record SET direction = 'sideways' WHERE seq = 5");
    assert_eq!(problems(&f), [Problem { row: Row::Record(5), fault: Fault::Value { column: "direction" } }]);
}

#[test]
fn a_cut_chain_is_found_wherever_it_was_cut() {
    let cut = |which: &str| {
        let f = recorded(9);
        meddle(&f, &format!("DELETE FROM record WHERE seq {which}"));
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
        &f,
        "UPDATE record SET seq = -1 WHERE seq = 4; UPDATE record SET seq = 4 WHERE seq = 5; UPDATE record SET seq = 5 WHERE seq = -1",
    );
    let rows: Vec<Row> = problems(&f).into_iter().map(|problem| problem.row).collect();
    assert_eq!(rows, [Row::Record(4), Row::Record(5), Row::Record(6)]);
    let f = recorded(9);
    meddle(
        &f,
        "INSERT INTO record SELECT 10, time, port, lane, direction, outcome, subject, score, threshold, margin, model, reasons, hash FROM record WHERE seq = 9",
    );
    assert_eq!(problems(&f).last().unwrap().fault, Fault::End { found: 10, expected: 9 });
}

#[test]
fn the_ends_of_the_chain_cannot_be_rewritten_without_the_key() {
    let f = recorded(9);
    meddle(
        &f,
        "DELETE FROM record WHERE seq > 7; UPDATE chain SET last = 7, hash = (SELECT hash FROM record WHERE seq = 7)",
    );
    assert_eq!(problems(&f), [Problem { row: Row::Chain, fault: Fault::Authentication }]);
}

#[test]
fn old_records_can_be_let_go_and_the_rest_stays_verifiable() {
    let f = recorded(20);
    assert_eq!(f.register.prune_records(passage(8).time).unwrap(), (7, Erasure::Complete));
    assert_eq!(f.register.verify_records(|_, _| ()).unwrap(), (13, vec![]));
    assert_eq!(f.register.append_record(&passage(21)).unwrap(), 21);
    assert_eq!(f.register.prune_records(passage(1000).time).unwrap(), (14, Erasure::Complete));
    assert_eq!(f.register.append_record(&passage(22)).unwrap(), 22);
    assert_eq!(f.register.verify_records(|_, _| ()).unwrap(), (1, vec![]));
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
