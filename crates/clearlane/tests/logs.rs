//! What the lane writes into logs tells nothing of travellers.
#![allow(clippy::unwrap_used)]

mod common;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clearlane::{Capture, ClaimIssuer, Direction, Evidence};
use common::{Port, capture_of, face, finger, policy};
use jiff::Timestamp;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

#[test]
fn no_subject_template_document_or_claim_is_in_any_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let port = Port::with(20);
    // Numbers that would be recognised, whoever writes them.
    let subject = port.subject(13);
    let document = port.register.number_digest(clearlane_store::DocumentKind::Passport, "E98765432").unwrap();
    port.change(13, |details| details.documents[0].number_digest = document);
    let issuer = ClaimIssuer::generate().unwrap();
    let place: clearlane::PortId = "shenzhen-bay".parse().unwrap();
    let claim = issuer.issue(subject, std::slice::from_ref(&place), Timestamp::now(), Duration::from_mins(1)).unwrap();
    let lane = port.builder(policy("")).claims(issuer.verifier()).clock(Timestamp::now);
    let lane = lane.build(place, Direction::Exit, "lane 1").unwrap();
    let probe = capture_of(13, 0.8);
    tracing::subscriber::with_default(subscriber, || {
        let _ = lane.pass_capture(&probe, &finger(subject), None);
        let _ = lane.pass_capture(&Capture::new(face(999), None), &[], Some(Duration::ZERO));
        let wrong = Evidence { matcher: "fingerprint".to_owned(), subject, score: 0.123_456_7 };
        let _ = lane.pass_capture(&probe, &[wrong], None);
        for _ in 0..2 {
            let _ = lane.verify_claim_capture(claim.text(), &probe, &finger(subject), None);
        }
        let _ = lane.verify_claim_capture("CLEARLANE1:FORGED", &probe, &[], None);
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
