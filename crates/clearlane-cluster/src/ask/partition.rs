//! Asking one partition: again where no answer comes, as long as the budget lasts.

use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use async_nats::{Client, Request};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::allowance::Allowance;
use super::outcome::Why;
use crate::gallery::ask_subject;
use crate::head::{self, TOLERANCE_US};
use crate::keys::Keys;
use crate::question::{Found, Question, QuestionId, Reply};

/// The most questions for one answer.
const TRIES: u32 = 8;
/// The pause after the first answer that is none; twice as long after each further one.
const PAUSE: Duration = Duration::from_millis(5);

/// A question to one partition.
pub(super) struct Asking<'a> {
    pub(super) client: &'a Client,
    pub(super) keys: &'a Keys,
    pub(super) partition: u32,
    pub(super) question: Question,
    pub(super) deadline: Instant,
    pub(super) hedge: Duration,
    pub(super) allowance: &'a Allowance,
}

impl Asking<'_> {
    /// What the partition finds, of the first node that answers freshly.
    pub(super) async fn run(self) -> Result<Found, Why> {
        // The first question waits for no timer, which would round up to the next millisecond.
        self.allowance.first();
        let mut asked = FuturesUnordered::from_iter([self.once()]);
        let (mut tries, mut why) = (1, Why::NoAnswer);
        // Whether somebody has answered, with no list: asking again costs no search.
        let mut answered = false;
        let mut next = Instant::now() + self.hedge;
        loop {
            tokio::select! {
                biased;
                Some(answer) = asked.next(), if !asked.is_empty() => match answer {
                    Ok(found) => return Ok(found),
                    Err(reason) => {
                        (why, answered) = (reason, true);
                        next = next.min(Instant::now() + PAUSE * 2_u32.pow(tries));
                    }
                },
                () = tokio::time::sleep_until(next.into()), if tries < TRIES => {
                    if std::mem::take(&mut answered) || self.allowance.second() {
                        asked.push(self.once());
                    }
                    tries += 1;
                    next = Instant::now() + self.hedge * 2_u32.pow(tries - 1);
                },
                () = tokio::time::sleep_until(self.deadline.into()) => return Err(why),
            }
        }
    }

    /// One question, under an id of its own.
    async fn once(&self) -> Result<Found, Why> {
        let mut id = QuestionId::default();
        let refused = |reason: &str| Why::Refused { reason: reason.to_owned() };
        getrandom::fill(&mut id).map_err(|_| refused("the system gave no random numbers"))?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let question = Question { asked: head::now(), budget: left.as_micros() as u64, ..self.question.clone() };
        let sealed = question.seal(self.keys, self.partition, &id).map_err(|error| refused(&error.to_string()))?;
        let request = Request::new().payload(sealed.into()).timeout(Some(left));
        let reply = self.client.send_request(ask_subject(self.partition), request).await;
        let reply = reply.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Why::NoNode,
            _ => Why::NoAnswer,
        })?;
        let reply = Reply::open(self.keys, self.partition, &id, &reply.payload).map_err(|_| Why::Forged)?;
        let found = reply.found()?;
        let age = head::now().saturating_sub(found.at.time);
        let fresh = (-TOLERANCE_US..=question.max_age).contains(&age) && found.at.head >= question.after;
        if fresh { Ok(found) } else { Err(Why::behind(found.at)) }
    }
}
