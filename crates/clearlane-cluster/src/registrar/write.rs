//! Changes on their way into the register: many in one transaction, whether or not the brokers can be reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use clearlane_store::{Enrolment, Register, StoreError};
use clearlane_template::{SubjectId, TemplateId};
use tokio::sync::{mpsc, oneshot};

use crate::ClusterError;

/// Changes that are written in one step.
const AT_ONCE: usize = 256;

/// Where a change is published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publication {
    pub(super) partition: u32,
    pub(super) sequence: u64,
    /// The number of the first head that has it.
    pub(super) head: u64,
}

/// Who waits until a subject is published.
pub(super) type Waiting = (SubjectId, oneshot::Sender<Publication>);

/// A change that is in the register.
pub(super) struct Written {
    pub(super) subject: SubjectId,
    pub(super) templates: Vec<TemplateId>,
    /// Where, once the brokers have acknowledged.
    pub(super) published: oneshot::Receiver<Publication>,
}

pub(super) type Answer = Result<Written, ClusterError>;

/// A change that was asked for.
pub(super) enum Job {
    Enrol { enrolment: Box<Enrolment>, done: oneshot::Sender<Answer> },
    Revoke { subject: SubjectId, reason: String, done: oneshot::Sender<Answer> },
}

/// Writes changes until nobody can bring more, and hands over who waits for the brokers.
pub(super) async fn run(register: Arc<Register>, mut jobs: mpsc::Receiver<Job>, written: mpsc::Sender<Waiting>) {
    let mut batch = Vec::new();
    while jobs.recv_many(&mut batch, AT_ONCE).await > 0 {
        let batch = std::mem::take(&mut batch);
        // A registrar that has failed writes nothing that it could not publish; those who wait are told that it has stopped.
        if written.is_closed() {
            return;
        }
        let register = Arc::clone(&register);
        let Ok(waiting) = tokio::task::spawn_blocking(move || apply(&register, batch)).await else { return };
        for one in waiting {
            // Where nobody publishes any more, whoever waits is told by the loss of this.
            _ = written.send(one).await;
        }
    }
}

/// Writes changes into the register, many in one transaction, and answers each. Returns those who wait for the brokers.
fn apply(register: &Register, batch: Vec<Job>) -> Vec<Waiting> {
    let (mut enrolments, mut enrolling) = (Vec::new(), Vec::new());
    let mut revoking: BTreeMap<String, Vec<(SubjectId, oneshot::Sender<Answer>)>> = BTreeMap::new();
    for job in batch {
        match job {
            Job::Enrol { enrolment, done } => {
                enrolments.push(*enrolment);
                enrolling.push(done);
            }
            Job::Revoke { subject, reason, done } => revoking.entry(reason).or_default().push((subject, done)),
        }
    }
    let mut waiting = Vec::new();
    let mut answer = |done: oneshot::Sender<Answer>, result: Result<(SubjectId, Vec<TemplateId>), StoreError>| {
        let answer = result.map(|(subject, templates)| {
            let (sender, published) = oneshot::channel();
            waiting.push((subject, sender));
            Written { subject, templates, published }
        });
        // Whoever does not wait any more does not mind.
        _ = done.send(answer.map_err(ClusterError::from));
    };
    if !enrolments.is_empty() {
        match register.enrol_all(&enrolments) {
            Ok(results) => enrolling.into_iter().zip(results).for_each(|(done, result)| answer(done, result)),
            // None of them is enrolled; each is told by an error of its own.
            Err(_) => {
                for (done, enrolment) in enrolling.into_iter().zip(&enrolments) {
                    answer(done, register.enrol(enrolment));
                }
            }
        }
    }
    for (reason, revocations) in revoking {
        let subjects: Vec<_> = revocations.iter().map(|(subject, _)| *subject).collect();
        let all = register.revoke_all(&subjects, &reason).is_ok();
        for (subject, done) in revocations {
            // Where one of them is not enrolled, none was revoked: each by itself, then.
            let result = if all { Ok(()) } else { register.revoke(subject, &reason).map(drop) };
            answer(done, result.map(|()| (subject, Vec::new())));
        }
    }
    waiting
}
