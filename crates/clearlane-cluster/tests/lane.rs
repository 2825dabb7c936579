//! A lane on a cluster's gallery: who is enrolled passes, and whoever is revoked, or cannot be searched for in full, does not.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane::{
    Calibration, CalibrationPoint, Capture, Decision, Direction, Lane, Passage, Policy, Port, Reason, References,
    RemoteGallery,
};
use clearlane_cluster::{ClusterGallery, GallerySettings, Node, NodeOptions, Partitions};
use clearlane_store::{
    Category, Consent, ConsentScope, Details, Document, DocumentKind, Enrolment, NumberDigest, RecordQuery,
};
use support::{Brokers, capture, face, key, model, registrar, until};

/// The demonstration's rules with a shorter age, for a test.
const AGE: Duration = Duration::from_secs(2);

fn policy() -> Policy {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/demonstration.toml");
    let text = std::fs::read_to_string(path).unwrap();
    Policy::from_toml(&text.replace("gallery-age-ms = 5000", "gallery-age-ms = 2000")).unwrap()
}

/// Made up: other faces of the tests score below 0.8 nearly always, other captures of one above 0.85.
fn calibration() -> Calibration {
    let point = |fmr, threshold| CalibrationPoint { fmr, threshold };
    let points = vec![point(0.5, 0.0), point(1e-3, 0.6), point(1e-9, 0.8)];
    Calibration::new(model(), "fictional-people".parse().unwrap(), points, "made up").unwrap()
}

fn enrolment(number: u64, birth: &str) -> Enrolment {
    let details = Details {
        category: Some(Category::HongKongResident),
        birth: Some(birth.parse().unwrap()),
        documents: vec![Document {
            kind: DocumentKind::MainlandTravelPermitHkMacao,
            number_digest: NumberDigest([7; 32]),
            valid_from: None,
            expires: "2090-12-31".parse().unwrap(),
            endorsements: Vec::new(),
        }],
        consent: Some(Consent {
            given: "2024-11-25T00:00:00Z".parse().unwrap(),
            scope: ConsentScope { face: true, fingerprint: false },
            withdrawn: None,
        }),
        ..Details::default()
    };
    Enrolment::new(format!("traveller {number}")).with_details(details).with_template(face(number))
}

/// A lane whose register, of its own, holds nobody.
fn lane(brokers: &Brokers, name: &str, gallery: impl RemoteGallery + 'static) -> Lane {
    let register = support::register(&brokers.path(&format!("{name}.register")));
    let references = References::load(register, model(), |_, _| {}).unwrap();
    references.check(|_, _| {}).unwrap();
    let port = Port::builder(references).policy(policy()).calibration(calibration());
    port.remote_gallery(Arc::new(gallery)).build().unwrap().lane(name, Direction::Exit).unwrap()
}

fn pass(lane: &Lane, number: u64) -> Passage {
    lane.pass_capture(&Capture::new(capture(number, 9), None), &[], Some(Duration::from_secs(1)))
}

fn codes(passage: &Passage) -> Vec<&'static str> {
    passage.decision.reasons().iter().map(Reason::code).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_admits_by_the_cluster_and_refers_whom_it_cannot_vouch_for() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let adult = registrar.enrol(enrolment(1, "1990-06-15")).await.unwrap();
    let child = registrar.enrol(enrolment(2, "2024-06-15")).await.unwrap();
    for number in 3..30 {
        registrar.enrol(enrolment(number, "1990-06-15")).await.unwrap();
    }
    let node =
        Node::start(key(), &brokers.options(), NodeOptions::new("node", Partitions::ALL).bound(AGE)).await.unwrap();
    // From threads of a runtime, where a host may be as well.
    let asking = lane(&brokers, "asking", ClusterGallery::asking(key(), &brokers.options()).unwrap());
    let follower = ClusterGallery::following(key(), &brokers.options(), GallerySettings::default(), None).unwrap();
    let following = lane(&brokers, "following", follower);

    for lane in [&asking, &following] {
        until("a traveller passes", || async { pass(lane, 1).decision.is_admission() }).await;
        let passage = pass(lane, 1);
        assert_eq!(passage.decision, Decision::Admit { subject: adult.subject });
        let refused = pass(lane, 2);
        assert_eq!(codes(&refused), ["under-age"]);
        assert_eq!(refused.comparison.unwrap().subject, child.subject);
        assert_eq!(codes(&pass(lane, 99)), ["no-candidate"]);
        let templates = lane.port().to_prometheus();
        assert!(templates.contains("clearlane_gallery_templates 29\n"), "{templates}");
        // Each is recorded at the lane, with whom the cluster found.
        let records = lane.port().records().list(RecordQuery::default()).collect::<Result<Vec<_>, _>>().unwrap();
        assert!(records.iter().any(|record| record.passage.subject == Some(adult.subject)));
    }

    registrar.revoke(adult.subject, "withdrawn").await.unwrap();
    let revoked = Instant::now();
    while revoked.elapsed() < AGE + Duration::from_millis(500) {
        for lane in [&asking, &following] {
            let admitted = pass(lane, 1).decision.is_admission();
            assert!(!admitted || revoked.elapsed() < AGE, "admitted {:?} after the revocation", revoked.elapsed());
        }
    }
    for lane in [&asking, &following] {
        assert_eq!(codes(&pass(lane, 1)), ["no-candidate"]);
        assert!(pass(lane, 3).decision.is_admission());
    }

    // Whoever asks has nobody left to ask; whoever follows goes on, until the registrar is silent for too long.
    node.close().await.unwrap();
    assert_eq!(codes(&pass(&asking, 3)), ["gallery-incomplete"]);
    assert!(pass(&following, 3).decision.is_admission());
    registrar.close().await.unwrap();
    tokio::time::sleep(AGE + Duration::from_millis(100)).await;
    assert_eq!(codes(&pass(&following, 3)), ["gallery-incomplete"]);
}
