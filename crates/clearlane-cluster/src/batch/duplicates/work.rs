//! Doing a block: the whole cluster is asked for each template of its subjects.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use clearlane_template::{SubjectId, Template, TemplateId};
use futures_util::future::try_join_all;
use parking_lot::Mutex;

use super::SubjectPair;
use super::block::{Block, Found, MAX_PAIRS};
use super::merge::{Oldest, Pairs};
use crate::batch::patience::{Trouble, Undone, patiently};
use crate::gallery::{GALLERY_STREAM, Identity, state_subject};
use crate::partition::partition_of;
use crate::wire::Writer;
use crate::{Answer, AskOptions, ClusterError, ClusterKey, ClusterSearch, Complete, Why, notice, state, stream};

/// How long a node has before another one is asked: batches can wait, and nodes have lanes to answer.
const HEDGE: Duration = Duration::from_secs(2);

/// What a worker needs for blocks of this kind.
pub(in crate::batch) struct DuplicateWork {
    context: Context,
    key: ClusterKey,
    searches: usize,
    budget: Duration,
    search: Mutex<Option<Arc<ClusterSearch>>>,
}

impl DuplicateWork {
    pub(in crate::batch) fn new(context: Context, key: ClusterKey, searches: usize, budget: Duration) -> Self {
        Self { context, key, searches, budget, search: Mutex::new(None) }
    }

    /// Does a block: its result, or why there is none.
    pub(in crate::batch) async fn run(&self, block: &[u8]) -> Result<Writer, Undone> {
        let block = Block::decode(block).map_err(|error| Undone::Failed(error.to_string()))?;
        let search = patiently(|| self.of_gallery(&block.gallery)).await?;
        let gallery = self.context.get_stream_no_info(GALLERY_STREAM).await;
        let gallery = gallery.map_err(|error| Undone::HandedBack(error.to_string()))?;
        // One of the candidates is the subject itself.
        let ask = AskOptions {
            threshold: block.threshold,
            budget: self.budget,
            hedge: HEDGE,
            ..AskOptions::new(block.others + 1)
        };
        let doing = Doing { client: self.context.client(), gallery: &gallery, search: &search, ask: &ask };
        let (mut found, mut pairs, mut oldest) = (Found::default(), Pairs::default(), Oldest::default());
        for some in block.subjects.chunks(self.searches) {
            for (subject, answers) in try_join_all(some.iter().map(|&id| doing.subject(SubjectId(id)))).await? {
                found.subjects += u32::from(!answers.is_empty());
                found.templates += answers.len() as u32;
                if answers.iter().any(|(_, answer)| answer.candidates.len() > block.others) {
                    found.more.push(subject);
                }
                for (template, answer) in answers {
                    answer.positions.into_iter().for_each(|position| oldest.add(position));
                    let others = answer.candidates.into_iter().filter(|candidate| candidate.subject != subject);
                    for other in others.take(block.others) {
                        let (one, two) = ((subject, template), (other.subject, other.template));
                        let ((subject, template), (other_subject, other_template)) =
                            if one.0 < two.0 { (one, two) } else { (two, one) };
                        let score = other.score;
                        pairs.add(SubjectPair { subject, template, other: other_subject, other_template, score });
                    }
                }
            }
        }
        found.positions = oldest.positions();
        found.pairs = pairs.sorted();
        if found.pairs.len() > MAX_PAIRS {
            for cut in found.pairs.drain(MAX_PAIRS..) {
                let is_own = |subject: &SubjectId| block.subjects.binary_search(&subject.0).is_ok();
                let own = [cut.subject, cut.other].into_iter().filter(is_own);
                found.more.extend(own);
            }
            found.more.sort_unstable();
            found.more.dedup();
        }
        Ok(found.encode())
    }

    /// What asks the gallery that the block is about.
    async fn of_gallery(&self, gallery: &Identity) -> Result<Arc<ClusterSearch>, Trouble> {
        let is_it = |search: &Arc<ClusterSearch>| search.gallery().0.identity() == *gallery;
        if let Some(search) = self.search.lock().clone().filter(is_it) {
            return Ok(search);
        }
        match ClusterSearch::on(&self.context, &self.key).await.map(Arc::new) {
            Ok(search) if is_it(&search) => {
                *self.search.lock() = Some(Arc::clone(&search));
                Ok(search)
            }
            Ok(_) => Err(Trouble::Lasting("the gallery's stream was made anew since the job began".to_owned())),
            // Brokers that start may not know their streams yet.
            Err(error @ (ClusterError::Broker { .. } | ClusterError::NoGallery)) => {
                Err(Trouble::Passing(error.to_string()))
            }
            Err(error) => Err(Trouble::Doubtful(error.to_string())),
        }
    }
}

/// What doing a block needs.
struct Doing<'a> {
    client: Client,
    gallery: &'a Stream<()>,
    search: &'a ClusterSearch,
    ask: &'a AskOptions,
}

impl Doing<'_> {
    /// The answers for each template of a subject; none where it is gone.
    async fn subject(&self, subject: SubjectId) -> Result<(SubjectId, Vec<(TemplateId, Complete)>), Undone> {
        let templates = patiently(|| self.templates(subject)).await?;
        let mut answers = Vec::with_capacity(templates.len());
        for (id, template) in templates {
            answers.push((id, patiently(|| self.ask(&template)).await?));
        }
        Ok((subject, answers))
    }

    /// The subject's templates, as the brokers show its state. An older state of its own is not told from the newest: whoever the newest
    /// templates resemble is then found from the other side alone, since nodes hold what the heads say.
    async fn templates(&self, subject: SubjectId) -> Result<Vec<(TemplateId, Template)>, Trouble> {
        let (config, keys) = self.search.gallery();
        let partition = partition_of(subject, config.partitions);
        let found = stream::latest(self.gallery, &state_subject(partition, subject.0)).await;
        let found = found.map_err(|error| Trouble::Passing(error.to_string()))?;
        let reason = match found.map(|message| state::open(keys, config, partition, subject.0, &message.payload)) {
            Some(Ok(state)) => return Ok(state.content.map_or_else(Vec::new, |enrolled| enrolled.templates)),
            Some(Err(error)) => format!("subject {subject}: {error}"),
            // Whoever is gone has a state that says so.
            None => format!("subject {subject}: the brokers lost its state"),
        };
        // The registrar puts its own there again, and nobody else can.
        if let Err(error) = notice::send(&self.client, keys, partition).await {
            tracing::warn!(partition, %error, "the registrar could not be told");
        }
        Err(Trouble::Doubtful(reason))
    }

    /// A whole answer.
    async fn ask(&self, probe: &Template) -> Result<Complete, Trouble> {
        match self.search.search(probe, self.ask).await {
            Ok(Answer::Complete(complete)) => Ok(complete),
            Ok(Answer::Incomplete(why)) => {
                let refused = why.missing.iter().any(|missing| matches!(missing.why, Why::Refused { .. }));
                let reason = why.to_string();
                Err(if refused { Trouble::Doubtful(reason) } else { Trouble::Passing(reason) })
            }
            Err(error) => Err(Trouble::Lasting(error.to_string())),
        }
    }
}
