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
        let (at, version, snapshot) = shared.now(Duration::from_micros(question.max_age.try_into().unwrap_or(0)));
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

#[cfg(test)]
mod tests {
    use clearlane_match::{Gallery, Mode};
    use clearlane_template::{ModelId, Template};

    use super::*;
    use crate::head;
    use crate::question::At;

    /// A clock that is set back would have it so: the head's time is young for longer than the head is.
    #[test]
    fn a_head_that_was_heard_long_ago_vouches_for_nothing_whatever_its_time_is()
    -> Result<(), Box<dyn std::error::Error>> {
        let probe = Template::normalised(ModelId::digest([b"a model".as_slice()]), vec![1.0; 16])?;
        let gallery = Gallery::builder(probe.model(), 16).build()?;
        let shared = Shared::new();
        let at = At { sequence: 7, head: 3, time: head::now() + 900_000 };
        shared.publish(at, gallery.snapshot(), &mut std::collections::HashMap::new());
        let ask = |asked: i64| {
            let (max_age, budget) = (300_000, 1_000_000);
            let question = Question {
                probe: probe.clone(),
                k: 1,
                threshold: -1.0,
                mode: Mode::Exhaustive,
                asked,
                max_age,
                after: 0,
                budget,
            };
            answer(&shared, &question, Instant::now() + Duration::from_secs(1))
        };
        assert!(matches!(ask(head::now()), Reply::Found(_)));
        std::thread::sleep(Duration::from_millis(350));
        assert!(matches!(ask(head::now()), Reply::Behind { .. }));
        Ok(())
    }
}
