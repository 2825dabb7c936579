//! What comes of asking a cluster.

use std::fmt;
use std::time::Duration;

use clearlane_match::Candidate;
use clearlane_store::Details;
use clearlane_template::{SubjectId, TemplateId};
use jiff::Timestamp;

use super::AskOptions;
use crate::Position;
use crate::head::{self, TOLERANCE_US};
use crate::question::{At, Found, Reply};

/// A subject that a cluster found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClusterCandidate {
    /// The subject.
    pub subject: SubjectId,
    /// Its best template for the probe.
    pub template: TemplateId,
    /// The comparison score of that template.
    pub score: f32,
    /// What eligibility needs to know of the subject, as of the answer's position.
    pub details: Details,
}

/// The answer of a cluster: of all partitions, or of none.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an incomplete answer refers the traveller to an officer"]
pub enum Answer {
    /// The candidate list that one gallery would give.
    Complete(Complete),
    /// A part of the gallery did not answer in time, or not freshly enough. **The traveller is referred to an officer**:
    /// whoever is searched for may be in the missing part, and so may a better candidate.
    Incomplete(Incomplete),
}

/// A whole candidate list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Complete {
    /// The best subjects, best score first, ties by template id; at most k, none below the threshold.
    pub candidates: Vec<ClusterCandidate>,
    /// What the list is of: each partition's position, in order.
    pub positions: Vec<Position>,
    /// When the registrar vouched for the oldest of them: what it acknowledged before is in the list.
    pub as_of: Timestamp,
    /// How old that is.
    pub age: Duration,
    /// How many templates were searched.
    pub templates: u64,
    /// How long the longest of the partitions' searches took, where it ran: the rest is waiting and the way.
    pub searched: Duration,
}

/// Why there is no list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Incomplete {
    /// The partitions that are missing, and why each is.
    pub missing: Vec<Missing>,
}

/// A partition that is missing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Missing {
    /// Which.
    pub partition: u32,
    /// Why.
    pub why: Why,
}

/// Why a partition is missing from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// No node answers for it.
    NoNode,
    /// No answer came in time.
    NoAnswer,
    /// The newest answer is older than the bound, or does not have the change that was asked for.
    Behind {
        /// When the registrar vouched for it last; `None` where no head has yet.
        head: Option<Timestamp>,
    },
    /// The registrar's time lies in the future: one of the two clocks is wrong.
    Ahead {
        /// The registrar's time.
        head: Timestamp,
    },
    /// The nodes have more questions than they may take.
    Busy,
    /// The search did not end in time.
    Late,
    /// A node cannot answer the question.
    Refused {
        /// What it says.
        reason: String,
    },
    /// An answer came that is not of this question, or not of a node.
    Forged,
}

impl Reply {
    /// What was found, or why nothing was.
    pub(crate) fn found(self) -> Result<Found, Why> {
        match self {
            Self::Found(found) => Ok(found),
            Self::Behind { at } => Err(Why::behind(at)),
            Self::Busy => Err(Why::Busy),
            Self::Late => Err(Why::Late),
            Self::Refused { reason } => Err(Why::Refused { reason }),
        }
    }
}

impl Answer {
    /// The whole list; `None` refers the traveller to an officer.
    #[must_use]
    pub fn complete(self) -> Option<Complete> {
        match self {
            Self::Complete(complete) => Some(complete),
            Self::Incomplete(_) => None,
        }
    }

    /// Whether the traveller has to be referred since there is no whole list.
    #[must_use]
    pub fn refers(&self) -> bool {
        matches!(self, Self::Incomplete(_))
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refer to an officer:")?;
        for (number, Missing { partition, why }) in self.missing.iter().enumerate() {
            let separator = if number > 0 { ";" } else { "" };
            write!(f, "{separator} partition {partition}: {why}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => f.write_str("no node answers for it"),
            Self::NoAnswer => f.write_str("no answer came in time"),
            Self::Behind { head: Some(head) } => write!(f, "the newest answer is as of {head}, older than the bound"),
            Self::Behind { head: None } => f.write_str("its nodes are still reading the gallery"),
            Self::Ahead { head } => write!(f, "the registrar's time {head} lies in the future: compare the clocks"),
            Self::Busy => f.write_str("its nodes have more questions than they may take"),
            Self::Late => f.write_str("its search did not end in time"),
            Self::Refused { reason } => write!(f, "a node refuses: {reason}"),
            Self::Forged => f.write_str("an answer was altered, or is of another question"),
        }
    }
}

/// One list of all partitions' answers, or none.
pub(crate) fn conclude(replies: Vec<(u32, Result<Found, Why>)>, options: &AskOptions) -> Answer {
    // The age counts when the list is made, not when a partition answered.
    let now = head::now();
    let (mut missing, mut positions, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let (mut oldest, mut longest, mut entries) = (now, Duration::ZERO, 0_u64);
    for (partition, reply) in replies {
        let reply = reply.and_then(|Found { at, searched, templates, candidates }| {
            let time = Timestamp::from_microsecond(at.time).map_err(|_| Why::Forged)?;
            check(&at, time, now, partition, options)?;
            let candidates = candidates.into_iter().map(|(candidate, details)| candidate_of(candidate, &details));
            let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
            (oldest, longest) = (oldest.min(at.time), longest.max(searched));
            entries = entries.saturating_add(templates);
            Ok((Position { partition, sequence: at.sequence, head: at.head, time }, candidates))
        });
        match reply {
            Ok((position, candidates)) => {
                positions.push(position);
                found.extend(candidates);
            }
            Err(why) => missing.push(Missing { partition, why }),
        }
    }
    if !missing.is_empty() {
        return Answer::Incomplete(Incomplete { missing });
    }
    found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.template.cmp(&b.template)));
    found.truncate(options.k);
    let age = Duration::from_micros(u64::try_from(now - oldest).unwrap_or(0));
    let as_of = positions.iter().map(|position| position.time).min().unwrap_or(Timestamp::MIN);
    Answer::Complete(Complete { candidates: found, positions, as_of, age, searched: longest, templates: entries })
}

/// That a head is neither too old, nor in the future, nor before the change that was asked for.
fn check(at: &At, time: Timestamp, now: i64, partition: u32, options: &AskOptions) -> Result<(), Why> {
    let age = now.saturating_sub(at.time);
    if age < -TOLERANCE_US {
        return Err(Why::Ahead { head: time });
    }
    if age > options.max_age_us() || at.head < options.after(partition) {
        return Err(Why::Behind { head: Some(time) });
    }
    Ok(())
}

fn candidate_of(candidate: Candidate, details: &[u8]) -> Result<ClusterCandidate, Why> {
    let Candidate { subject, template, score } = candidate;
    let details = serde_json::from_slice(details).map_err(|error| Why::Refused {
        reason: format!("the details of subject {subject} cannot be read: {error}"),
    })?;
    Ok(ClusterCandidate { subject, template, score, details })
}

impl Why {
    /// Why an answer of this kind is none.
    pub(crate) fn behind(at: At) -> Self {
        Self::Behind { head: (at.head > 0).then(|| Timestamp::from_microsecond(at.time).ok()).flatten() }
    }
}
