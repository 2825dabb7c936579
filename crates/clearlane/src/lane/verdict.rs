//! The verdict on one passage: reached in the transaction that records it, on the register as it stands at that moment, so
//! that what is answered is what was recorded, and nothing comes between.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clearlane_store::{Details, Direction, NewRecord, NumberDigest, Outcome, Standing, StoreError, Subject, Verdict};
use clearlane_template::{ModelId, TemplateId};
use jiff::{SignedDuration, Timestamp};

use super::{Lane, milliseconds};
use crate::claim::{Claim, ClaimRefusal};
use crate::decision::{Comparison, Decision};
use crate::policy::Policy;
use crate::policy::PortId;
use crate::reason::Reason;
use crate::remote::Word;

/// How long a referral may wait for the register after the budget is spent: it is to be recorded as well.
const GRACE: Duration = Duration::from_millis(200);

/// All of a passage that the verdict needs, beside the register.
pub(super) struct Case {
    pub(super) policy: Arc<Policy>,
    pub(super) port: PortId,
    pub(super) lane: String,
    pub(super) direction: Direction,
    pub(super) model: ModelId,
    pub(super) time: Timestamp,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    pub(super) budget: Duration,
    pub(super) claim: Option<Claim>,
    pub(super) document: Option<NumberDigest>,
    pub(super) template: Option<TemplateId>,
    pub(super) comparison: Option<Comparison>,
    /// What a gallery that is kept elsewhere says of the candidate; `None` where the register says it.
    pub(super) word: Option<Word>,
    /// What speaks against an admission already.
    pub(super) reasons: Vec<Reason>,
    /// Whether this process has checked the register and found it sound.
    pub(super) checked: bool,
    /// The newest verdict.
    pub(super) verdict: Mutex<Option<Reached>>,
}

/// A verdict, and what went wrong with the register on the way to it.
pub(super) struct Reached {
    decision: Decision,
    failures: Vec<StoreError>,
}

impl Lane {
    /// Reaches the verdict on a case, records it, and gives the record's number; `None` where it could not be recorded, which
    /// is a reason to refer.
    pub(super) fn decide(&self, case: &Arc<Case>, deadline: Instant) -> (Decision, Option<u64>) {
        let register = self.port.references.register();
        let verdict: Arc<Verdict> = {
            let case = Arc::clone(case);
            Arc::new(move |standing| case.judge(standing))
        };
        let left = deadline.saturating_duration_since(Instant::now()).max(GRACE);
        // Keys and locks are asked for on the way, and come from the host.
        let recorded = catch_unwind(AssertUnwindSafe(|| register.conclude(verdict, left)));
        let recorded = recorded.unwrap_or_else(|_| Err(panicked())).map(|record| record.seq);
        let reached = case.verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (decision, failures) = reached
            .map_or_else(|| (case.refer(Vec::new()), Vec::new()), |reached| (reached.decision, reached.failures));
        for failure in &failures {
            tracing::error!(error = %failure, "the register could not be read");
            self.port.references.note(failure);
        }
        match recorded {
            Ok(seq) if decision.is_admission() && Instant::now() > deadline => self.too_late(case, seq),
            Ok(seq) => (decision, Some(seq)),
            Err(error) => {
                tracing::error!(%error, "the passage could not be recorded");
                self.port.references.note(&error);
                let reasons = decision.reasons().iter().cloned().chain([Reason::NotRecorded]);
                (case.refer(reasons.collect()), None)
            }
        }
    }

    /// The disk took so long that the answer comes after the deadline: the admission that was recorded is taken back.
    fn too_late(&self, case: &Case, seq: u64) -> (Decision, Option<u64>) {
        let decision = case.refer(vec![case.budget_exceeded()]);
        let record = NewRecord { voids: Some(seq), ..case.record(&decision) };
        let appended = catch_unwind(AssertUnwindSafe(|| self.port.references.register().append_record(&record)));
        match appended.unwrap_or_else(|_| Err(panicked())) {
            Ok(seq) => (decision, Some(seq)),
            Err(error) => {
                tracing::error!(%error, admitted = seq, "a late admission could not be taken back in the records");
                (case.refer(vec![case.budget_exceeded(), Reason::NotRecorded]), None)
            }
        }
    }
}

impl Case {
    /// The record of the verdict, which is kept for whoever waits for it.
    fn judge(&self, standing: &mut Standing<'_, '_>) -> Result<NewRecord, StoreError> {
        let mut failures = Vec::new();
        let judged = catch_unwind(AssertUnwindSafe(|| self.objections(standing, &mut failures)));
        let objections = judged.unwrap_or_else(|_| Err(panicked()))?;
        let decision = match (&self.comparison, objections) {
            (Some(comparison), objections) if objections.is_empty() => Decision::Admit { subject: comparison.subject },
            (_, objections) => self.refer(objections),
        };
        let record = self.record(&decision);
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(Reached { decision, failures });
        Ok(record)
    }

    /// All that speaks against an admission, at this moment.
    fn objections(
        &self,
        standing: &mut Standing<'_, '_>,
        failures: &mut Vec<StoreError>,
    ) -> Result<Vec<Reason>, StoreError> {
        let mut reasons = self.reasons.clone();
        if let Some(claim) = &self.claim {
            match standing.spend_claim(claim.nonce, claim.expires) {
                Ok(true) => {}
                Ok(false) => reasons.push(Reason::ClaimRefused { refusal: ClaimRefusal::Replayed }),
                Err(error) => failed(error, "claim", &mut reasons, failures)?,
            }
        }
        if !self.checked || !standing.is_sound() {
            reasons.push(Reason::RegisterNotSound);
        }
        // As late as it is by now: a passage may have taken long.
        let now = self
            .time
            .saturating_add(self.started.elapsed().try_into().unwrap_or(SignedDuration::MAX))
            .unwrap_or(self.time);
        let time = match standing.time(now) {
            Ok(time) => time,
            Err(StoreError::ImplausibleClock { newest, .. }) => {
                reasons.push(Reason::ImplausibleClock { newest });
                now
            }
            Err(error) => return Err(error),
        };
        if self.claim.as_ref().is_some_and(|claim| claim.expires <= time) {
            reasons.push(Reason::ClaimRefused { refusal: ClaimRefusal::Expired });
        }
        // Whoever took the template out did not mean the subject to be found by it any more.
        if let Some(template) = self.template {
            match standing.holds_template(template) {
                Ok(true) => {}
                Ok(false) => reasons.push(Reason::NotEnrolled),
                Err(error) => failed(error, "register", &mut reasons, failures)?,
            }
        }
        if let Some(word) = &self.word {
            reasons.extend(word.outdated(time));
            reasons.extend(self.policy.ineligibility(&word.details, &self.port, self.direction, time));
        } else if let Some(comparison) = &self.comparison {
            match standing.subject(comparison.subject) {
                Ok(Some(Subject { details, revoked: None, .. })) => {
                    let judge =
                        |details: &Details| self.policy.ineligibility(details, &self.port, self.direction, time);
                    let objections = judge(&details);
                    if let Some(shown) = self.document {
                        // Other documents of the holder's do not make up for the one that is shown.
                        let mut alone = details.clone();
                        alone.documents.retain(|document| document.number_digest == shown);
                        reasons.extend(judge(&alone).into_iter().filter(|reason| !objections.contains(reason)));
                    }
                    reasons.extend(objections);
                }
                Ok(_) if reasons.contains(&Reason::NotEnrolled) => {}
                Ok(_) => reasons.push(Reason::NotEnrolled),
                Err(error) => failed(error, "register", &mut reasons, failures)?,
            }
        }
        if Instant::now() > self.deadline {
            reasons.push(self.budget_exceeded());
        }
        Ok(reasons)
    }

    fn budget_exceeded(&self) -> Reason {
        Reason::BudgetExceeded { spent_ms: milliseconds(self.started.elapsed()), budget_ms: milliseconds(self.budget) }
    }

    fn refer(&self, reasons: Vec<Reason>) -> Decision {
        Decision::Refer { subject: self.comparison.map(|comparison| comparison.subject), reasons }
    }

    /// The crossing record. It never holds a face, a template or a document, and reasons as codes without their data: it says
    /// why a traveller was referred, not when which document expired.
    fn record(&self, decision: &Decision) -> NewRecord {
        let reasons: BTreeSet<_> = decision.reasons().iter().map(Reason::code).collect();
        let comparison = self.comparison.as_ref();
        NewRecord {
            time: self.time,
            port: self.port.to_string(),
            lane: self.lane.clone(),
            direction: self.direction,
            outcome: if decision.is_admission() { Outcome::Admit } else { Outcome::Refer },
            subject: comparison.map(|comparison| comparison.subject),
            score: comparison.map(|comparison| comparison.score),
            threshold: comparison.map(|comparison| comparison.threshold),
            margin: comparison.and_then(|comparison| comparison.margin),
            model: Some(self.model),
            reasons: reasons.into_iter().collect::<Vec<_>>().join(" "),
            voids: None,
        }
    }
}

/// A defect somewhere below: what it left half-done is not kept.
fn panicked() -> StoreError {
    StoreError::Invalid { field: "passage", reason: "its verdict panicked".to_owned() }
}

/// A row that is not as it was written is a reason to refer, and is looked into after the record; any other error leaves
/// nothing to record on.
fn failed(
    error: StoreError,
    stage: &'static str,
    reasons: &mut Vec<Reason>,
    failures: &mut Vec<StoreError>,
) -> Result<(), StoreError> {
    if !matches!(error, StoreError::Refused { .. }) {
        return Err(error);
    }
    reasons.push(Reason::InternalError { stage: stage.into() });
    failures.push(error);
    Ok(())
}
