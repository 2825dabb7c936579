//! What was acknowledged, held against the register and its backups.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use clearlane_store::{Details, Outcome, RecordQuery, Register, StoreError};
use clearlane_template::SubjectId;

use super::ledger::Answer;
use super::site::{Closed, Person, Site, Tally, key_of, model, witnessed};
use super::{Place, SoakFault, SoakPlan, SoakReport};
use crate::SimulationError;

/// A template scores so much at least with the values that it was made of, under any key's transform.
const ITSELF: f32 = 0.999;

/// Who was enrolled and who had left at one moment, as was acknowledged.
pub(super) struct Standing {
    enrolled: HashMap<SubjectId, u64>,
    left: Vec<Person>,
    generations: Vec<u64>,
    newest: u64,
}

impl Standing {
    pub(super) fn of(site: &Site<'_>) -> Self {
        let generations = site.generations().clone();
        let people = site.people();
        let enrolled = people.enrolled.iter().map(|person| (person.subject, person.number)).collect();
        Self { enrolled, left: people.left.clone(), generations, newest: site.newest.load(Ordering::Acquire) }
    }

    /// What held at both moments, and so in every state between them.
    pub(super) fn and_still(mut self, later: &Self) -> Self {
        self.enrolled.retain(|subject, _| later.enrolled.contains_key(subject));
        self.generations.extend(&later.generations);
        self
    }
}

/// Holds a register or a backup against what was acknowledged.
pub(super) fn compare(
    plan: &SoakPlan,
    details: &Details,
    register: &Register,
    standing: &Standing,
    of: Place,
) -> Vec<SoakFault> {
    let unreadable = |error: StoreError| SoakFault::Unreadable { of, error: error.to_string() };
    let mut faults = Vec::new();
    match register.check(|_, _| {}) {
        Ok(report) => faults.extend(report.problems.first().map(|problem| {
            let problem = format!("{}: {}", problem.row, problem.fault);
            SoakFault::NotSound { of, problem }
        })),
        Err(error) => return vec![unreadable(error)],
    }
    for (&subject, &number) in &standing.enrolled {
        match lacks(plan, details, register, standing, Person { number, subject }) {
            Ok(None) => {}
            Ok(Some(why)) => faults.push(SoakFault::EnrolmentLost { subject, of, why }),
            Err(error) => faults.push(unreadable(error)),
        }
    }
    for &Person { subject, .. } in &standing.left {
        match has_left(register, subject) {
            Ok(true) => {}
            Ok(false) => faults.push(SoakFault::RemovalLost { subject, of }),
            Err(error) => faults.push(unreadable(error)),
        }
    }
    if standing.newest > 0 {
        match register.record(standing.newest) {
            Ok(Some(_)) => {}
            Ok(None) => faults.push(SoakFault::RecordLost { record: standing.newest, of }),
            Err(error) => faults.push(unreadable(error)),
        }
    }
    faults
}

/// What an enrolled traveller lacks; `None` where all is as it was acknowledged.
fn lacks(
    plan: &SoakPlan,
    details: &Details,
    register: &Register,
    standing: &Standing,
    person: Person,
) -> Result<Option<&'static str>, StoreError> {
    let Some(subject) = register.subject_by_id(person.subject)? else { return Ok(Some("is not there")) };
    if subject.key != key_of(person.number) {
        return Ok(Some("is there under another name"));
    }
    if subject.revoked.is_some() {
        return Ok(Some("is revoked"));
    }
    if subject.details != *details {
        return Ok(Some("has other details"));
    }
    for &generation in &standing.generations {
        let templates = match register.templates(person.subject, model(generation)) {
            Err(StoreError::OtherModel { .. }) => continue,
            templates => templates?,
        };
        let protection = register.protection(model(generation))?;
        for stored in templates {
            let reference = plan.template(generation, person.number)?;
            if protection.apply(&reference)?.score(&stored.template)? >= ITSELF {
                return Ok(None);
            }
        }
    }
    Ok(Some("has no template of their own"))
}

/// Whether a lane would refer the subject: revoked, without consent, or ended.
fn has_left(register: &Register, subject: SubjectId) -> Result<bool, StoreError> {
    let Some(subject) = register.subject_by_id(subject)? else { return Ok(true) };
    let withdrawn = subject.details.consent.is_some_and(|consent| consent.withdrawn.is_some());
    Ok(subject.revoked.is_some() || withdrawn || subject.details.expires.is_some())
}

/// The end: the register, opened anew, is held against all that was acknowledged.
pub(super) fn judge(plan: &SoakPlan, closed: Closed, report: &mut SoakReport) -> Result<(), SimulationError> {
    let Closed { folder, path, keys, policy, details, ledger, mut tally, standing } = closed;
    let register = witnessed(&folder).open(&path, keys)?;
    for fault in compare(plan, &details, &register, &standing, Place::Register) {
        tally.fault(fault);
    }
    let stats = register.stats()?;
    let expected = standing.enrolled.len() as u64 + still_to_sweep(&register, &standing)?;
    if stats.subjects != expected {
        tally.fault(SoakFault::Enrolled { expected, found: stats.subjects });
    }
    compare_records(&register, &ledger.answers()?, &mut tally);
    // Each search may be a false positive with the policy's probability; four deviations and one more are no wonder.
    let expected = policy.fpir() * tally.done.passages as f64;
    report.allowed_wrong_admissions = (expected + 4.0 * expected.sqrt()).ceil() as u64 + 1;
    report.sound = register.last_check()?.is_some_and(|last| last.problems == 0);
    report.records = stats.records;
    report.enrolled = stats.subjects;
    report.done = tally.done;
    report.wrong_admissions = tally.wrong_admissions;
    report.failed = tally.failed;
    report.faults = tally.faults;
    report.fault_count = tally.fault_count;
    Ok(())
}

/// Who left without having been swept out as yet.
fn still_to_sweep(register: &Register, standing: &Standing) -> Result<u64, StoreError> {
    let mut count = 0;
    for person in &standing.left {
        let subject = register.subject_by_id(person.subject)?;
        count += u64::from(subject.is_some_and(|subject| subject.revoked.is_none()));
    }
    Ok(count)
}

/// Each record that was answered is there and says the same; another is one whose answer was taken back by a later record, or
/// that no lane vouches for.
fn compare_records(register: &Register, answers: &[Answer], tally: &mut Tally) {
    let mut expected: HashMap<u64, Answer> = answers.iter().map(|answer| (answer.record, *answer)).collect();
    let (mut unasked, mut voided) = (Vec::new(), HashSet::new());
    for record in register.records(RecordQuery::default()) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                tally.fault(SoakFault::Unreadable { of: Place::Register, error: error.to_string() });
                continue;
            }
        };
        voided.extend(record.passage.voids);
        match expected.remove(&record.seq) {
            None => unasked.push(record.seq),
            Some(answer) => {
                let admitted = record.passage.outcome == Outcome::Admit;
                if admitted != answer.admitted || record.passage.subject != answer.subject {
                    tally.fault(SoakFault::RecordDiffers { record: record.seq });
                }
            }
        }
    }
    for record in unasked.into_iter().filter(|record| !voided.contains(record)) {
        tally.fault(SoakFault::RecordUnasked { record });
    }
    let mut lost: Vec<u64> = expected.into_keys().collect();
    lost.sort_unstable();
    for record in lost {
        tally.fault(SoakFault::RecordLost { record, of: Place::Register });
    }
}
