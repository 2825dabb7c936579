//! A lane that is killed in the middle of its passages leaves every passage that it answered in the register, and at most
//! the one under way.
//!
//! A program of its own, since it runs itself as the process that is killed. `CLEARLANE_KILLS` sets how often (40; enrolment,
//! revocation, changes of keys and of models are killed in the tests of `clearlane-store`).
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use std::{env, thread};

use clearlane::{Direction, References, SubjectId};
use clearlane_store::{Key, Keyring, Outcome, Record, RecordQuery, Register};
use common::{capture_of, eligible, enrolment, finger, now, policy};

const TRAVELLERS: u64 = 20;
const LANES: u64 = 2;

fn main() {
    match env::var_os("CLEARLANE_CRASH_PATH") {
        Some(path) => pass(&PathBuf::from(path), env::var("CLEARLANE_CRASH_SEED").unwrap().parse().unwrap()),
        None => every_answered_passage_survives_kill_9_and_nothing_else_is_there(),
    }
}

fn keys() -> Keyring {
    Keyring::new(Key::from_bytes([3; 32]))
}

fn every_answered_passage_survives_kill_9_and_nothing_else_is_there() {
    let kills: u64 = env::var("CLEARLANE_KILLS").ok().map_or(40, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.register");
    let register = Register::create(&path, keys()).unwrap();
    let travellers: Vec<_> = (0..TRAVELLERS).map(|n| enrolment(n, eligible())).collect();
    register.enrol_all(&travellers).unwrap().into_iter().for_each(|enrolled| _ = enrolled.unwrap());
    drop(register);
    let (mut answered, mut last) = (0, 0);
    for round in 0..kills {
        let answers =
            kill_after(&path, round, 1 + (7 * round % 23) as usize, Duration::from_micros(round * 997 % 8000));
        answered += answers.len();

        let register = Register::open(&path, keys()).unwrap();
        let report = register.check(|_, _| ()).unwrap();
        assert!(report.is_sound(), "round {round}: {:?}", report.problems);
        let new: Vec<Record> = register.records(RecordQuery::default()).map(Result::unwrap).skip(last).collect();
        // Each lane may have written one that it did not come to answer.
        let unanswered = new.iter().filter(|record| !answers.contains(&recorded(record))).count();
        assert!(unanswered <= LANES as usize, "round {round}: {unanswered} records were never answered");
        assert_eq!(new.len(), answers.len() + unanswered, "round {round}: an answered passage has no record");
        last += new.len();
    }
    assert!(answered > kills as usize, "the lanes got little done");
    println!(
        "test {kills} kills of {LANES} lanes at work: {answered} passages answered, all recorded, {} kept unanswered ... ok",
        last - answered
    );
}

/// Runs lanes, kills them so long after so many answers, and returns all their answers.
fn kill_after(path: &Path, seed: u64, answers: usize, time: Duration) -> Vec<String> {
    let mut lanes = Command::new(env::current_exe().unwrap());
    lanes.env("CLEARLANE_CRASH_PATH", path).env("CLEARLANE_CRASH_SEED", seed.to_string()).stdout(Stdio::piped());
    let mut lanes = lanes.spawn().unwrap();
    let stdout = lanes.stdout.take().unwrap();
    let (heard, awaited) = mpsc::channel();
    let reader = thread::spawn(move || {
        let lines = BufReader::new(stdout).split(b'\n').map(|line| String::from_utf8(line.unwrap()).unwrap());
        lines.inspect(|_| _ = heard.send(())).collect::<Vec<_>>()
    });
    assert_eq!(awaited.iter().take(answers).count(), answers, "the lanes ended by themselves");
    thread::sleep(time);
    lanes.kill().unwrap();
    assert!(!lanes.wait().unwrap().success());
    let mut answers = reader.join().unwrap();
    // The last line itself may be cut off.
    answers.retain(|line| line.ends_with('.'));
    answers
}

/// Lanes at work: every fourth traveller is not enrolled. Each answer is said after the lane gave it.
fn pass(path: &Path, seed: u64) {
    let register = Arc::new(Register::open(path, keys()).unwrap());
    let references = Arc::new(References::load(Arc::clone(&register), common::model(), |_, _| {}).unwrap());
    references.check(|_, _| {}).unwrap();
    let subjects: Vec<_> =
        (0..TRAVELLERS).map(|n| register.subject(&format!("traveller {n}")).unwrap().unwrap().id).collect();
    let out = Mutex::new(std::io::stdout());
    thread::scope(|scope| {
        for lane in 0..LANES {
            let (references, subjects, out) = (&references, &subjects, &out);
            scope.spawn(move || {
                let built = clearlane::Port::builder(Arc::clone(references))
                    .policy(policy(""))
                    .port("gongbei".parse().unwrap())
                    .calibration(common::calibration())
                    .clock(now);
                let built = built.build().unwrap().lane(format!("lane {lane}"), Direction::Entry).unwrap();
                for number in seed.. {
                    let who = (number * 7 + lane) % TRAVELLERS;
                    let unknown = number % 4 == 0;
                    let capture = capture_of(if unknown { 1000 + who } else { who }, 0.8);
                    let passage = built.pass_capture(&capture, &finger(subjects[who as usize]), None);
                    assert_eq!(passage.decision.is_admission(), !unknown, "{passage:?}");
                    let subject = passage.comparison.map(|comparison| comparison.subject);
                    let answer = line(passage.record.unwrap(), built.name(), subject, passage.decision.is_admission());
                    let mut out = out.lock().unwrap();
                    writeln!(out, "{answer}").and_then(|()| out.flush()).unwrap();
                }
            });
        }
    });
}

/// What a lane says of a passage that it answered.
fn line(record: u64, lane: &str, subject: Option<SubjectId>, admitted: bool) -> String {
    format!("{record} {lane} {} {}.", subject.map_or(0, |subject| subject.0), if admitted { "admit" } else { "refer" })
}

/// The same of its record.
fn recorded(record: &Record) -> String {
    let passage = &record.passage;
    line(record.seq, &passage.lane, passage.subject, passage.outcome == Outcome::Admit)
}
