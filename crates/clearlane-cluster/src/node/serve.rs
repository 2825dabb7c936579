//! Questions come, searches run on threads of their own, answers go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::{Client, Message};
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, watch};

use crate::ClusterError;
use crate::answer::answer;
use crate::gallery::{GalleryConfig, QUEUE, ask_subject};
use crate::keys::Keys;
use crate::question::{Question, QuestionId, Reply};
use crate::replica::Shared;

/// How often a node looks whether it is still told anything.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// No question waits longer, whatever it says.
const LONGEST_BUDGET: Duration = Duration::from_secs(30);

/// How many questions run and wait, and what became of all.
pub(super) struct Counters {
    searching: Semaphore,
    waiting: Arc<Semaphore>,
    room: usize,
    pub(super) answered: AtomicU64,
    pub(super) behind: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Microseconds of all searches that were answered.
    pub(super) searched: AtomicU64,
}

impl Counters {
    pub(super) fn new(searches: usize, waiting: usize) -> Self {
        let zero = || AtomicU64::new(0);
        let room = searches + waiting;
        Self {
            searching: Semaphore::new(searches),
            waiting: Arc::new(Semaphore::new(room)),
            room,
            answered: zero(),
            behind: zero(),
            busy: zero(),
            late: zero(),
            refused: zero(),
            searched: zero(),
        }
    }

    /// Questions that the node has now.
    pub(super) fn present(&self) -> usize {
        self.room - self.waiting.available_permits()
    }

    fn count(&self, reply: &Reply) {
        let counter = match reply {
            Reply::Found(_) => &self.answered,
            Reply::Behind { .. } => &self.behind,
            Reply::Busy => &self.busy,
            Reply::Late => &self.late,
            Reply::Refused { .. } => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where answers go.
pub(super) const INBOX: &str = "_INBOX.";

/// Answers for one partition.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) config: GalleryConfig,
    pub(super) keys: Arc<Keys>,
    pub(super) partition: u32,
    pub(super) shared: Arc<Shared>,
    /// Without a head for so long, it takes no questions.
    pub(super) patience: Duration,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Server {
    /// Answers while what is held is as a head said not long ago.
    pub(super) async fn run(mut self) -> Result<(), ClusterError> {
        while !*self.stop.borrow() {
            if self.is_current() {
                self.serve().await?;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = self.stop.changed() => {}
                }
            }
        }
        // Those that it has are answered.
        let all = u32::try_from(self.counters.room).unwrap_or(u32::MAX);
        _ = tokio::time::timeout(Duration::from_secs(2), self.counters.waiting.acquire_many(all)).await;
        Ok(())
    }

    fn is_current(&self) -> bool {
        let (at, _, heard) = self.shared.standing();
        at.head > 0 && heard.elapsed() < self.patience
    }

    /// Takes questions until heads fail to come, or the node stops.
    async fn serve(&mut self) -> Result<(), ClusterError> {
        let subscribe = self.client.queue_subscribe(ask_subject(self.partition), QUEUE.to_owned()).await;
        let mut questions = subscribe.map_err(ClusterError::broker("take the subscription to questions"))?;
        tracing::info!(partition = self.partition, "answering");
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                question = questions.next() => match question {
                    Some(question) => self.take(question).await,
                    None => break,
                },
                _ = look.tick() => if !self.is_current() { break },
                _ = self.stop.changed() => break,
            }
        }
        tracing::info!(partition = self.partition, "no longer answering");
        // Others of the group answer from here on; what has come already is answered still.
        _ = questions.unsubscribe().await;
        while let Ok(Some(question)) = tokio::time::timeout(LOOK_EVERY, questions.next()).await {
            self.take(question).await;
        }
        Ok(())
    }

    async fn take(&self, message: Message) {
        let came = Instant::now();
        let opened = Question::open(&self.keys, &self.config, self.partition, &message.payload);
        let (id, question) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.refuse(&message, &error).await;
                return;
            }
        };
        // The place is kept until the answer is sent.
        let Ok(place) = Arc::clone(&self.counters.waiting).try_acquire_owned() else {
            return self.reply(&message, &id, &Reply::Busy).await;
        };
        let server = self.clone();
        tokio::spawn(async move {
            let reply = server.search(question, came).await;
            server.reply(&message, &id, &reply).await;
            drop(place);
        });
    }

    async fn search(&self, question: Question, came: Instant) -> Reply {
        let deadline = came + Duration::from_micros(question.budget).min(LONGEST_BUDGET);
        let turn = tokio::time::timeout_at(deadline.into(), self.counters.searching.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Reply::Late };
        let shared = Arc::clone(&self.shared);
        let counters = Arc::clone(&self.counters);
        let search = move || {
            let reply = answer(&shared, &question, deadline);
            if let Reply::Found(found) = &reply {
                counters.searched.fetch_add(found.searched.as_micros() as u64, Ordering::Relaxed);
            }
            reply
        };
        let failed = |_| Reply::Refused { reason: "the search failed".to_owned() };
        tokio::task::spawn_blocking(search).await.unwrap_or_else(failed)
    }

    /// Says why a question was not opened, to somebody who has the key; to nobody else.
    async fn refuse(&self, message: &Message, error: &ClusterError) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(partition = self.partition, %error, "a question is refused");
        let sealed_by_us = !matches!(error, ClusterError::Forged { .. } | ClusterError::OtherKey { .. });
        if let Some(id) = message.payload.first_chunk::<16>().filter(|_| sealed_by_us) {
            self.reply(message, id, &Reply::Refused { reason: error.to_string() }).await;
        }
    }

    async fn reply(&self, message: &Message, id: &QuestionId, reply: &Reply) {
        // Nowhere but into an inbox: a question whose answer should go elsewhere would have the node publish there.
        let Some(to) = message.reply.clone().filter(|to| to.starts_with(INBOX)) else { return };
        let most = self.client.server_info().max_payload;
        let sealed = match reply.seal(&self.keys, self.partition, id) {
            Ok(sealed) if sealed.len() > most => {
                let reason = "the answer is larger than a broker takes: ask for fewer candidates".to_owned();
                return Box::pin(self.reply(message, id, &Reply::Refused { reason })).await;
            }
            Ok(sealed) => sealed,
            Err(error) => return tracing::error!(%error, "an answer could not be sealed"),
        };
        self.counters.count(reply);
        // Whoever asked asks again where this is lost.
        if let Err(error) = self.client.publish(to, sealed.into()).await {
            tracing::debug!(%error, "an answer was not sent");
        }
    }
}
