//! Synthetic subjects in a register.

use clearlane_store::{
    Category, Consent, ConsentScope, Details, Document, DocumentKind, Enrolment, NumberDigest, Register,
};
use clearlane_template::{SubjectId, TemplateError};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use rayon::prelude::*;

use crate::SimulationError;

/// Subjects that are enrolled in one transaction.
const BATCH: u64 = 20_000;

/// Enrols `count` subjects; `subject` makes each by its number from 0, on any thread of the current rayon pool. `progress` is
/// told how many are on disk. Returns their ids, in the order of their numbers.
pub fn enrol(
    register: &Register,
    count: u64,
    subject: impl Fn(u64) -> Result<Enrolment, TemplateError> + Sync,
    mut progress: impl FnMut(u64),
) -> Result<Vec<SubjectId>, SimulationError> {
    let mut subjects = Vec::new();
    for first in (0..count).step_by(BATCH as usize) {
        let numbers = first..count.min(first + BATCH);
        let batch: Vec<Enrolment> = numbers.into_par_iter().map(&subject).collect::<Result<_, _>>()?;
        for enrolled in register.enrol_all(&batch)? {
            subjects.push(enrolled?.0);
        }
        progress(subjects.len() as u64);
    }
    Ok(subjects)
}

/// What is known of a Hong Kong resident who may pass from `opening` on, for a hundred years.
#[must_use]
pub fn eligible(opening: Timestamp) -> Details {
    let day = opening.to_zoned(TimeZone::UTC).date();
    Details {
        category: Some(Category::HongKongResident),
        birth: Some(day.saturating_sub(Span::new().years(40))),
        documents: vec![Document {
            kind: DocumentKind::MainlandTravelPermitHkMacao,
            number_digest: NumberDigest([0; 32]),
            valid_from: None,
            expires: day.saturating_add(Span::new().years(100)),
            endorsements: Vec::new(),
        }],
        consent: Some(Consent {
            given: opening.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(opening),
            scope: ConsentScope { face: true, fingerprint: true },
            withdrawn: None,
        }),
        ..Details::default()
    }
}
