//! A port from files: opened, enrolled into, passed through by several lanes, and followed while others change the register.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane::store::{RecordQuery, StoreError};
use clearlane::{
    Application, Decision, DecodeLimits, Direction, EnrolError, EnrolmentOutcome, Frame, IdentifyError, Key, Keyring,
    LaneError, OpenError, OpenStage, Picture, Policy, Port, PortError, PortOptions, Reason, SubjectId,
};
use clearlane_embed::Stage;
use common::{eligible, now};

#[test]
fn a_port_of_files_enrols_by_its_policy_and_its_lanes_share_one_gallery() {
    let place = Place::new();
    let port = Port::open(place.options().create()).unwrap();
    let traveller = enrol(&port, "f0000").unwrap();
    let lanes: Vec<_> = (1..=4).map(|number| port.lane(format!("lane {number}"), Direction::Exit).unwrap()).collect();
    for lane in &lanes {
        assert!(Arc::ptr_eq(lane.port().references(), port.references()));
        let passage = lane.pass(&[picture("enrolled/f0000/plain-1")], &[], None);
        assert_eq!(passage.decision, Decision::Admit { subject: traveller });
    }
    // The same face under another name goes to an officer; one of few pixels is not enrolled.
    let again = enrol_as(&port, "somebody else", &picture("enrolled/f0000/plain-2")).unwrap();
    assert!(
        matches!(&again, EnrolmentOutcome::Refer { reasons } if reasons[0].code() == "duplicate-face"),
        "{again:?}"
    );
    let small = enrol_as(&port, "far away", &shrunk(&picture("enrolled/f0001/enrol"), 6)).unwrap();
    let EnrolmentOutcome::Refer { reasons } = small else { panic!("{small:?}") };
    assert!(
        reasons.iter().all(|reason| matches!(reason, Reason::QualityTooLow { .. } | Reason::NoFace)),
        "{reasons:?}"
    );

    assert_eq!(port.metrics().snapshot().admitted, 4);
    let subject = port.register().subject_by_id(traveller).unwrap().unwrap();
    let printed = port.records().print_last(&subject, Some(Direction::Exit)).unwrap().unwrap();
    assert_eq!((printed.lane.as_str(), printed.record), ("lane 4", 4));
    assert!(port.records().print_last(&subject, Some(Direction::Entry)).unwrap().is_none());
    assert_eq!(port.records().list(RecordQuery::default()).count(), 4);
    assert!(port.records().verify(|_, _| {}).unwrap().is_sound());
}

#[test]
fn a_port_that_is_opened_again_knows_who_was_enrolled_and_says_how_far_it_is() {
    let place = Place::new();
    let traveller = enrol(&Port::open(place.options().create()).unwrap(), "f0000").unwrap();
    let mut stages = Vec::new();
    let port = Port::open_with(place.options(), |stage, _, _| stages.push(stage)).unwrap();
    stages.dedup();
    assert_eq!(stages, [OpenStage::Loading, OpenStage::Checking]);
    let options = port.identify_options(2e-2, 0.05).unwrap();
    let found = port.identify(&picture("enrolled/f0000/plain-1"), &options).unwrap();
    assert_eq!(found.subject, Some(traveller));
    assert!(found.times.extraction[Stage::Detect] > Duration::ZERO && found.times.search > Duration::ZERO);
    let nobody = port.identify(&picture("unknown/u2093/plain-1"), &options).unwrap();
    assert_eq!(nobody.subject, None);
    assert!(matches!(port.identify(&grey(), &options), Err(IdentifyError::Extract(_))));
    // Until the register was checked nobody passes.
    let unchecked = Port::open(place.options().check(false)).unwrap();
    let lane = unchecked.lane("lane 1", Direction::Exit).unwrap();
    let passage = lane.pass(&[picture("enrolled/f0000/plain-1")], &[], None);
    assert_eq!(passage.decision.reasons().iter().map(Reason::code).collect::<Vec<_>>(), ["register-not-sound"]);
}

#[test]
fn what_another_process_changes_is_followed_by_a_poll_or_a_refresher() {
    let place = Place::new();
    let port = Port::open(place.options().create()).unwrap();
    let first = enrol(&port, "f0000").unwrap();
    let other = Port::open(place.options()).unwrap();
    let second = enrol(&other, "f0001").unwrap();
    assert_eq!(port.references().subjects(), 1);
    port.poll().unwrap();
    assert_eq!(port.references().subjects(), 2);

    let refresher = port.refresh_every(Duration::from_millis(5)).unwrap();
    let _ = other.register().revoke(first, "test").unwrap();
    let start = Instant::now();
    while port.references().subjects() > 1 {
        assert!(start.elapsed() < Duration::from_mins(1), "nobody follows the register");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(refresher);
    // Nobody follows any more.
    let _ = other.register().revoke(second, "test").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(port.references().subjects(), 1);
    // A refresher ends with its port, and may be dropped after it.
    let orphan = port.refresh_every(Duration::ZERO).unwrap();
    drop(port);
    std::thread::sleep(Duration::from_millis(20));
    drop(orphan);
}

#[test]
fn a_port_without_a_policy_identifies_and_has_neither_lanes_nor_rules_to_enrol_by() {
    let place = Place::new();
    let traveller = enrol(&Port::open(place.options().create()).unwrap(), "f0000").unwrap();
    let port = Port::open(PortOptions::new(place.register()).keys(place.keys()).read_only()).unwrap();
    assert_eq!(port.lane("lane 1", Direction::Exit).map(|_| ()), Err(LaneError::NoPolicy));
    assert!(matches!(port.enroller(), Err(EnrolError::NoPolicy)));
    assert_eq!((port.policy(), port.id()), (None, None));
    let found = port.identify(&picture("enrolled/f0000/plain-1"), &port.identify_options(2e-2, 0.05).unwrap());
    assert_eq!(found.unwrap().subject, Some(traveller));
}

#[test]
fn many_are_enrolled_by_the_rules_or_without_any_and_unused_pictures_are_named() {
    let place = Place::new();
    let application = |key: &str, pictures: &[&str]| {
        let frame = |name: &&str| if *name == "grey" { grey() } else { picture(name) };
        let pictures = pictures.iter().map(|name| Picture { frame: frame(name), source: None }).collect();
        let application = Application { key: key.to_owned(), details: eligible(), pictures };
        (key.to_owned(), move || Ok(application))
    };
    let applications = || {
        [
            application("one", &["grey", "enrolled/f0000/enrol", "enrolled/f0000/plain-1"]),
            application("the same face", &["enrolled/f0000/plain-2"]),
            application("nobody", &["grey"]),
            application("two", &["enrolled/f0001/enrol"]),
        ]
    };
    let go_on = |_: &clearlane::BulkProgress| std::ops::ControlFlow::Continue(());

    let port = Port::open(place.options().create()).unwrap();
    let report = port.enroller().unwrap().enrol_many(applications(), now(), go_on).unwrap();
    let progress = report.progress;
    assert_eq!((progress.done, progress.enrolled, progress.unfinished), (4, 2, 2));
    let unfinished: Vec<_> = report.unfinished.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(unfinished, ["the same face", "nobody"]);
    let unused: Vec<_> = report.unused.iter().map(|one| (one.key.as_str(), one.picture)).collect();
    assert_eq!(unused, [("one", 0)]);
    assert_eq!(report.unused[0].reasons, [Reason::NoFace]);

    let place = Place::new();
    let port = Port::open(PortOptions::new(place.register()).keys(place.keys()).create()).unwrap();
    let enroller = port.enroller_without_rules().unwrap();
    let report = enroller.enrol_many(applications(), now(), go_on).unwrap();
    assert_eq!((report.progress.enrolled, report.progress.templates), (3, 4));
    assert_eq!(report.unfinished.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["nobody"]);
    let again = enroller.enrol_many(applications(), now(), go_on).unwrap();
    assert_eq!((again.progress.already, again.progress.unfinished), (3, 1));
    assert_eq!(port.references().subjects(), 3);
}

#[test]
fn what_a_port_cannot_be_opened_with_is_named() {
    let place = Place::new();
    let open = |options: PortOptions| Port::open(options).map(|_| ()).unwrap_err();
    assert!(matches!(open(place.options()), OpenError::Store(_)), "there is no register yet");
    drop(Port::open(place.options().create()).unwrap());
    assert!(matches!(open(PortOptions::new(place.register()).policy(policy())), OpenError::NoKeys));
    let other_keys = place.options().keys(Keyring::new(Key::random().unwrap()));
    assert!(matches!(open(other_keys), OpenError::Store(StoreError::NoKey { .. })));
    let no_file = PortOptions::new(place.register()).key_file(place.path("no.key"));
    assert!(matches!(open(no_file), OpenError::Key(_)));
    assert!(matches!(open(place.options().policy_file(place.path("no.toml"))), OpenError::Policy(_)));
    assert!(matches!(open(place.options().models(place.path("no-models"))), OpenError::Model(_)));
    assert!(matches!(open(place.options().detector("nobody's")), OpenError::Model(_)));
    assert!(matches!(open(place.options().embedder("nobody's")), OpenError::Model(_)));
    assert!(matches!(open(place.options().pad(["nobody's"])), OpenError::Model(_)));
    assert!(matches!(open(place.options().claim_issuer(place.path("no.pem"))), OpenError::Io { .. }));
    std::fs::write(place.path("bad.pem"), "a key").unwrap();
    assert!(matches!(open(place.options().claim_issuer(place.path("bad.pem"))), OpenError::ClaimKey { .. }));
    let elsewhere = place.options().port("lo-wu".parse().unwrap());
    assert!(matches!(open(elsewhere), OpenError::Port(PortError::UnknownPort { .. })));
    // A policy of several ports opens without one, for enrolment, and has no lane.
    let options = PortOptions::new(place.register()).keys(place.keys()).policy(policy());
    let port = Port::open(options).unwrap();
    if port.policy().unwrap().ports().len() > 1 {
        assert!(matches!(port.lane("lane 1", Direction::Exit).map(|_| ()), Err(LaneError::WhichPort { .. })));
    }
    assert!(port.enroller().is_ok());
}

/// A folder for a register, and its key.
struct Place {
    folder: tempfile::TempDir,
    key: Key,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), key: Key::random().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn register(&self) -> PathBuf {
        self.path("port.register")
    }

    fn keys(&self) -> Keyring {
        Keyring::new(self.key.clone())
    }

    fn options(&self) -> PortOptions {
        let options = PortOptions::new(self.register()).keys(self.keys()).policy(policy());
        options.port("shenzhen-bay".parse().unwrap()).clock(now)
    }
}

fn policy() -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/demonstration.toml");
    Policy::open(path).unwrap()
}

fn enrol(port: &Port, person: &str) -> Result<SubjectId, EnrolError> {
    match enrol_as(port, person, &picture(&format!("enrolled/{person}/enrol")))? {
        EnrolmentOutcome::Enrolled { subject, .. } => Ok(subject),
        other => panic!("{person}: {other:?}"),
    }
}

fn enrol_as(port: &Port, key: &str, frame: &Frame<'static>) -> Result<EnrolmentOutcome, EnrolError> {
    let pictures = vec![Picture { frame: frame.clone(), source: None }];
    port.enroller()?.enrol(&Application { key: key.to_owned(), details: eligible(), pictures }, now())
}

fn picture(path: &str) -> Frame<'static> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional");
    Frame::open(folder.join(format!("{path}.jpg")), &DecodeLimits::default()).unwrap()
}

fn grey() -> Frame<'static> {
    Frame::rgb8(64, 64, vec![128; 3 * 64 * 64]).unwrap()
}

/// Every n-th pixel of each n-th row.
fn shrunk(frame: &Frame<'_>, every: usize) -> Frame<'static> {
    let (width, height, rgb) = (frame.width() as usize, frame.height() as usize, frame.to_rgb8());
    let pixels = (0..height / every).flat_map(|y| (0..width / every).map(move |x| 3 * (y * width + x) * every));
    let pixels: Vec<u8> = pixels.flat_map(|at| rgb[at..at + 3].to_vec()).collect();
    Frame::rgb8((width / every) as u32, (height / every) as u32, pixels).unwrap()
}
