//! What a node is asked, and what it answers, as they are sealed.

use std::sync::Arc;
use std::time::Duration;

use clearlane_match::{Candidate, Mode};
use clearlane_template::{SubjectId, Template, TemplateId};

use crate::ClusterError;
use crate::gallery::GalleryConfig;
use crate::keys::{Keys, Purpose};
use crate::seal::Place;
use crate::state::{self, MAX_DETAILS};
use crate::wire::{Reader, Writer};

/// The most candidates that are asked for.
pub const MAX_CANDIDATES: usize = 128;

/// The largest question that is opened.
pub(crate) const MAX_QUESTION: usize = 64 << 10;

/// A question's id: random, so that an answer belongs to one question.
pub(crate) type QuestionId = [u8; 16];

/// What a partition is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) probe: Template,
    pub(crate) k: usize,
    pub(crate) threshold: f32,
    pub(crate) mode: Mode,
    /// When it was asked, by the asker's clock, microseconds since 1970.
    pub(crate) asked: i64,
    /// How old a head may be then, in microseconds.
    pub(crate) max_age: i64,
    /// What the head's number has to reach.
    pub(crate) after: u64,
    /// How long the asker waits, in microseconds.
    pub(crate) budget: u64,
}

/// What stands at the head that an answer is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) sequence: u64,
    pub(crate) head: u64,
    pub(crate) time: i64,
}

/// What a search of a partition found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What it is of.
    pub(crate) at: At,
    /// How long the search itself took.
    pub(crate) searched: Duration,
    /// How many templates were searched.
    pub(crate) templates: u64,
    /// The best subjects, with their details in JSON.
    pub(crate) candidates: Vec<(Candidate, Arc<[u8]>)>,
}

/// A node's answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// The best subjects.
    Found(Found),
    /// The node's head is too old, or it has none.
    Behind { at: At },
    /// Too many questions wait already.
    Busy,
    /// The search did not end within the budget.
    Late,
    /// The question cannot be answered at all.
    Refused { reason: String },
}

fn place(partition: u32, id: &QuestionId) -> Place<'_> {
    Place { partition, id }
}

impl Question {
    /// The message: the id, then what is sealed for it.
    pub(crate) fn seal(&self, keys: &Keys, partition: u32, id: &QuestionId) -> Result<Vec<u8>, ClusterError> {
        let mut writer = Writer::with_capacity(80 + 4 * self.probe.dimension());
        writer.i64(self.asked).i64(self.max_age).u64(self.after).u64(self.budget);
        writer.u16(self.k as u16).f32(self.threshold);
        match self.mode {
            Mode::Exhaustive => writer.u8(0).f64(0.0),
            Mode::Sketch { miss } => writer.u8(2).f64(miss),
            _ => writer.u8(1).f64(0.0),
        };
        writer.bytes(self.probe.model().as_bytes()).u16(self.probe.dimension() as u16);
        self.probe.as_slice().iter().for_each(|value| _ = writer.f32(*value));
        let mut message = id.to_vec();
        message.extend(keys.seal(Purpose::Question, place(partition, id), writer.as_slice())?);
        Ok(message)
    }

    pub(crate) fn open(
        keys: &Keys,
        config: &GalleryConfig,
        partition: u32,
        message: &[u8],
    ) -> Result<(QuestionId, Self), ClusterError> {
        if message.len() > MAX_QUESTION {
            return Err(ClusterError::TooLarge { bytes: message.len() });
        }
        let short = ClusterError::Short { what: "a question", bytes: message.len() };
        let (id, sealed) = message.split_first_chunk::<16>().ok_or(short)?;
        let content = keys.open(Purpose::Question, place(partition, id), sealed)?;
        let mut reader = Reader::new("a question", &content);
        let (asked, max_age, after, budget) = (reader.i64()?, reader.i64()?, reader.u64()?, reader.u64()?);
        let (k, threshold) = (usize::from(reader.u16()?), reader.f32()?);
        let mode = match (reader.u8()?, reader.f64()?) {
            (0, _) => Mode::Exhaustive,
            (1, _) => Mode::Certified,
            (2, miss) => Mode::Sketch { miss },
            _ => return Err(reader.value("mode")),
        };
        if k == 0 || k > MAX_CANDIDATES {
            return Err(reader.value("k"));
        }
        let model = clearlane_template::ModelId::from_bytes(reader.array()?);
        let dimension = usize::from(reader.u16()?);
        if model != config.model {
            return Err(ClusterError::OtherModel { found: config.model, expected: model });
        }
        if dimension != config.dimension as usize {
            return Err(ClusterError::OtherDimension { expected: config.dimension as usize, found: dimension });
        }
        let probe = state::template(&mut reader, model, dimension)?;
        reader.end()?;
        Ok((*id, Self { probe, k, threshold, mode, asked, max_age, after, budget }))
    }
}

impl Reply {
    pub(crate) fn seal(&self, keys: &Keys, partition: u32, id: &QuestionId) -> Result<Vec<u8>, ClusterError> {
        let mut writer = Writer::default();
        let at = |writer: &mut Writer, at: &At| _ = writer.u64(at.sequence).u64(at.head).i64(at.time);
        match self {
            Self::Found(found) => {
                at(writer.u8(0), &found.at);
                writer.u32(u32::try_from(found.searched.as_micros()).unwrap_or(u32::MAX));
                writer.u64(found.templates).u16(found.candidates.len() as u16);
                for (candidate, details) in &found.candidates {
                    writer.u64(candidate.subject.0).u64(candidate.template.0).f32(candidate.score).list(details);
                }
            }
            Self::Behind { at: position } => at(writer.u8(1), position),
            Self::Busy => _ = writer.u8(2),
            Self::Late => _ = writer.u8(3),
            Self::Refused { reason } => _ = writer.u8(4).list(reason.as_bytes()),
        }
        keys.seal(Purpose::Answer, place(partition, id), writer.as_slice())
    }

    /// Opens the answer to the question with this id.
    pub(crate) fn open(keys: &Keys, partition: u32, id: &QuestionId, message: &[u8]) -> Result<Self, ClusterError> {
        let content = keys.open(Purpose::Answer, place(partition, id), message)?;
        let mut reader = Reader::new("an answer", &content);
        let at = |reader: &mut Reader<'_>| -> Result<At, ClusterError> {
            let at = At { sequence: reader.u64()?, head: reader.u64()?, time: reader.i64()? };
            jiff::Timestamp::from_microsecond(at.time).map_err(|_| reader.value("time"))?;
            Ok(at)
        };
        let reply = match reader.u8()? {
            0 => {
                let at = at(&mut reader)?;
                let searched = Duration::from_micros(u64::from(reader.u32()?));
                let (templates, count) = (reader.u64()?, usize::from(reader.u16()?));
                if count > MAX_CANDIDATES {
                    return Err(reader.value("count of candidates"));
                }
                let candidates = (0..count).map(|_| {
                    let (subject, template) = (SubjectId(reader.u64()?), TemplateId(reader.u64()?));
                    let score = reader.f32()?;
                    if !(-1.0..=1.0).contains(&score) {
                        return Err(reader.value("score"));
                    }
                    Ok((Candidate { subject, template, score }, Arc::from(reader.list(MAX_DETAILS)?)))
                });
                let candidates = candidates.collect::<Result<_, ClusterError>>()?;
                Self::Found(Found { at, searched, templates, candidates })
            }
            1 => Self::Behind { at: at(&mut reader)? },
            2 => Self::Busy,
            3 => Self::Late,
            4 => Self::Refused { reason: String::from_utf8_lossy(reader.list(1024)?).into_owned() },
            _ => return Err(reader.value("kind")),
        };
        reader.end()?;
        Ok(reply)
    }
}
