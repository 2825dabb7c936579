//! Doing a block: the templates of its candidates, on all processors.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use async_nats::jetstream::stream::Stream;
use clearlane::{DecodeLimits, TemplateMaker};
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::block::{Block, encode};
use super::make::make;
use super::plan::{Maker, Plan};
use crate::batch::job::Job;
use crate::batch::patience::Undone;
use crate::batch::{Kind, RunId};
use crate::gallery::JOB_SUBJECTS;
use crate::keys::Keys;
use crate::wire::Writer;

/// What a worker needs for blocks of this kind.
#[derive(Clone, Debug)]
pub(in crate::batch) struct ReembeddingWork {
    maker: Arc<TemplateMaker>,
    limits: DecodeLimits,
}

impl ReembeddingWork {
    pub(in crate::batch) fn new(maker: Arc<TemplateMaker>, limits: DecodeLimits) -> Self {
        Self { maker, limits }
    }

    /// The kind of the blocks that it can do.
    pub(in crate::batch) fn kind(&self) -> Kind {
        Kind::reembedding(&self.maker.digest())
    }

    /// Does a block: its result, or why it cannot be done.
    pub(in crate::batch) async fn run(&self, block: &[u8]) -> Result<Writer, Undone> {
        let (work, block) = (self.clone(), Zeroizing::new(block.to_vec()));
        // Where nobody waits any more, nobody goes on with the next candidate.
        let waiting = Arc::new(());
        let waited_for = Arc::downgrade(&waiting);
        let made = tokio::task::spawn_blocking(move || work.made(&block, &waited_for)).await;
        drop(waiting);
        made.unwrap_or_else(|error| Err(format!("a worker failed on it: {error}"))).map_err(Undone::Failed)
    }

    fn made(&self, block: &[u8], waited_for: &Weak<()>) -> Result<Writer, String> {
        let Block { maker, candidates } = Block::decode(block).map_err(|error| error.to_string())?;
        if maker != self.maker.digest() {
            return Err(
                "it is for workers with another model or policy, and stands where it does not belong".to_owned()
            );
        }
        let made = candidates.par_iter().map(|(candidate, files)| {
            let goes_on = waited_for.strong_count() > 0;
            goes_on.then(|| make(&self.maker, &self.limits, *candidate, files))
        });
        let made: Option<Vec<_>> = made.collect();
        let made = made.ok_or_else(|| "the worker was stopped".to_owned())?;
        encode(&made).map_err(|error| error.to_string())
    }

    /// Says of each re-embedding that goes on for other workers than this one, once, in what they differ: its blocks never come here.
    pub(in crate::batch) async fn tell_others(&self, keys: &Keys, results: &Stream<()>, told: &mut HashSet<RunId>) {
        let own = Maker::of(&self.maker);
        let mut from = 1;
        // Until there is no further one, or the brokers do not answer.
        while let Ok(message) = results.get_first_raw_message_by_subject(JOB_SUBJECTS, from).await {
            from = message.sequence + 1;
            let Some(name) = message.subject.strip_prefix("jobs.") else { continue };
            let Ok(job) = Job::open(keys, name, &message.payload) else { continue };
            if job.removed || !matches!(job.kind, Kind::Reembedding(_)) {
                continue;
            }
            let Ok(Plan { maker: other, .. }) = Plan::decode(&job.plan, job.blocks) else { continue };
            if other.digest != own.digest && told.insert(job.run) {
                let reason = difference(&own, &other);
                tracing::warn!(reason, "a re-embedding goes on without this worker, which makes something else");
            }
        }
    }
}

/// In what two makers differ.
fn difference(own: &Maker, other: &Maker) -> String {
    let earlier = |maker: &Maker| maker.earlier.map_or("none".to_owned(), |model| format!("{model:.12}"));
    if own.model != other.model {
        format!("it is of model {:.12}, and the model here is {:.12}", other.model, own.model)
    } else if own.earlier != other.earlier {
        format!("its earlier model is {}, and the earlier one here is {}", earlier(other), earlier(own))
    } else {
        "the policies' rules of enrolment, the models' calibrations, the detector, or how it looks for faces, differ"
            .to_owned()
    }
}
