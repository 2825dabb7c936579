//! Answering a question from one partition: of one head, all of it, or not at all.

use std::time::{Duration, Instant};

use clearlane_match::SearchOptions;

use crate::head::TOLERANCE_US;
use crate::question::{Found, Question, Reply};
use crate::replica::Shared;

/// How often a search is made again because a candidate changed under it.
const TRIES: usize = 4;

/// Searches a partition. Blocking; it ends by the deadline.
pub(crate) fn answer(shared: &Shared, question: &Question, deadline: Instant) -> Reply {
    for _ in 0..TRIES {
        let (at, version, snapshot) = shared.now();
        let age = question.asked.saturating_sub(at.time);
        let Some(snapshot) =
            snapshot.filter(|_| (-TOLERANCE_US..=question.max_age).contains(&age) && at.head >= question.after)
        else {
            return Reply::Behind { at };
        };
        if snapshot.is_empty() {
            return Reply::Found(Found { at, searched: Duration::ZERO, templates: 0, candidates: Vec::new() });
        }
        let started = Instant::now();
        let options = SearchOptions {
            threshold: question.threshold,
            mode: question.mode,
            deadline: Some(deadline),
            ..SearchOptions::new(question.k)
        };
        let outcome = match snapshot.search(&question.probe, &options) {
            Ok(outcome) if outcome.is_complete() => outcome,
            Ok(_) => return Reply::Late,
            Err(error) => return Reply::Refused { reason: error.to_string() },
        };
        let searched = started.elapsed();
        let subjects = outcome.candidates.iter().map(|candidate| candidate.subject.0);
        if let Some(details) = shared.details(version, subjects) {
            let candidates = outcome.candidates.into_iter().zip(details).collect();
            return Reply::Found(Found { at, searched, templates: snapshot.len() as u64, candidates });
        }
    }
    Reply::Busy
}
