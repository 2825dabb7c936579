//! Enrolment by the rules of the port's policy.

use std::ffi::c_char;
use std::mem::offset_of;

use clearlane::store::{Details, DocumentKind, ImageDigest};
use clearlane::{Application, EnrolmentOutcome, Picture, Port, Register};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::frame::{clearlane_frame, frames};
use crate::guard::guarded;
use crate::handle::get;
use crate::json;
use crate::pointer::{list, text};
use crate::port::clearlane_port;
use crate::sized::{Input, Output, input, output};
use crate::status::{Failure, clearlane_status};
use crate::text::give;

/// Somebody to be enrolled.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_application {
    /// sizeof(clearlane_application).
    pub size: usize,
    /// The name under which the world outside knows this person.
    pub key: *const c_char,
    /// What the rules need to know, as JSON with the fields of a line of `clearlane register import`: category, birth,
    /// nationality, documents, consent, place, method, expires. A document has its `number`, which is kept as a keyed digest only,
    /// or the `number_digest` of an export.
    pub details: *const c_char,
    /// One or several pictures of this person.
    pub pictures: *const clearlane_frame,
    /// How many.
    pub picture_count: usize,
    /// The SHA-256 digests of the files that the pictures came from, 32 bytes each, in the same order, so that they can be told
    /// again when another model makes templates of them. NULL: unknown.
    pub digests: *const u8,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_application {
    const NAME: &'static str = "clearlane_application";
    const LEAST: usize = offset_of!(Self, digests);
}

/// What an application came to.
pub type clearlane_enrolment_outcome = i32;

/// The subject is in the register, and lanes of this port find it.
pub const CLEARLANE_ENROLLED: clearlane_enrolment_outcome = 1;
/// A subject with templates is enrolled under this key already; nothing was changed.
pub const CLEARLANE_ALREADY_ENROLLED: clearlane_enrolment_outcome = 2;
/// An officer has to look at the application; nothing was changed.
pub const CLEARLANE_REFERRED: clearlane_enrolment_outcome = 3;

/// What an application came to. Free its `json` with clearlane_free().
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_enrolment {
    /// sizeof(clearlane_enrolment), set by the caller.
    pub size: usize,
    /// What it came to; 0 where the call failed.
    pub outcome: clearlane_enrolment_outcome,
    /// How many templates were made.
    pub template_count: u32,
    /// The register's number for the subject; 0 where the application was referred.
    pub subject: u64,
    /// The same with the templates' numbers, or with every reason and its phrases in English and Chinese.
    pub json: *mut c_char,
}

// SAFETY: `repr(C)` and its size first.
unsafe impl Output for clearlane_enrolment {
    const NAME: &'static str = "clearlane_enrolment";
    const LEAST: usize = size_of::<Self>();
}

/// Enrols one applicant: consent, quality, one person, and no face that is enrolled already. What is enrolled is on disk when
/// this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_enrol(
    port: *const clearlane_port,
    application: *const clearlane_application,
    enrolment: *mut clearlane_enrolment,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let enrolment = output(enrolment, "enrolment")?;
            let port = get::<Port>(port)?;
            let given = input(application, "application")?;
            let frames = frames(given.pictures, given.picture_count, "pictures")?;
            let sources: Vec<Option<ImageDigest>> = if given.digests.is_null() {
                vec![None; frames.len()]
            } else {
                let digests = list(given.digests.cast::<[u8; 32]>(), frames.len(), "digests")?;
                digests.iter().map(|digest| Some(ImageDigest(*digest))).collect()
            };
            let pictures = frames.into_iter().zip(sources).map(|(frame, source)| Picture { frame, source });
            let application = Application {
                key: text(given.key, "key")?.to_owned(),
                details: details(text(given.details, "details")?, port.register())?,
                pictures: pictures.collect(),
            };
            let outcome = port.enroller()?.enrol(&application, port.now())?;
            enrolment.fill(&told(&outcome)?);
            Ok(())
        })
    }
}

/// Details from JSON, in which documents may have numbers.
fn details(text: &str, register: &Register) -> Result<Details, Failure> {
    let refused = |error: serde_json::Error| Failure::argument(format!("`details`: {error}"));
    let mut value: Value = serde_json::from_str(text).map_err(refused)?;
    // serde would take a list of the fields' values as well.
    if !value.is_object() {
        return Err(Failure::argument("`details`: expected a JSON object"));
    }
    let documents = value.get_mut("documents").and_then(Value::as_array_mut);
    for document in documents.into_iter().flatten().filter_map(Value::as_object_mut) {
        let Some(Value::String(number)) = document.remove("number") else { continue };
        let number = Zeroizing::new(number);
        if document.contains_key("number_digest") {
            return Err(Failure::argument("`details`: expected a document with `number` or `number_digest`, got both"));
        }
        let kind = document.get("kind").cloned().unwrap_or_default();
        let kind: DocumentKind = serde_json::from_value(kind).map_err(refused)?;
        document.insert("number_digest".to_owned(), json!(register.number_digest(kind, &number)?.to_string()));
    }
    serde_json::from_value(value).map_err(refused)
}

fn told(outcome: &EnrolmentOutcome) -> Result<clearlane_enrolment, Failure> {
    let (number, subject, templates, json) = match outcome {
        EnrolmentOutcome::Enrolled { subject, templates } => {
            let numbers: Vec<_> = templates.iter().map(|template| template.0).collect();
            let json = json!({ "outcome": "enrolled", "subject": subject.0, "templates": numbers });
            (CLEARLANE_ENROLLED, subject.0, templates.len(), json)
        }
        EnrolmentOutcome::AlreadyEnrolled { subject } => {
            let json = json!({ "outcome": "already-enrolled", "subject": subject.0 });
            (CLEARLANE_ALREADY_ENROLLED, subject.0, 0, json)
        }
        EnrolmentOutcome::Refer { reasons } => {
            (CLEARLANE_REFERRED, 0, 0, json!({ "outcome": "refer", "reasons": json::reasons(reasons)? }))
        }
    };
    Ok(clearlane_enrolment {
        size: size_of::<clearlane_enrolment>(),
        outcome: number,
        template_count: templates as u32,
        subject,
        json: give(&json.to_string()),
    })
}
