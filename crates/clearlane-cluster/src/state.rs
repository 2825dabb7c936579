//! The latest state of a subject, as it stands in the stream: its templates and what eligibility needs, or that it is gone.
//!
//! ```text
//! kind 1 (0: gone, 1: enrolled)
//! enrolled: details 4 + n (JSON) | count 2 | count × (template id 8 | dimension × 4)
//! ```
//!
//! Model, dimension and version are the gallery's; subject and partition are in the seal's associated data.

use std::sync::Arc;

use clearlane_store::{Details, Enrolment};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};

use crate::ClusterError;
use crate::gallery::GalleryConfig;
use crate::keys::{Keys, Purpose};
use crate::multiset::{Element, element};
use crate::partition::partition_of;
use crate::seal::Place;
use crate::wire::{Reader, Writer};

/// The most templates of one subject in a cluster: a message holds all of them, and a broker takes 1 MiB.
pub const MAX_TEMPLATES: usize = 32;

/// The most bytes of details.
pub(crate) const MAX_DETAILS: usize = 64 << 10;

/// Bytes of the largest sealed state that is taken.
pub(crate) const MAX_STATE: usize = 1 << 20;

/// What is enrolled of a subject.
#[derive(Clone, Debug)]
pub(crate) struct Enrolled {
    /// The details, in JSON: whoever searches reads them, nodes only pass them on.
    pub(crate) details: Arc<[u8]>,
    pub(crate) templates: Vec<(TemplateId, Template)>,
}

/// A subject's state, and the element that it adds to its partition's sum. `None`: gone.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) subject: SubjectId,
    pub(crate) content: Option<Enrolled>,
    pub(crate) element: Element,
}

/// A state in the form in which it is published.
pub(crate) struct SealedState {
    pub(crate) subject: SubjectId,
    pub(crate) partition: u32,
    pub(crate) enrolled: bool,
    pub(crate) element: Element,
    pub(crate) message: bytes::Bytes,
}

/// The encoding of an enrolled subject, or of one who is gone.
fn encode(details: Option<&Details>, templates: &[(TemplateId, Template)]) -> Result<Writer, ClusterError> {
    let Some(details) = details else {
        let mut gone = Writer::with_capacity(1);
        gone.u8(0);
        return Ok(gone);
    };
    let details =
        serde_json::to_vec(details).map_err(|_| ClusterError::Value { what: "a subject", field: "details" })?;
    if details.len() > MAX_DETAILS || templates.len() > MAX_TEMPLATES {
        return Err(ClusterError::TooLarge { bytes: details.len() });
    }
    let values: usize = templates.iter().map(|(_, template)| template.dimension()).sum();
    let mut writer = Writer::with_capacity(16 + details.len() + 8 * templates.len() + 4 * values);
    writer.u8(1).list(&details).u16(templates.len() as u16);
    for (id, template) in templates {
        writer.u64(id.0);
        template.as_slice().iter().for_each(|value| _ = writer.f32(*value));
    }
    Ok(writer)
}

/// That a subject who is enrolled so can be found in a gallery of this model.
pub(crate) fn publishable(enrolment: &Enrolment, model: ModelId) -> Result<(), ClusterError> {
    let templates = &enrolment.templates;
    if let Some(other) = templates.first().filter(|_| templates.iter().all(|one| one.template.model() != model)) {
        return Err(ClusterError::OtherModel { found: model, expected: other.template.model() });
    }
    if templates.is_empty() {
        return Err(ClusterError::Setting { setting: "templates", reason: "a subject without any is never found" });
    }
    let details = serde_json::to_vec(&enrolment.details);
    let details = details.map_err(|_| ClusterError::Value { what: "a subject", field: "details" })?;
    if details.len() > MAX_DETAILS || templates.len() > MAX_TEMPLATES {
        return Err(ClusterError::TooLarge { bytes: details.len() });
    }
    Ok(())
}

/// What a subject's state is sealed for.
fn place(partition: u32, subject: &[u8; 8]) -> Place<'_> {
    Place { partition, id: subject }
}

/// Encodes and seals a subject's state: enrolled with details and templates, or gone.
pub(crate) fn seal(
    keys: &Keys,
    config: &GalleryConfig,
    subject: SubjectId,
    details: Option<&Details>,
    templates: &[(TemplateId, Template)],
) -> Result<SealedState, ClusterError> {
    let state = encode(details, templates)?;
    let partition = partition_of(subject, config.partitions);
    let message = keys.seal(Purpose::State, place(partition, &subject.0.to_be_bytes()), state.as_slice())?;
    if message.len() > MAX_STATE {
        return Err(ClusterError::TooLarge { bytes: message.len() });
    }
    Ok(SealedState {
        subject,
        partition,
        enrolled: details.is_some(),
        element: element(keys.element(), subject.0, state.as_slice()),
        message: message.into(),
    })
}

/// The element of a subject's state, by which it is compared with what stands in the stream.
pub(crate) fn element_of(
    keys: &Keys,
    subject: SubjectId,
    details: Option<&Details>,
    templates: &[(TemplateId, Template)],
) -> Result<Element, ClusterError> {
    Ok(element(keys.element(), subject.0, encode(details, templates)?.as_slice()))
}

/// Opens and reads the state that stands in the stream for a subject.
pub(crate) fn open(
    keys: &Keys,
    config: &GalleryConfig,
    partition: u32,
    subject: u64,
    message: &[u8],
) -> Result<State, ClusterError> {
    let id = SubjectId(subject);
    if partition_of(id, config.partitions) != partition {
        return Err(ClusterError::Value { what: "a subject's state", field: "partition" });
    }
    if message.len() > MAX_STATE {
        return Err(ClusterError::TooLarge { bytes: message.len() });
    }
    let content = keys.open(Purpose::State, place(partition, &subject.to_be_bytes()), message)?;
    let state = decode(&content, config.model, config.dimension as usize)?;
    Ok(State { subject: id, content: state, element: element(keys.element(), subject, &content) })
}

fn decode(bytes: &[u8], model: ModelId, dimension: usize) -> Result<Option<Enrolled>, ClusterError> {
    let mut reader = Reader::new("a subject's state", bytes);
    let content = match reader.u8()? {
        0 => None,
        1 => {
            let details = Arc::from(reader.list(MAX_DETAILS)?);
            let count = usize::from(reader.u16()?);
            if count > MAX_TEMPLATES {
                return Err(reader.value("count of templates"));
            }
            let templates = (0..count).map(|_| {
                let id = TemplateId(reader.u64()?);
                Ok((id, template(&mut reader, model, dimension)?))
            });
            Some(Enrolled { details, templates: templates.collect::<Result<_, ClusterError>>()? })
        }
        _ => return Err(reader.value("kind")),
    };
    reader.end()?;
    Ok(content)
}

/// Reads a template of a known model.
pub(crate) fn template(reader: &mut Reader<'_>, model: ModelId, dimension: usize) -> Result<Template, ClusterError> {
    let values =
        reader.bytes(4 * dimension)?.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Template::from_unit(model, values).map_err(|_| reader.value("template"))
}
