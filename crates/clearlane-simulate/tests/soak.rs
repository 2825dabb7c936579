//! What an endurance run says of a register that lost something: it has to be able to fail.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use clearlane::Policy;
use clearlane_simulate::SimulationError;
use clearlane_simulate::soak::{Intervals, SoakPlan, SoakReport};

fn policy() -> Policy {
    Policy::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shenzhen-bay-and-gongbei.toml")).unwrap()
}

fn plan(duration: Duration) -> SoakPlan {
    SoakPlan { lanes: 2, enrolled: 60, rate: 40.0, ..SoakPlan::new(duration) }
}

fn faults(report: &SoakReport) -> String {
    report.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Runs a soak, and `meddle` with its folder when half of the time is gone.
fn meddled(plan: &SoakPlan, meddle: impl Fn(&Path) + Sync) -> SoakReport {
    let folder = tempfile::tempdir().unwrap();
    let done = Mutex::new(false);
    let half = plan.duration / 2;
    let progress = |gone: Duration| {
        let mut done = done.lock().unwrap();
        if gone > half && !*done {
            *done = true;
            meddle(folder.path());
        }
    };
    plan.run(folder.path(), policy(), None, &|| false, &progress).unwrap()
}

#[test]
fn a_run_that_nobody_meddles_with_is_sound_and_has_done_all_its_jobs() {
    let report = meddled(&plan(Duration::from_secs(4)), |_| {});
    assert!(report.is_sound(), "{}", faults(&report));
    let done = report.done;
    assert!(done.rekeys > 0 && done.backups > 0 && done.model_changes > 0 && done.sweeps > 0, "{done:?}");
    assert_eq!(report.metrics.admitted + report.metrics.referred, done.passages);
}

#[test]
fn a_row_that_is_changed_behind_the_registers_back_is_found() {
    let report = meddled(&plan(Duration::from_secs(2)), |folder| {
        let register = rusqlite::Connection::open(folder.join("soak.register")).unwrap();
        register.busy_timeout(Duration::from_secs(10)).unwrap();
        // The first subject's name: somebody else from now on.
        register.execute("UPDATE subject SET key = 'nobody' WHERE id = 1", []).unwrap();
    });
    assert!(!report.is_sound() && !report.sound, "{report:?}");
    assert!(faults(&report).contains("not sound"), "{}", faults(&report));
}

#[test]
fn records_that_were_acknowledged_and_are_gone_are_found() {
    let report = meddled(&plan(Duration::from_secs(2)), |folder| {
        let ledger = clearlane_simulate::soak::ledger_in(folder);
        let mut text = std::fs::OpenOptions::new().append(true).open(ledger).unwrap();
        // As if a lane had answered by a record that the register does not have.
        std::io::Write::write_all(&mut text, b"\nrecord 1000000 admit 1\n").unwrap();
    });
    assert!(report.sound && !report.is_sound(), "{}", faults(&report));
    assert!(faults(&report).contains("the register: crossing record 1000000 is missing"), "{}", faults(&report));
}

#[test]
fn somebody_who_is_taken_out_unasked_is_missed() {
    let report = meddled(&SoakPlan { every: quiet(), ..plan(Duration::from_secs(2)) }, |folder| {
        // By the command's own means another process may do so, with the keys; here it is the very file.
        let register = rusqlite::Connection::open(folder.join("soak.register")).unwrap();
        register.busy_timeout(Duration::from_secs(10)).unwrap();
        register.execute("DELETE FROM template WHERE subject = 2", []).unwrap();
    });
    assert!(!report.is_sound(), "{}", faults(&report));
}

/// Nothing is done beside the passages.
fn quiet() -> Intervals {
    let never = Duration::from_hours(1);
    Intervals {
        enrolment: never,
        removal: never,
        sweep: never,
        rekey: never,
        backup: never,
        model: never,
        sample: Duration::from_millis(50),
    }
}

#[test]
fn a_plan_that_cannot_be_is_refused_with_what_it_says() {
    let usual = plan(Duration::from_secs(1));
    for plan in [
        SoakPlan { enrolled: 0, ..usual.clone() },
        SoakPlan { lanes: 0, ..usual.clone() },
        SoakPlan { dimension: 3, ..usual.clone() },
        SoakPlan { non_enrolled: 0.7, ..usual.clone() },
        SoakPlan { rate: f64::NAN, ..usual.clone() },
        SoakPlan { every: Intervals { sample: Duration::ZERO, ..usual.every }, ..usual.clone() },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = plan.run(folder.path(), policy(), None, &|| false, &|_| {}).unwrap_err();
        assert!(matches!(&error, SimulationError::Soak(_)), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
