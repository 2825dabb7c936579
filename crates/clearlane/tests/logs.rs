//! What the lane writes into logs tells nothing of travellers.
#![allow(clippy::unwrap_used)]

mod common;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clearlane::{Calibration, Capture, ClaimIssuer, Direction, Evidence, Policy, References, ShownDocument};
use clearlane_embed::{DecodeLimits, Extractor, Frame, Models};
use clearlane_store::{DocumentKind, Enrolment};
use common::{Port, capture_of, eligible, face, finger, policy};
use jiff::Timestamp;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

#[test]
fn no_subject_template_document_or_claim_is_in_any_log() {
    let (log, subscriber) = everything();
    let port = Port::with(20);
    // Numbers that would be recognised, whoever writes them.
    let subject = port.subject(13);
    let document = port.register.number_digest(DocumentKind::Passport, "E98765432").unwrap();
    port.change(13, |details| details.documents[0].number_digest = document);
    let issuer = ClaimIssuer::generate().unwrap();
    let place: clearlane::PortId = "shenzhen-bay".parse().unwrap();
    let claim = issuer
        .issue(port.register.id(), subject, std::slice::from_ref(&place), Timestamp::now(), Duration::from_mins(1))
        .unwrap();
    let lane = port.builder(policy("")).claims(issuer.verifier()).clock(Timestamp::now);
    let lane = common::lane(lane, "lane 1");
    let probe = capture_of(13, 0.8);
    tracing::subscriber::with_default(subscriber, || {
        let _ = lane.pass_capture(&probe, &finger(subject), None);
        let _ = lane.pass_capture(&Capture::new(face(999), None), &[], Some(Duration::ZERO));
        let wrong = Evidence { matcher: "fingerprint".to_owned(), subject, score: 0.123_456_7 };
        let _ = lane.pass_capture(&probe, &[wrong], None);
        for _ in 0..2 {
            let _ = lane.verify_claim_capture(claim.text(), &probe, &finger(subject), None);
        }
        let _ = lane.verify_claim_capture("CLEARLANE2:FORGED", &probe, &[], None);
        let other = clearlane_template::ModelId::digest([]);
        let foreign = clearlane_template::Template::normalised(other, face(1).as_slice().to_vec()).unwrap();
        let _ = lane.pass_capture(&Capture::new(foreign, Some(1.0)), &[], None);
        let _ = port.references.refresh();
    });
    let text = log.text();
    assert_eq!(text.matches("decided").count(), 7, "the log is not what is tested:\n{text}");
    assert!(text.contains("no-candidate") && text.contains("shenzhen-bay"));
    let document = document.to_string();
    let mut secrets = vec!["traveller 13", "E98765432", &document[..16], &claim.text()[11..40], "FORGED", "0.1234"];
    let values: Vec<_> = [&probe.probe, &face(13)]
        .into_iter()
        .flat_map(|template| template.as_slice().iter().map(|value| format!("{value:.5}")))
        .filter(|value| !value.trim_start_matches('-').starts_with("0.000"))
        .collect();
    secrets.extend(values.iter().map(String::as_str));
    for secret in secrets {
        assert!(!text.contains(secret), "`{secret}` is in the log:\n{text}");
    }
    let number = format!("subject={subject}");
    assert!(!text.contains(&number) && !text.contains("SubjectId") && !text.contains("birth"), "{text}");
}

#[test]
#[cfg_attr(not(feature = "builtin"), ignore = "needs the built-in models")]
fn no_face_template_or_document_number_is_in_the_log_of_a_passage_with_pictures() {
    let models = Models::builtin().unwrap();
    let embedder = models.embedder(models.default_embedder().unwrap()).unwrap();
    let calibration = Calibration::from_manifest(embedder.model_id(), embedder.calibrations()).unwrap();
    let extractor = Extractor::new(models.detector(models.default_detector().unwrap()).unwrap(), embedder)
        .with_occlusion(models.any_occlusion().unwrap().unwrap());
    let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/fictional/enrolled/f0000/enrol.jpg");
    let frame = Frame::open(picture, &DecodeLimits::default()).unwrap();
    let extracted = extractor.extract(&frame).unwrap();
    let template = extracted.template.clone();

    let port = Port::with(0);
    let mut details = eligible();
    details.documents[0].number_digest = port.register.number_digest(details.documents[0].kind, "H98765432").unwrap();
    let enrolment = Enrolment::new("traveller 1").with_details(details).with_template(template.clone());
    port.register.enrol(&enrolment).unwrap();
    let references = References::load(port.register.clone(), template.model(), |_, _| {}).unwrap();
    references.check(|_, _| {}).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/demonstration.toml");
    let policy = Policy::open(path).unwrap();
    let lane = clearlane::Port::builder(references)
        .policy(policy)
        .port("shenzhen-bay".parse().unwrap())
        .calibration(calibration)
        .extractor(extractor)
        .clock(common::now);
    let lane = lane.build().unwrap().lane("lane 1", Direction::Exit).unwrap();

    let (log, subscriber) = everything();
    let budget = Some(Duration::from_mins(1));
    tracing::subscriber::with_default(subscriber, || {
        let frames = [frame.clone()];
        let kind = DocumentKind::MainlandTravelPermitHkMacao;
        // As a host might log what it has.
        tracing::debug!(?frames, ?template, extraction = ?extracted, "debugged");
        let shown = |number| ShownDocument { kind, number, portrait: &frame };
        let passage = lane.pass(&frames, &[], budget);
        assert!(passage.decision.is_admission(), "{passage:?}");
        assert!(lane.verify_document(&shown("H98765432"), &frames, &[], budget).decision.is_admission());
        assert!(!lane.verify_document(&shown("H98765433"), &frames, &[], budget).decision.is_admission());
        assert!(!lane.verify_claim(&frames, &frames, &[], budget).decision.is_admission());
    });
    let text = log.text();
    // Every stage has its span.
    for stage in ["capture", "detect", "align", "quality", "embed", "claim", "search", "rules", "record"] {
        assert!(text.contains(&format!(":{stage}")), "`{stage}` is not in the log:\n{text}");
    }
    let pixels = frame.to_rgb8();
    let middle = &pixels[pixels.len() / 2..][..6];
    let mut secrets = vec![
        "H9876543".to_owned(),
        "traveller 1".to_owned(),
        format!("{middle:?}").trim_matches(['[', ']']).to_owned(),
        middle.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
    ];
    let values = template.as_slice().iter().map(|value| format!("{value:.5}"));
    secrets.extend(values.filter(|value| !value.trim_start_matches('-').starts_with("0.000")));
    for secret in secrets {
        assert!(!text.contains(&secret), "`{secret}` is in the log:\n{text}");
    }
}

/// A log of everything, spans and their fields included.
fn everything() -> (Log, impl tracing::Subscriber + Send + Sync) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    (log, subscriber)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
