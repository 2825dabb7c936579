//! What is done beside the passages: people come and leave, the register gets new keys, backups are made, models change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane_store::{Enrolment, NewTemplate, Register, StoreError, SweepPlan};
use clearlane_template::{SubjectId, TemplateError};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::judge::{Standing, compare};
use super::site::{Person, Site, key_of, model, sleep_until};
use super::{Done, Intervals, Place, SoakFault};
use crate::SimulationError;

/// A thread of its own for each: a backup is made while people come and keys change.
pub(super) const JOBS: [Job; 6] = [Job::Enrol, Job::Remove, Job::Sweep, Job::Rekey, Job::Backup, Job::ChangeModel];

/// How many get templates of a new model in one transaction.
const AT_ONCE: usize = 256;

/// How long the lanes may take to leave a port.
const LEAVING: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Enrol,
    Remove,
    Sweep,
    Rekey,
    Backup,
    ChangeModel,
}

/// Does one job again and again until it is over. What fails is counted, and tried again the next time.
pub(super) fn keep(site: &Site<'_>, job: Job, over: &dyn Fn() -> bool) -> Result<(), SimulationError> {
    let every = job.every(&site.plan.every);
    // Once within the tenth that is left out of the drift: what it needs for good is taken then.
    let duration = site.plan.duration;
    let first = if every < duration { every.min(duration / 20) } else { every };
    let (mut due, mut round) = (Instant::now() + first, 0);
    loop {
        sleep_until(due, over);
        if over() {
            return Ok(());
        }
        round += 1;
        let done = match job {
            Job::Enrol => enrol(site),
            Job::Remove => remove(site, round),
            Job::Sweep => sweep(site),
            Job::Rekey => rekey(site),
            Job::Backup => backup(site, round),
            Job::ChangeModel => change_model(site, over),
        };
        match done {
            Ok(()) => {}
            Err(error @ SimulationError::Ledger { .. }) => return Err(error),
            Err(error) => site.failed(job.name(), &error),
        }
        // What took longer than its interval is not made up for.
        due = (due + every).max(Instant::now());
    }
}

impl Job {
    fn every(self, every: &Intervals) -> Duration {
        match self {
            Self::Enrol => every.enrolment,
            Self::Remove => every.removal,
            Self::Sweep => every.sweep,
            Self::Rekey => every.rekey,
            Self::Backup => every.backup,
            Self::ChangeModel => every.model,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Enrol => "enrolment",
            Self::Remove => "removal",
            Self::Sweep => "sweep",
            Self::Rekey => "new key",
            Self::Backup => "backup",
            Self::ChangeModel => "change of model",
        }
    }
}

fn enrol(site: &Site<'_>) -> Result<(), SimulationError> {
    let number = {
        let mut people = site.people();
        people.next_number += 1;
        people.next_number - 1
    };
    // Held until all is acknowledged: a change of model begins before or after it.
    let generations = site.generations();
    let mut enrolment = Enrolment::new(key_of(number)).with_details(site.details.clone());
    for generation in generations.iter() {
        enrolment = enrolment.with_template(site.plan.template(*generation, number)?);
    }
    let (subject, _) = site.register.enrol(&enrolment)?;
    site.ledger.enrolled(number, subject)?;
    let mut people = site.people();
    people.numbers.insert(subject, number);
    people.enrolled.push(Person { number, subject });
    drop(people);
    count(site, |done| done.enrolments += 1);
    Ok(())
}

/// Somebody leaves, in one of three ways. From before the call until it fails they are neither enrolled nor gone: a lane may
/// answer either way.
fn remove(site: &Site<'_>, round: u64) -> Result<(), SimulationError> {
    let mut random = StdRng::seed_from_u64(site.plan.seed ^ !round);
    let person = {
        let mut people = site.people();
        // The last ones stay, so that somebody can be admitted.
        if people.enrolled.len() < 2 {
            return Ok(());
        }
        let at = random.random_range(0..people.enrolled.len());
        people.enrolled.swap_remove(at)
    };
    let subject = person.subject;
    let (how, left) = match round % 3 {
        0 => ("withdrew", site.register.withdraw_consent(subject, Timestamp::now())),
        1 => ("expired", expire(site, subject)),
        _ => ("revoked", site.register.revoke(subject, "soak").map(|_| ())),
    };
    if let Err(error) = left {
        // Nothing of it is kept.
        site.people().enrolled.push(person);
        return Err(error.into());
    }
    site.ledger.left(how, subject)?;
    site.people().left.push(person);
    count(site, |done| match how {
        "withdrew" => done.withdrawals += 1,
        "expired" => done.expiries += 1,
        _ => done.revocations += 1,
    });
    Ok(())
}

fn expire(site: &Site<'_>, subject: SubjectId) -> Result<(), StoreError> {
    let mut details = site.details.clone();
    details.expires = Some(Timestamp::now().to_zoned(TimeZone::UTC).date().saturating_sub(Span::new().days(2)));
    site.register.update(subject, details)
}

fn sweep(site: &Site<'_>) -> Result<(), SimulationError> {
    let now = Timestamp::now();
    let today = now.to_zoned(site.policy.time_zone().clone()).date();
    let swept = site.register.sweep(&SweepPlan::new(today, now))?;
    let gone = swept.expired.iter().chain(&swept.withdrawn);
    gone.clone().try_for_each(|subject| site.ledger.left("swept", *subject))?;
    count(site, |done| {
        done.sweeps += 1;
        done.swept += gone.count() as u64;
    });
    Ok(())
}

fn rekey(site: &Site<'_>) -> Result<(), SimulationError> {
    // The key source has it before the register does.
    let key = site.keys.renew()?;
    let rekeyed = site.register.rekey(&key, |_, _| {})?;
    if let Some(problem) = rekeyed.problems.first() {
        let problem = format!("{}: {}", problem.row, problem.fault);
        site.fault(SoakFault::NotSound { of: Place::Register, problem });
    }
    count(site, |done| done.rekeys += 1);
    Ok(())
}

/// A backup holds what was acknowledged before it began and still stands when it is done.
fn backup(site: &Site<'_>, number: u64) -> Result<(), SimulationError> {
    let path = site.folder.join(format!("backup-{number}.register"));
    let before = Standing::of(site);
    site.register.backup(&path, |_, _| {})?;
    let standing = before.and_still(&Standing::of(site));
    let of = Place::Backup(number);
    match Register::open_read_only(&path, site.keys.clone()) {
        Ok(copy) => {
            for fault in compare(site.plan, &site.details, &copy, &standing, of) {
                site.fault(fault);
            }
        }
        Err(error) => site.fault(SoakFault::Unreadable { of, error: error.to_string() }),
    }
    for file in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(file);
        // A copy that was not removed is removed with the folder.
        let _ = std::fs::remove_file(name);
    }
    count(site, |done| done.backups += 1);
    Ok(())
}

/// Everybody gets templates of the next model, the lanes go over to it, and those of the model before are deleted.
fn change_model(site: &Site<'_>, over: &dyn Fn() -> bool) -> Result<(), SimulationError> {
    let old = site.open_port().generation;
    let new = old + 1;
    // Whoever is enrolled from here on has templates of both. (One that failed halfway goes on where it stopped.)
    site.set_generations(vec![old, new]);
    let mut after = SubjectId(0);
    loop {
        let lacking = site.register.without_template(model(new), after, AT_ONCE)?;
        let Some(last) = lacking.last().copied() else { break };
        if over() {
            return Ok(());
        }
        after = last;
        let made = {
            let people = site.people();
            let numbered = lacking.iter().filter_map(|subject| Some((*subject, *people.numbers.get(subject)?)));
            numbered.collect::<Vec<_>>()
        };
        let made = made.into_iter().map(|(subject, number)| {
            let template = NewTemplate { template: site.plan.template(new, number)?, source: None };
            Ok((subject, vec![template]))
        });
        let made = made.collect::<Result<Vec<_>, TemplateError>>()?;
        for added in site.register.add_missing_templates(model(new), &made)? {
            match added {
                // They left in between.
                Ok(_) | Err(StoreError::UnknownSubject { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let before = site.go_over_to(site.open(new)?);
    site.set_generations(vec![new]);
    // A passage that is under way ends with the model that it began with.
    let begun = Instant::now();
    while Arc::strong_count(&before) > 1 && begun.elapsed() < LEAVING {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(before);
    let (_, _) = site.register.remove_model(model(old))?;
    count(site, |done| done.model_changes += 1);
    Ok(())
}

fn count(site: &Site<'_>, count: impl FnOnce(&mut Done)) {
    count(&mut site.tally().done);
}
