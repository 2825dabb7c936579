//! A register with the fictional people, each fit to pass, among as many synthetic subjects as are asked for.

use std::path::Path;
use std::sync::Arc;

use clearlane::{Application, Calibration, Enroller, EnrolmentOutcome, Picture, Policy, References};
use clearlane_embed::{DecodeLimits, Extractor, Frame, ModelId};
use clearlane_simulate::vectors;
use clearlane_store::{
    Category, Consent, ConsentScope, Details, Document, DocumentKind, Endorsement, EndorsementKind, Enrolment, Entries,
    Nationality, Register,
};
use jiff::Timestamp;
use jiff::civil::date;

use super::faces::Capture;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::reasons;

/// Enrols the people of `captures` in `register`, by the rules of `policy`, and fills it up to `size` templates.
pub(super) fn build(
    register: &Arc<Register>,
    captures: &[Capture],
    size: u64,
    extractor: &Extractor,
    policy: &Arc<Policy>,
    calibration: &Calibration,
    output: &Output,
) -> Result<Arc<References>> {
    let model = extractor.embedder().model_id();
    let empty = Arc::new(References::load(Arc::clone(register), model, |_, _| {})?);
    let enroller = Enroller::new(Arc::clone(policy), empty, extractor.clone(), calibration)
        .map_err(|error| Failure::of(Exit::Model, &error))?;

    let enrolments: Vec<_> = captures.iter().filter(|capture| capture.kind == "enrol" && capture.enrolled).collect();
    let progress = output.progress(enrolments.len() as u64, "enrolling");
    for capture in &enrolments {
        enrol(&enroller, register, capture)?;
        progress.step();
    }
    progress.done();

    fill(register, model, extractor.embedder().dimension(), size.saturating_sub(enrolments.len() as u64), output)?;
    let progress = output.progress(0, "loading");
    let references = References::load(Arc::clone(register), model, |done, total| progress.at(done, total))?;
    progress.done();
    // No lane opens before its register has been checked.
    let progress = output.progress(0, "checking");
    references.check(|done, total| progress.at(done, total))?;
    progress.done();
    Ok(Arc::new(references))
}

fn enrol(enroller: &Enroller, register: &Register, capture: &Capture) -> Result<()> {
    let path = Path::new(&capture.path);
    let frame = Frame::decode(&capture.jpeg, &DecodeLimits::default())
        .map_err(|error| Failure::at(Exit::Input, path, &error))?;
    let application = Application {
        key: capture.person.clone(),
        details: details(register, &capture.person)?,
        pictures: vec![Picture { frame, source: None }],
    };
    let outcome =
        enroller.enrol(&application, Timestamp::now()).map_err(|error| Failure::at(Exit::Input, path, &error))?;
    match outcome {
        EnrolmentOutcome::Refer { reasons } => {
            Err(Failure::new(Exit::Input, format!("{}: not enrolled: {}", capture.path, reasons::listed(&reasons))))
        }
        _ => Ok(()),
    }
}

/// A permit that the rules accept, and consent: what is shown is the face's part.
fn details(register: &Register, person: &str) -> Result<Details> {
    let (from, until) = (date(2024, 1, 1), date(2199, 12, 31));
    let endorsement = Endorsement {
        kind: EndorsementKind::FamilyVisit,
        entries: Entries::Multiple,
        valid_from: Some(from),
        expires: until,
    };
    let permit = Document {
        kind: DocumentKind::ExitEntryPermitHkMacao,
        number_digest: register.number_digest(DocumentKind::ExitEntryPermitHkMacao, person)?,
        valid_from: Some(from),
        expires: until,
        endorsements: vec![endorsement],
    };
    Ok(Details {
        category: Some(Category::MainlandResident),
        birth: Some(date(1990, 5, 17)),
        nationality: Some(Nationality::Chinese),
        documents: vec![permit],
        consent: Some(Consent {
            given: Timestamp::UNIX_EPOCH,
            scope: ConsentScope { face: true, fingerprint: true },
            withdrawn: None,
        }),
        method: Some("demonstration".to_owned()),
        ..Details::default()
    })
}

/// Enrols synthetic subjects, whose templates are random directions.
fn fill(register: &Register, model: ModelId, dimension: usize, count: u64, output: &Output) -> Result<()> {
    let progress = output.progress(count, "filling");
    let synthetic = |number: u64| {
        let template = vectors::template(model, dimension, number)?;
        Ok(Enrolment::new(format!("synthetic-{number}")).with_template(template))
    };
    clearlane_simulate::enrol(register, count, synthetic, |done| progress.at(done, count))?;
    progress.done();
    Ok(())
}
