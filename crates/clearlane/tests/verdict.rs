//! One atomic verdict: what is answered is what was recorded, on the register as it stood at that moment.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use clearlane::{Capture, ClaimIssuer, Decision, Lane, Passage, Reason, References};
use clearlane_store::{Key, KeyError, KeyFile, KeyId, Keyring, NewRecord, Outcome, RecordQuery, Register, StoreError};
use clearlane_template::SubjectId;
use common::{Port, capture_of, finger, now, policy};
use jiff::SignedDuration;

fn codes(passage: &Passage) -> Vec<&'static str> {
    passage.decision.reasons().iter().map(Reason::code).collect()
}

fn admitted(lane: &Lane, port: &Port, traveller: u64) -> Passage {
    lane.pass_capture(&capture_of(traveller, 0.8), &finger(port.subject(traveller)), None)
}

#[test]
fn nobody_is_admitted_after_their_revocation_was_acknowledged() {
    let port = Port::with(60);
    let subjects: Vec<SubjectId> = (0..60).map(|n| port.subject(n)).collect();
    // Up to which record each subject may have been admitted: the newest when its revocation was acknowledged.
    let limits: Vec<AtomicU64> = (0..60).map(|_| AtomicU64::new(u64::MAX)).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for lane in 0..2 {
            let (port, subjects, done) = (&port, &subjects, &done);
            scope.spawn(move || {
                let own = port.lane();
                // The gallery is never refreshed: the register alone decides.
                for at in (0..60).cycle().skip(lane * 30) {
                    if done.load(Ordering::Acquire) {
                        return;
                    }
                    // Ample, since the other process hardly ever lets go of the register.
                    let budget = Some(Duration::from_mins(1));
                    let passage = own.pass_capture(&capture_of(at as u64, 0.8), &finger(subjects[at]), budget);
                    assert!(passage.record.is_some(), "{passage:?}");
                    // As travellers come: the other process gets hold of the register now and then.
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        // However this ends, the lanes end as well.
        let _ended = Ended(&done);
        let another = port.another();
        while another.stats().unwrap().records < 40 {
            thread::sleep(Duration::from_millis(1));
        }
        for (subject, limit) in subjects.iter().zip(&limits) {
            _ = another.revoke(*subject, "test").unwrap();
            let newest = another.last_record(&RecordQuery::default()).unwrap().map_or(0, |record| record.seq);
            limit.store(newest, Ordering::Release);
        }
        let all = another.stats().unwrap().records;
        // A round with everybody revoked.
        while another.stats().unwrap().records < all + 120 {
            thread::sleep(Duration::from_millis(1));
        }
    });
    let records: Vec<_> = port.register.records(RecordQuery::default()).map(Result::unwrap).collect();
    let admissions = records.iter().filter(|record| record.passage.outcome == Outcome::Admit);
    for record in admissions.clone() {
        let at = subjects.iter().position(|subject| Some(*subject) == record.passage.subject).unwrap();
        assert!(record.seq <= limits[at].load(Ordering::Acquire), "record {} of subject {at}", record.seq);
    }
    assert!(admissions.count() > 0);
    assert!(records.last().unwrap().passage.reasons.contains("not-enrolled"));
}

/// Says so when it goes.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn every_answer_is_its_record_and_a_late_admission_is_taken_back() {
    let port = Port::with(20);
    let lane = port.lane();
    let subject = port.subject(3);
    // Budgets from hopeless to ample: some run out between the verdict and the disk.
    for step in 0..120 {
        let budget = Duration::from_micros(20 * (step + 1));
        let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(subject), Some(budget));
        let record = port.register.record(passage.record.unwrap()).unwrap().unwrap();
        let admitted = passage.decision.is_admission();
        assert_eq!(admitted, record.passage.outcome == Outcome::Admit);
        if !admitted {
            assert!(codes(&passage).contains(&"budget-exceeded"));
            assert!(record.passage.reasons.contains("budget-exceeded"));
        }
        if let Some(voided) = record.passage.voids {
            assert_eq!((voided, admitted), (record.seq - 1, false));
        }
    }
    let records: Vec<_> = port.register.records(RecordQuery::default()).map(Result::unwrap).collect();
    let voided: Vec<u64> = records.iter().filter_map(|record| record.passage.voids).collect();
    let standing =
        records.iter().filter(|record| record.passage.outcome == Outcome::Admit && !voided.contains(&record.seq));
    assert_eq!(records.len(), 120 + voided.len());
    assert_eq!(standing.count() as u64, lane.port().metrics().snapshot().admitted);
}

#[test]
fn a_lane_does_not_wait_for_another_process_beyond_its_budget() {
    let port = Port::with(20);
    let lane = port.lane();
    let (begun, answered) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
    thread::scope(|scope| {
        let another = port.another();
        let (theirs, until) = (Arc::clone(&begun), Arc::clone(&answered));
        scope.spawn(move || {
            let verdict = move |_: &mut clearlane_store::Standing<'_, '_>| -> Result<NewRecord, StoreError> {
                theirs.wait();
                // The register is locked until the lane has answered: its answer cannot have waited for this.
                while !until.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(StoreError::Invalid { field: "passage", reason: "a test".to_owned() })
            };
            another.conclude(Arc::new(verdict), Duration::from_secs(5)).unwrap_err();
        });
        begun.wait();
        let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(port.subject(3)), Some(Duration::from_millis(50)));
        answered.store(true, Ordering::Release);
        assert_eq!(codes(&passage), ["not-recorded"]);
    });
}

#[test]
fn of_two_lanes_that_are_shown_one_claim_one_opens() {
    let port = Port::with(20);
    let issuer = ClaimIssuer::generate().unwrap();
    let build = |name: &str| {
        let lane = port.builder(policy("")).claims(issuer.verifier());
        common::lane(lane, name)
    };
    let lanes = [build("1"), build("2")];
    let subject = port.subject(3);
    for _ in 0..20 {
        let place = ["shenzhen-bay".parse().unwrap()];
        let claim = issuer.issue(port.register.id(), subject, &place, now(), Duration::from_mins(5)).unwrap();
        let text = claim.text();
        let passages: Vec<Passage> = thread::scope(|scope| {
            let pass = |lane| {
                let (lane, capture): (&Lane, Capture) = (lane, capture_of(3, 0.8));
                move || lane.verify_claim_capture(text, &capture, &finger(subject), None)
            };
            let threads: Vec<_> = lanes.iter().map(|lane| scope.spawn(pass(lane))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let opened = passages.iter().filter(|passage| passage.decision.is_admission()).count();
        assert_eq!(opened, 1, "{passages:?}");
        let other = passages.iter().find(|passage| !passage.decision.is_admission()).unwrap();
        assert_eq!(codes(other), ["claim-refused"]);
    }
    // It is of this register alone, even where another has the same subjects and trusts the same issuer.
    let elsewhere = Port::with(20);
    let place = ["shenzhen-bay".parse().unwrap()];
    let claim = issuer.issue(elsewhere.register.id(), subject, &place, now(), Duration::from_mins(5)).unwrap();
    let passage = lanes[0].verify_claim_capture(claim.text(), &capture_of(3, 0.8), &finger(subject), None);
    assert_eq!(codes(&passage), ["claim-refused"]);
}

#[test]
fn a_clock_that_cannot_be_right_admits_nobody_until_somebody_confirms_it() {
    let port = Port::with(20);
    let offset = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let shown = Arc::clone(&offset);
    let clock = move || now() + SignedDuration::from_secs(shown.load(Ordering::Acquire));
    let lane = port.builder(policy("")).clock(clock);
    let lane = common::lane(lane, "1");
    let at = |seconds| {
        offset.store(seconds, Ordering::Release);
        codes(&admitted(&lane, &port, 3))
    };
    let day = 24 * 3600;
    // Without a record there is nothing to hold it against.
    assert!(at(0).is_empty());
    assert!(at(day).is_empty());
    // Corrections by a little are borne; the day is judged by the newest record then.
    assert!(at(day - 60).is_empty());
    assert_eq!(at(day - 61), ["implausible-clock"]);
    assert!(at(-400 * day).contains(&"implausible-clock"));
    assert!(at(31 * day).is_empty());
    assert_eq!(at(64 * day), ["implausible-clock"]);
    // A record by a wrong clock moves nothing.
    assert!(at(31 * day).is_empty());
    port.register.confirm_clock(now() + SignedDuration::from_hours(24 * 64)).unwrap();
    assert!(at(64 * day).is_empty());
    let records = port.register.records(RecordQuery::default()).map(Result::unwrap);
    assert_eq!(records.filter(|record| record.passage.reasons.contains("implausible-clock")).count(), 3);
}

#[test]
fn an_expired_enrolment_is_not_revived_by_a_clock_that_was_set_back() {
    let port = Port::with(20);
    port.change(3, |details| details.expires = Some("2025-03-10".parse().unwrap()));
    let time = Arc::new(std::sync::Mutex::new(now()));
    let shown = Arc::clone(&time);
    let lane = port.builder(policy("")).clock(move || *shown.lock().unwrap());
    let lane = common::lane(lane, "1");
    assert!(codes(&admitted(&lane, &port, 3)).is_empty());
    *time.lock().unwrap() = "2025-03-11T00:00:30+08:00".parse().unwrap();
    assert_eq!(codes(&admitted(&lane, &port, 3)), ["enrolment-expired"]);
    // Back over midnight by less than a minute: the newest record's day counts.
    *time.lock().unwrap() = "2025-03-10T23:59:45+08:00".parse().unwrap();
    assert_eq!(codes(&admitted(&lane, &port, 3)), ["enrolment-expired"]);
    *time.lock().unwrap() = now();
    assert_eq!(codes(&admitted(&lane, &port, 3)), ["implausible-clock"]);
}

#[test]
fn a_row_that_was_altered_refers_is_recorded_and_shuts_every_lane_of_every_process() {
    let port = Port::with(20);
    let (lane, elsewhere) = (port.lane(), References::load(port.another().into(), common::model(), |_, _| {}).unwrap());
    elsewhere.check(|_, _| {}).unwrap();
    assert!(admitted(&lane, &port, 3).decision.is_admission());
    let (altered, other) = (port.subject(3), port.subject(4));
    rusqlite::Connection::open(port.path())
        .unwrap()
        .execute("UPDATE subject SET birth = '1980-01-01' WHERE id = ?1", [altered.0 as i64])
        .unwrap();
    let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(altered), None);
    assert_eq!(codes(&passage), ["internal-error"]);
    assert!(passage.record.is_some());
    assert_eq!(codes(&lane.pass_capture(&capture_of(4, 0.8), &finger(other), None)), ["register-not-sound"]);
    let theirs = clearlane::Port::builder(elsewhere)
        .policy(policy(""))
        .port("gongbei".parse().unwrap())
        .calibration(common::calibration())
        .clock(now);
    let theirs = common::lane(theirs, "2");
    assert_eq!(codes(&theirs.pass_capture(&capture_of(4, 0.8), &finger(other), None)), ["register-not-sound"]);
    // A check finds it as well, and clears nothing.
    assert!(!port.references.check(|_, _| {}).unwrap().is_sound());
    assert_eq!(codes(&lane.pass_capture(&capture_of(4, 0.8), &finger(other), None)), ["register-not-sound"]);
}

#[test]
fn a_check_that_ends_does_not_cover_a_fault_that_was_noted_while_it_went_on() {
    let port = Port::with(20);
    let another = port.another();
    let mut noted = false;
    let report = port
        .references
        .check(|_, _| {
            if !std::mem::replace(&mut noted, true) {
                another.note_fault().unwrap();
            }
        })
        .unwrap();
    assert!(noted && report.is_sound(), "the check itself saw nothing");
    assert_eq!(port.register.last_check().unwrap().unwrap().problems, 1);
    assert_eq!(codes(&admitted(&port.lane(), &port, 4)), ["register-not-sound"]);
    port.references.check(|_, _| {}).unwrap();
    assert!(admitted(&port.lane(), &port, 4).decision.is_admission());
}

#[test]
fn a_running_lane_goes_on_through_a_new_key_that_its_key_file_gets() {
    let port = Port::with(20);
    let file = port.folder.path().join("keys");
    let write = |keys: &[&Key]| {
        let text = keys.iter().map(|key| key.to_hex().to_string()).collect::<Vec<_>>().join("\n");
        fs::write(&file, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    write(&[&port.key]);
    let register = Arc::new(Register::open(port.path(), KeyFile::open(&file).unwrap()).unwrap());
    let references = Arc::new(References::load(register, common::model(), |_, _| {}).unwrap());
    references.check(|_, _| {}).unwrap();
    let lane = clearlane::Port::builder(references.clone())
        .policy(policy(""))
        .port("shenzhen-bay".parse().unwrap())
        .calibration(common::calibration())
        .clock(now);
    let lane = common::lane(lane, "1");
    assert!(admitted(&lane, &port, 3).decision.is_admission());
    let new = Key::random().unwrap();
    write(&[&new, &port.key]);
    let ring = Keyring::new(new.clone()).with_older(port.key.clone());
    Register::open(port.path(), ring).unwrap().rekey(&new, |_, _| {}).unwrap();
    assert!(references.refresh().unwrap().reloaded);
    let subject = references.register().subject("traveller 3").unwrap().unwrap().id;
    let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(subject), None);
    assert_eq!(codes(&passage), [""; 0]);
}

#[test]
fn a_panic_in_what_the_host_brings_is_a_referral() {
    let port = Port::with(20);
    let (known, new) = (port.key.clone(), Key::random().unwrap());
    let keys = {
        let known = known.clone();
        move |id: Option<KeyId>| -> Result<Option<Key>, KeyError> {
            assert!(id.is_none_or(|id| id == known.id()), "the key server's client has a defect");
            Ok(Some(known.clone()))
        }
    };
    let register = Arc::new(Register::open(port.path(), keys).unwrap());
    let references = Arc::new(References::load(register, common::model(), |_, _| {}).unwrap());
    references.check(|_, _| {}).unwrap();
    let lane = clearlane::Port::builder(references)
        .policy(policy(""))
        .port("shenzhen-bay".parse().unwrap())
        .calibration(common::calibration())
        .clock(now);
    let lane = common::lane(lane, "1");
    let subject = port.subject(3);
    let ring = Keyring::new(new.clone()).with_older(known);
    Register::open(port.path(), ring).unwrap().rekey(&new, |_, _| {}).unwrap();
    let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(subject), None);
    assert_eq!(codes(&passage), ["not-recorded"]);

    let broken = port.builder(policy("")).clock(|| panic!("the clock has a defect"));
    let broken = common::lane(broken, "1");
    let passage = broken.pass_capture(&capture_of(3, 0.8), &finger(subject), None);
    assert!(matches!(passage.decision, Decision::Refer { .. }));
}
