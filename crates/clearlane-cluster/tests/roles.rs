//! Who may do what at the brokers, with the configuration that the crate prints.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use async_nats::ConnectOptions;
use clearlane_cluster::{
    AskOptions, BatchWorker, BatchWorkerOptions, ClusterError, ClusterOptions, ClusterSearch, CollectorState,
    DuplicateOptions, DuplicateSearch, Follower, GallerySettings, Health, Node, NodeOptions, Partitions,
    RecordCollector, RecordSender, Registrar, Roles, cluster_status, create_user_key, discard_batch, standing_batches,
};
use clearlane_store::Enrolment;
use support::{Brokers, face, key, registrar_options, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_may_do_its_own_work_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let seed = |name: &str| folder.path().join(format!("{name}.nk"));
    let public = |name: &str| create_user_key(seed(name)).unwrap();
    let roles = Roles::new().registrar(&public("registrar")).unwrap().node(&public("node")).unwrap();
    let roles = roles.lane("lane-1", &public("lane-1")).unwrap().lane("lane-2", &public("lane-2")).unwrap();
    let roles = roles.worker(&public("worker")).unwrap();
    public("nobody");
    assert!(create_user_key(seed("node")).is_err(), "a seed is not written over");
    assert!(matches!(Roles::new().node("UNODE"), Err(ClusterError::PublicKey { .. })));
    assert!(matches!(Roles::new().lane("a lane", "U"), Err(ClusterError::Name { .. })));
    let config = folder.path().join("users.conf");
    std::fs::write(&config, roles.to_config()).unwrap();
    let Some(brokers) = Brokers::with(1, &["-c", config.to_str().unwrap()]) else { return };
    let as_role = |name: &str| brokers.options().nkey_file(seed(name));

    let nobody = ClusterSearch::connect(key(), &as_role("nobody")).await;
    assert!(matches!(nobody, Err(ClusterError::Connect { .. })));
    let register = support::register(&brokers.path("port.register"));
    let registrar = Registrar::open(register, key(), &as_role("registrar"), registrar_options(&brokers)).await.unwrap();
    let enrolment = Enrolment::new("traveller").with_template(face(1));
    let published = registrar.enrol(enrolment).await.unwrap();
    let mut collector =
        RecordCollector::start(key(), &as_role("registrar"), 1, CollectorState::default()).await.unwrap();
    let options = NodeOptions::new("node", Partitions::ALL);
    let _node = Node::start(key(), &as_role("node"), options).await.unwrap();
    let search = ClusterSearch::connect(key(), &as_role("lane-1")).await.unwrap();
    let follower = Follower::start(key(), &as_role("lane-2"), GallerySettings::default(), None).await.unwrap();
    let ask = AskOptions::new(1).with_change(&published);
    until("a lane is answered, and another follows", || async {
        !search.search(&face(1), &ask).await.unwrap().refers() && !follower.search(&face(1), &ask).unwrap().refers()
    })
    .await;
    let status = cluster_status(&key(), &as_role("registrar"), Duration::from_secs(1)).await.unwrap();
    assert_eq!((status.nodes.len(), status.answering(0)), (1, 1), "{status:?}");
    let sender = RecordSender::start(key(), &as_role("lane-1"), "lane-1", brokers.path("outbox")).await.unwrap();
    sender.send(b"a passage").unwrap();
    assert_eq!(collector.next().await.record, Some((1, b"a passage".to_vec())));

    let client = ConnectOptions::with_nkey(std::fs::read_to_string(seed("registrar")).unwrap().trim().to_owned());
    let client = client.connect(format!("nats://127.0.0.1:{}", brokers.brokers[0].port)).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("CLEARLANE_GALLERY").await.unwrap();
    let batch = DuplicateOptions::new(0.5).replicas(1);
    let mut batch = DuplicateSearch::open(key(), &as_role("registrar"), batch).await.unwrap();
    // What a worker misses, the registrar hears as well.
    stream.delete_message(published.sequence).await.unwrap();
    let _worker = BatchWorker::start(key(), &as_role("worker"), BatchWorkerOptions::default()).await.unwrap();
    while batch.advance().await.unwrap() {}
    assert_eq!((batch.report().subjects, batch.report().failed.len()), (1, 0));
    batch.remove().await.unwrap();
    batches_are_the_registrars_to_list_and_remove(as_role).await;

    // What a node misses, the registrar hears, and puts it there again.
    let state = stream.get_last_raw_message_by_subject(&format!("gallery.*.{}", published.subject.0)).await.unwrap();
    stream.delete_message(state.sequence).await.unwrap();
    let second = Node::start(key(), &as_role("node"), NodeOptions::new("second", Partitions::ALL)).await.unwrap();
    until("the message is there again", || async {
        second.status().partitions.iter().all(|partition| partition.health == Health::Following)
    })
    .await;

    // What is not theirs, the brokers do not take.
    for (role, subject, may) in [
        ("lane-1", "gallery.0.1", false),
        ("lane-1", "gallery.0.head", false),
        ("lane-1", "records.lane-2", false),
        ("lane-1", "records.lane-1", true),
        ("node", "gallery.0.1", false),
        ("node", "gallery.config", false),
        ("node", "records.lane-1", false),
        ("node", "$JS.API.STREAM.PURGE.CLEARLANE_GALLERY", false),
        ("worker", "gallery.0.1", false),
        ("worker", "gallery.0.head", false),
        ("worker", "records.lane-1", false),
        ("worker", "jobs.1", false),
        ("worker", "work.duplicates.1.1", false),
        ("worker", "results.1.1", true),
        ("registrar", "results.1.2", true),
        ("worker", "$JS.API.STREAM.PURGE.CLEARLANE_RESULTS", false),
        ("worker", "$JS.API.STREAM.MSG.DELETE.CLEARLANE_WORK", false),
        ("worker", "$JS.API.STREAM.MSG.DELETE.CLEARLANE_RESULTS", false),
        ("node", "$JS.API.STREAM.MSG.DELETE.CLEARLANE_RESULTS", false),
        ("lane-1", "$JS.API.STREAM.MSG.DELETE.CLEARLANE_RESULTS", false),
        ("worker", "$JS.API.CONSUMER.DELETE.CLEARLANE_WORK.duplicates", false),
        ("lane-1", "jobs.1", false),
        ("lane-1", "work.duplicates.1.1", false),
        ("lane-1", "results.1.1", false),
        ("lane-1", "$JS.API.CONSUMER.MSG.NEXT.CLEARLANE_WORK.duplicates", false),
        ("node", "results.1.1", false),
        ("node", "work.duplicates.1.1", false),
        ("lane-1", "$JS.API.STREAM.DELETE.CLEARLANE_GALLERY", false),
        ("lane-1", "$JS.API.STREAM.MSG.DELETE.CLEARLANE_GALLERY", false),
    ] {
        let seed = std::fs::read_to_string(seed(role)).unwrap().trim().to_owned();
        let server = format!("nats://127.0.0.1:{}", brokers.brokers[0].port);
        let options = ConnectOptions::with_nkey(seed).request_timeout(Some(Duration::from_millis(700)));
        let client = options.connect(server).await.unwrap();
        let answer = client.request(subject.to_owned(), "{}".into()).await;
        assert_eq!(answer.is_ok(), may, "{role} {subject}: {answer:?}");
    }
    // What lane-1 could publish in its own name is no record that it sealed, and the centre says so.
    let refused = collector.next().await;
    assert!(refused.record.is_none() && refused.fault.is_some() && refused.lane == "lane-1", "{refused:?}");
}

async fn batches_are_the_registrars_to_list_and_remove(as_role: impl Fn(&str) -> ClusterOptions) {
    let options = DuplicateOptions::new(0.5).replicas(1);
    DuplicateSearch::open(key(), &as_role("registrar"), options).await.unwrap();
    let standing = async |role: &str| standing_batches(&key(), &as_role(role)).await;
    let [only] = &standing("registrar").await.unwrap().batches[..] else { panic!("one batch") };
    for role in ["node", "lane-1", "worker"] {
        let (secret, user) = (key(), as_role(role));
        let refused = tokio::join!(standing(role), discard_batch(&secret, &user, &only.name));
        let Err(ClusterError::Broker { .. }) = refused.0 else { panic!("{role}: {refused:?}") };
        let Err(ClusterError::Broker { .. }) = refused.1 else { panic!("{role}: {refused:?}") };
    }
    assert!(discard_batch(&key(), &as_role("registrar"), &only.name).await.unwrap());
    assert!(standing("registrar").await.unwrap().batches.is_empty());
}
