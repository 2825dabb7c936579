//! A register gets templates of a new model from workers, as from one machine, and each block once, whoever is killed. On the fictional
//! people, with the built-in embedder and the same network fed otherwise, which is another model.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use clearlane::embed::{Embedder, Manifest, Models, Selection, Task};
use clearlane::{
    BulkReport, BulkStop, Calibration, DecodeLimits, Extractor, Frame, Picture, Policy, Reembedder, TemplateMaker,
};
use clearlane_cluster::{
    BatchWorker, BatchWorkerOptions, ClusterError, Reembedding, ReembeddingCandidate, ReembeddingOptions,
    ReembeddingReport, Registrar, RegistrarOptions,
};
use clearlane_store::{Consent, ConsentScope, Details, Enrolment, ImageDigest, Key, Keyring, NewTemplate, Register};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use support::{Brokers, key};
use tempfile::TempDir;

const PEOPLE: [&str; 6] = ["f0000", "f0001", "f0003", "f0004", "f0006", "f0007"];

/// A register with [`PEOPLE`], each of one picture, by the built-in embedder; and beside it the model `next`.
struct Port {
    folder: TempDir,
    models: Models,
    register: Arc<Register>,
    /// The policy's floors of an enrolment's pictures, since they were enrolled.
    floors: &'static str,
}

impl Port {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        next_model(folder.path());
        let mut models = Models::builtin().unwrap();
        models.add_folder(folder.path()).unwrap();
        let keys = Keyring::new(Key::random().unwrap());
        let register = Arc::new(Register::create(folder.path().join("port.register"), keys).unwrap());
        let port = Self { folder, models, register, floors: "" };
        let extractor = port.extractor(port.old());
        for person in PEOPLE {
            let bytes = fs::read(picture(person, "enrol.jpg")).unwrap();
            let frame = Frame::decode(&bytes, &DecodeLimits::default()).unwrap();
            let template = extractor.extract(&frame).unwrap().template;
            let mut enrolment = Enrolment::new(person).with_details(consenting());
            enrolment.templates.push(NewTemplate { template, source: Some(ImageDigest::of(&bytes)) });
            port.register.enrol(&enrolment).unwrap();
        }
        port
    }

    fn old(&self) -> Embedder {
        self.models.embedder(self.models.default_embedder().unwrap()).unwrap()
    }

    fn newer(&self) -> Embedder {
        self.models.embedder("next").unwrap()
    }

    fn extractor(&self, embedder: Embedder) -> Extractor {
        let detector = self.models.detector(self.models.default_detector().unwrap()).unwrap();
        Extractor::new(detector, embedder).with_selection(Selection::Largest)
    }

    /// Without the old model beside: it makes something else.
    fn other_maker(&self) -> TemplateMaker {
        TemplateMaker::new(rules(self.floors).into(), self.extractor(self.newer()), &calibration(&self.newer()))
            .unwrap()
    }

    fn maker(&self) -> TemplateMaker {
        self.other_maker().with_earlier(self.old(), &calibration(&self.old())).unwrap()
    }

    fn reembedder(&self) -> Arc<Reembedder> {
        Arc::new(Reembedder::new(self.register.clone(), self.maker()))
    }

    fn covered(&self) -> u64 {
        self.register.coverage(self.newer().model_id()).unwrap().covered
    }

    fn withdraw_consent(&self, person: &str) {
        let subject = self.register.subject(person).unwrap().unwrap().id;
        self.register.withdraw_consent(subject, Timestamp::UNIX_EPOCH).unwrap();
    }

    /// A file of its own with these bytes.
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Publishes the register to the cluster, so that there is a gallery.
    async fn publish(&self, brokers: &Brokers) -> Registrar {
        let options = RegistrarOptions::new(self.old().model_id(), self.old().dimension()).partitions(1).replicas(1);
        Registrar::open(Arc::clone(&self.register), key(), &brokers.options(), options).await.unwrap()
    }

    async fn begin(&self, brokers: &Brokers, candidates: &[ReembeddingCandidate]) -> Reembedding {
        let options = ReembeddingOptions::default().block(1).replicas(1).hold(Duration::from_secs(2));
        Reembedding::open(key(), &brokers.options(), options, self.reembedder(), candidates.to_vec()).await.unwrap()
    }

    async fn worker(&self, brokers: &Brokers) -> BatchWorker {
        worker(brokers, self.maker()).await
    }
}

async fn worker(brokers: &Brokers, maker: TemplateMaker) -> BatchWorker {
    let options = BatchWorkerOptions::default().reembedding(Arc::new(maker), DecodeLimits::default());
    BatchWorker::start(key(), &brokers.options(), options).await.unwrap()
}

async fn finish(reembedding: &mut Reembedding) -> ReembeddingReport {
    while reembedding.advance().await.unwrap() {}
    reembedding.report()
}

async fn context(brokers: &Brokers) -> jetstream::Context {
    jetstream::new(async_nats::connect(brokers.brokers[0].url()).await.unwrap())
}

/// The built-in embedder's network with another mean, as a model of its own in `folder`.
fn next_model(folder: &Path) {
    let models = Models::builtin().unwrap();
    let (entry, _) = models.get(models.default_embedder().unwrap()).unwrap();
    fs::write(folder.join(&entry.file), models.read(&entry.name).unwrap()).unwrap();
    let mut next = entry.clone();
    "next".clone_into(&mut next.name);
    next.input.mean[0] += 1.0;
    assert!(matches!(next.task, Task::Embedding { .. }));
    let manifest = Manifest { models: vec![next] };
    fs::write(folder.join("manifest.toml"), toml::to_string(&manifest).unwrap()).unwrap();
}

fn calibration(embedder: &Embedder) -> Calibration {
    Calibration::from_manifest(embedder.model_id(), embedder.calibrations()).unwrap()
}

/// The shipped policy with other quality floors, for people who do not exist.
fn rules(floors: &str) -> Policy {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shenzhen-bay-and-gongbei.toml");
    let text = fs::read_to_string(path).unwrap();
    let floors = format!("quality = {{{floors}}}");
    let lines = text.lines().map(|line| if line.starts_with("quality = ") { &floors } else { line });
    Policy::from_toml(&lines.collect::<Vec<_>>().join("\n").replace("east-asian-adults", "fictional-people")).unwrap()
}

fn consenting() -> Details {
    let consent = Consent {
        given: "2024-11-25T00:00:00Z".parse().unwrap(),
        scope: ConsentScope { face: true, fingerprint: true },
        withdrawn: None,
    };
    Details { consent: Some(consent), ..Details::default() }
}

fn picture(person: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled").join(person).join(file)
}

fn candidate(key: &str, pictures: impl Into<Vec<PathBuf>>) -> ReembeddingCandidate {
    ReembeddingCandidate { key: key.to_owned(), pictures: pictures.into() }
}

/// Each of these people with the picture that they were enrolled from.
fn supply(people: &[&str]) -> Vec<ReembeddingCandidate> {
    people.iter().map(|person| candidate(person, [picture(person, "enrol.jpg")])).collect()
}

/// Those of [`PEOPLE`], with everything that keeps somebody from templates.
fn mixed(port: &Port) -> Vec<ReembeddingCandidate> {
    port.withdraw_consent("f0003");
    let letter = port.file("letter.jpg", b"Dear traveller");
    vec![
        candidate("f0000", [picture("f0000", "plain-1.jpg"), letter.clone(), picture("f0000", "plain-2.jpg")]),
        candidate("nobody", [picture("f0001", "enrol.jpg")]),
        candidate("f0001", [picture("f0001", "enrol.jpg")]),
        candidate("f0003", [picture("f0003", "enrol.jpg")]),
        candidate("f0004", [picture("f0001", "enrol.jpg")]),
        candidate("f0006", [letter, port.folder.path().join("missing.jpg")]),
        candidate("f0007", []),
    ]
}

/// As one machine does it, with the words of a command that reads files.
fn locally(port: &Port, candidates: &[ReembeddingCandidate]) -> BulkReport {
    let read = |pictures: &[PathBuf]| {
        let mut read = Vec::new();
        for path in pictures {
            let Ok(bytes) = fs::read(path) else { continue };
            let Ok(frame) = Frame::decode(&bytes, &DecodeLimits::default()) else { continue };
            read.push(Picture { frame, source: Some(ImageDigest::of(&bytes)) });
        }
        match read.is_empty() {
            true if pictures.is_empty() => Err("the subject has no picture".to_owned()),
            true => Err("none of the subject's pictures can be read".to_owned()),
            false => Ok(read),
        }
    };
    let supplied = candidates.iter().map(|one| (one.key.clone(), move || read(&one.pictures)));
    port.reembedder().reembed_many(supplied, Timestamp::now(), |_| ControlFlow::Continue(())).unwrap()
}

/// Who got no templates, and the one reason. Scores are taken under each register's own key, and differ in their last bit.
fn stops(report: &BulkReport) -> Vec<(&str, &str)> {
    fn why(stop: &BulkStop) -> &str {
        match stop {
            BulkStop::Refer(reasons) => {
                assert_eq!(reasons.len(), 1, "{reasons:?}");
                reasons[0].code()
            }
            BulkStop::Unreadable(words) | BulkStop::Failed(words) => words,
        }
    }
    report.unfinished.iter().map(|one| (&*one.key, why(&one.stop))).collect()
}

const NONE_READABLE: &str = "none of the subject's pictures can be read";
const MIXED_STOPS: [(&str, &str); 5] = [
    ("nobody", "not-enrolled"),
    ("f0003", "consent-withdrawn"),
    ("f0004", "not-matched"),
    ("f0006", NONE_READABLE),
    ("f0007", "the subject has no picture"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_make_what_one_machine_makes() {
    let Some(brokers) = Brokers::start(1) else { return };
    let alone = Port::open();
    let expected = locally(&alone, &mixed(&alone));
    assert_eq!(stops(&expected), MIXED_STOPS);

    let port = Port::open();
    let _registrar = port.publish(&brokers).await;
    let (other, _worker) = (worker(&brokers, port.other_maker()).await, port.worker(&brokers).await);
    let candidates = mixed(&port);
    let mut reembedding = port.begin(&brokers, &candidates).await;
    assert!(!reembedding.resumed());
    // Whoever is not enrolled needs no pictures.
    assert_eq!(reembedding.blocks(), 6);
    let report = finish(&mut reembedding).await;
    assert_eq!((stops(&report.bulk), report.bulk.progress), (stops(&expected), expected.progress));
    assert_eq!(report.bulk.unused, expected.unused);
    assert_eq!((port.covered(), alone.covered()), (2, 2));
    assert!(report.failed.is_empty() && reembedding.done() == 7, "{report:?}");
    let unreadable = report.unreadable.iter().map(|one| (&*one.key, one.picture, one.why.as_str()));
    let not_a_picture =
        "not a picture: JPEG, JPEG 2000, PNG, WebP, BMP, PGM and PPM are read, and a chip's data group 2";
    let missing = "No such file or directory (os error 2)";
    let expected = [("f0000", 1, not_a_picture), ("f0006", 0, not_a_picture), ("f0006", 1, missing)];
    assert_eq!(unreadable.collect::<Vec<_>>(), expected);
    assert_eq!(other.progress().blocks, 0, "one that makes something else is given no block");
    reembedding.remove().await.unwrap();

    // Another time there is nothing to do for those who have theirs.
    let mut again = port.begin(&brokers, &supply(&PEOPLE[..2])).await;
    assert_eq!(again.blocks(), 0);
    assert_eq!(finish(&mut again).await.bulk.progress.already, 2);
    assert!(port.register.check(|_, _| {}).unwrap().is_sound());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_ask_no_quality_again_of_a_picture_that_was_enrolled_from() {
    let Some(brokers) = Brokers::start(1) else { return };
    let port = Port { floors: "Sharpness = 100", ..Port::open() };
    let _registrar = port.publish(&brokers).await;
    let worker = port.worker(&brokers).await;
    let another = candidate("f0001", [picture("f0001", "plain-1.jpg")]);
    let mut reembedding = port.begin(&brokers, &[supply(&["f0000"]), vec![another]].concat()).await;
    let report = finish(&mut reembedding).await;
    assert_eq!(stops(&report.bulk), [("f0001", "quality-too-low")]);
    assert_eq!((port.covered(), worker.progress().blocks), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_block_is_done_once_whoever_is_killed_and_no_template_stays_with_the_brokers() {
    let Some(brokers) = Brokers::start(1) else { return };
    let port = Port::open();
    let _registrar = port.publish(&brokers).await;
    let candidates = mixed(&port);
    let mut reembedding = port.begin(&brokers, &candidates).await;
    let killed = port.worker(&brokers).await;
    assert!(reembedding.advance().await.unwrap());
    assert!(reembedding.advance().await.unwrap());
    drop(killed);
    let begun = reembedding.begun();
    drop(reembedding);

    let mut reembedding = port.begin(&brokers, &candidates).await;
    assert!(reembedding.resumed() && reembedding.begun() == begun);
    let worker = port.worker(&brokers).await;
    let report = finish(&mut reembedding).await;
    assert_eq!(stops(&report.bulk), MIXED_STOPS);
    assert_eq!((report.bulk.progress.done, port.covered()), (7, 2));
    worker.close().await.unwrap();

    // A job, a result of each block, and a second one without templates of each that had some.
    let context = context(&brokers).await;
    let results = context.get_stream("CLEARLANE_RESULTS").await.unwrap();
    let state = &results.cached_info().state;
    assert_eq!((state.messages, state.last_sequence), (7, 11), "{state:?}");
    assert!(state.bytes < 4096, "{state:?}");

    // Opened once more it has everything, without a worker.
    let mut reembedding = port.begin(&brokers, &candidates).await;
    assert_eq!(stops(&finish(&mut reembedding).await.bulk), MIXED_STOPS);
    drop(reembedding);
    let discard = async || Reembedding::discard(key(), &brokers.options(), &port.reembedder(), &candidates).await;
    assert_eq!((discard().await.unwrap(), discard().await.unwrap()), (true, false));
    assert_eq!(port.covered(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_between_the_block_and_its_result_is_judged_as_it_is_then() {
    let Some(brokers) = Brokers::start(1) else { return };
    let port = Port::open();
    let _registrar = port.publish(&brokers).await;
    let mut candidates = supply(&["f0000", "f0001", "f0003", "f0004"]);
    let bytes = |file| fs::read(picture("f0001", file)).unwrap();
    let changing = port.file("changing.jpg", &bytes("enrol.jpg"));
    candidates[1].pictures = vec![changing.clone()];
    let growing = port.file("growing.jpg", &fs::read(picture("f0003", "enrol.jpg")).unwrap());
    candidates[2].pictures = vec![growing.clone()];
    drop(port.begin(&brokers, &candidates).await);

    // The brokers lose a block, and its candidate's picture does not fit into one any more.
    let context = context(&brokers).await;
    let work = context.get_stream("CLEARLANE_WORK").await.unwrap();
    let mut waiting = work.info_with_subjects("work.>").await.unwrap();
    while let Some((block, _)) = waiting.next().await.transpose().unwrap() {
        if block.ends_with(".2") {
            let sequence = work.get_last_raw_message_by_subject(&block).await.unwrap().sequence;
            work.delete_message(sequence).await.unwrap();
        }
    }
    let mut large = fs::read(&growing).unwrap();
    large.resize(1 << 20, 0);
    fs::write(&growing, large).unwrap();
    fs::write(&changing, bytes("plain-1.jpg")).unwrap();
    let revoked = port.register.subject("f0000").unwrap().unwrap().id;
    _ = port.register.revoke(revoked, "moved").unwrap();

    let mut reembedding = port.begin(&brokers, &candidates).await;
    let worker = port.worker(&brokers).await;
    let report = finish(&mut reembedding).await;
    let changed = "its templates are of other pictures than those that are there now: run the same command again";
    assert_eq!(stops(&report.bulk), [("f0000", "not-enrolled"), ("f0001", changed)]);
    assert_eq!((report.bulk.progress.enrolled, worker.progress().blocks), (2, 4), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_pictures_are_too_large_for_a_block_is_made_beside_the_register() {
    let Some(brokers) = Brokers::start(1) else { return };
    let port = Port::open();
    let mut large = fs::read(picture("f0000", "plain-1.jpg")).unwrap();
    large.resize(1 << 20, 0);
    let candidates = [candidate("f0000", [port.file("large.jpg", &large)])];
    let open = async |port: &Port| {
        let options = ReembeddingOptions::default().replicas(1);
        Reembedding::open(key(), &brokers.options(), options, port.reembedder(), candidates.to_vec()).await
    };
    assert!(matches!(open(&port).await, Err(ClusterError::NoGallery)));
    let _registrar = port.publish(&brokers).await;
    assert!(matches!(open(&Port::open()).await, Err(ClusterError::OtherRegister)), "beside another register");
    let mut reembedding = open(&port).await.unwrap();
    assert_eq!(reembedding.blocks(), 0);
    assert_eq!(finish(&mut reembedding).await.bulk.progress.enrolled, 1);

    for options in [ReembeddingOptions::default().block(0), ReembeddingOptions::default().hold(Duration::ZERO)] {
        let refused = Reembedding::open(key(), &brokers.options(), options, port.reembedder(), Vec::new()).await;
        assert!(matches!(refused, Err(ClusterError::Setting { .. })));
    }
    let twice = supply(&["f0000", "f0000"]);
    let options = ReembeddingOptions::default();
    let refused = Reembedding::open(key(), &brokers.options(), options, port.reembedder(), twice).await;
    assert!(matches!(refused, Err(ClusterError::Setting { setting: "candidates", .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_pictures_of_a_subject_together_have_a_bound() {
    let Some(brokers) = Brokers::start(1) else { return };
    let port = Port::open();
    let _registrar = port.publish(&brokers).await;
    let path = picture("f0000", "enrol.jpg");
    let frame = Frame::open(&path, &DecodeLimits::default()).unwrap();
    let limits = DecodeLimits::default().with_max_pixels(u64::from(frame.width()) * u64::from(frame.height()));
    let options = BatchWorkerOptions::default().reembedding(Arc::new(port.maker()), limits);
    let _worker = BatchWorker::start(key(), &brokers.options(), options).await.unwrap();
    let mut reembedding = port.begin(&brokers, &[candidate("f0000", vec![path; 6])]).await;
    let report = finish(&mut reembedding).await;
    assert_eq!((report.bulk.progress.enrolled, report.unreadable.len()), (1, 2), "{report:?}");
    for (place, one) in (4..).zip(&report.unreadable) {
        assert!(one.picture == place && one.why.contains("pixels together"), "{one:?}");
    }
}
