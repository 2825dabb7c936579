//! Crossing records arrive, each once, in their lane's order; what is missing or was put there is named.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use clearlane_cluster::{
    ClusterError, Collected, CollectorState, RecordCollector, RecordFault, RecordForwarder, RecordSender, SentRecord,
};
use clearlane_store::{Direction, Key, Keyring, NewRecord, Outcome, Register};
use support::{Brokers, key, until};

/// Waits until the broker keeps records.
async fn ready(brokers: &Brokers) {
    let options = brokers.options();
    let starts = || async { RecordCollector::start(key(), &options, 1, CollectorState::default()).await.is_ok() };
    until("the broker is ready", starts).await;
}

async fn collector(brokers: &Brokers, state: &CollectorState) -> RecordCollector {
    RecordCollector::start(key(), &brokers.options(), 1, state.clone()).await.unwrap()
}

async fn sender(brokers: &Brokers, lane: &str) -> RecordSender {
    RecordSender::start(key(), &brokers.options(), lane, brokers.path("outbox")).await.unwrap()
}

/// The next `count` records, in which nothing is wrong.
async fn records(collector: &mut RecordCollector, count: usize) -> Vec<(String, u64, String)> {
    let mut records = Vec::new();
    while records.len() < count {
        let Collected { lane, record, fault, .. } = collector.next().await;
        assert_eq!(fault, None);
        let (number, bytes) = record.unwrap();
        records.push((lane, number, String::from_utf8(bytes).unwrap()));
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_outlive_brokers_and_lanes_and_come_once() {
    let Some(mut brokers) = Brokers::start(1) else { return };
    ready(&brokers).await;
    let mut centre = collector(&brokers, &CollectorState::default()).await;
    let (one, two) = (sender(&brokers, "lane-1").await, sender(&brokers, "lane-2").await);
    for number in 1..=20 {
        one.send(format!("one {number}").as_bytes()).unwrap();
        two.send(format!("two {number}").as_bytes()).unwrap();
    }
    let mut came = records(&mut centre, 40).await;
    came.sort();
    let expected = ["lane-1", "lane-2"]
        .iter()
        .zip(["one", "two"])
        .flat_map(|(lane, word)| (1..=20).map(move |number| ((*lane).to_owned(), number, format!("{word} {number}"))));
    assert_eq!(came, expected.collect::<Vec<_>>());
    let state = centre.state().clone();

    // The broker is gone, and the lane's process with it; what was sent meanwhile comes afterwards.
    brokers.brokers[0].kill();
    one.send(b"one 21").unwrap();
    assert_eq!(one.waiting(), 1);
    drop(one);
    brokers.brokers[0].restart();
    ready(&brokers).await;
    // The one who followed before does so again by itself; one that starts goes on from its state.
    let one = sender(&brokers, "lane-1").await;
    one.flush().await.unwrap();
    two.flush().await.unwrap();
    let expected = vec![("lane-1".to_owned(), 21, "one 21".to_owned())];
    assert_eq!(records(&mut centre, 1).await, expected);
    assert_eq!(records(&mut collector(&brokers, &state).await, 1).await, expected);
    let all = records(&mut collector(&brokers, &CollectorState::default()).await, 41).await;
    assert_eq!(all.len(), 41);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_forged_or_forked_is_named_with_its_lane() {
    let Some(brokers) = Brokers::start(1) else { return };
    ready(&brokers).await;
    let lane = sender(&brokers, "lane-1").await;
    for number in 1..=6 {
        lane.send(format!("passage {number}").as_bytes()).unwrap();
    }
    lane.flush().await.unwrap();
    let client = async_nats::connect(format!("nats://127.0.0.1:{}", brokers.brokers[0].port)).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let stream = jetstream.get_stream("CLEARLANE_RECORDS").await.unwrap();
    let copy = stream.get_raw_message(2).await.unwrap().payload;
    // Taken out by somebody with access; put there again; put into another lane's; no record at all.
    stream.delete_message(3).await.unwrap();
    stream.delete_message(4).await.unwrap();
    for (subject, payload) in
        [("records.lane-1", copy.clone()), ("records.lane-2", copy), ("records.lane-1", "x".into())]
    {
        jetstream.publish(subject, payload).await.unwrap().await.unwrap();
    }
    // The lane's disk is lost, and it has sent what it does not know of: it goes on after what the brokers have.
    drop(lane);
    let mut centre = collector(&brokers, &CollectorState::default()).await;
    let mut came = Vec::new();
    for _ in 0..6 {
        let Collected { lane, record, fault, .. } = centre.next().await;
        came.push((lane, record.map(|(count, _)| count), fault));
    }
    let lane = |name: &str| name.to_owned();
    assert_eq!(came[0], (lane("lane-1"), Some(1), None));
    assert_eq!(came[1], (lane("lane-1"), Some(2), None));
    assert_eq!(came[2], (lane("lane-1"), Some(5), Some(RecordFault::Gap { from: 3, until: 4 })));
    assert_eq!(came[3], (lane("lane-1"), Some(6), None));
    // The copy in its own lane is known already; in another's it does not open.
    assert!(matches!(&came[4], (name, None, Some(RecordFault::Refused { .. })) if name == "lane-2"), "{came:?}");
    assert!(matches!(&came[5], (name, None, Some(RecordFault::Refused { .. })) if name == "lane-1"), "{came:?}");
}

fn port_of((_, _, json): (String, u64, String)) -> String {
    serde_json::from_str::<SentRecord>(&json).unwrap().record.passage.port
}

fn passage(port: &str) -> NewRecord {
    NewRecord {
        time: jiff::Timestamp::now(),
        port: port.to_owned(),
        lane: "lane 1".to_owned(),
        direction: Direction::Exit,
        outcome: Outcome::Refer,
        subject: None,
        score: None,
        threshold: None,
        margin: None,
        model: None,
        reasons: "no-candidate".to_owned(),
        voids: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registers_records_are_sent_once_and_all_of_them_where_it_was_restored() {
    let Some(brokers) = Brokers::start(1) else { return };
    ready(&brokers).await;
    let path = brokers.path("lane.register");
    let register = support::register(&path);
    let send = |register: &Arc<Register>| {
        let forwarder =
            RecordForwarder::start(key(), &brokers.options(), "lane-1", brokers.path("outbox"), Arc::clone(register));
        let forwarder = forwarder.unwrap();
        let count = forwarder.forward().unwrap();
        assert_eq!(forwarder.flush(Duration::from_secs(20)).unwrap(), 0);
        count
    };
    register.append_records(&["one", "two"].map(passage)).unwrap();
    assert_eq!(send(&register), 2);
    let backup = brokers.path("backup.register");
    register.backup(&backup, |_, _| {}).unwrap();
    register.append_records(&["three"].map(passage)).unwrap();
    assert_eq!((send(&register), send(&register)), (1, 0));
    // The register is restored, and goes on otherwise: what came instead of the third is not lost.
    let restored = Arc::new(Register::open(&backup, Keyring::new(Key::from_bytes([1; 32]))).unwrap());
    restored.append_records(&["another three", "four"].map(passage)).unwrap();
    assert_eq!(send(&restored), 4);
    // What was sent is pruned, with a record that was not; what comes then is sent all the same.
    restored.append_records(&["five"].map(passage)).unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    restored.append_records(&["six"].map(passage)).unwrap();
    let sixth = restored.record(6).unwrap().unwrap().passage.time;
    let _ = restored.prune_records(sixth).unwrap();
    assert_eq!(restored.record(5).unwrap(), None);
    assert_eq!((send(&restored), send(&restored)), (1, 0));
    let mut centre = collector(&brokers, &CollectorState::default()).await;
    let ports: Vec<_> = records(&mut centre, 8).await.into_iter().map(port_of).collect();
    assert_eq!(ports, ["one", "two", "three", "one", "two", "another three", "four", "six"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_is_one_senders_with_one_key_and_free_when_the_sender_is_dropped() {
    let Some(brokers) = Brokers::start(1) else { return };
    ready(&brokers).await;
    let one = sender(&brokers, "lane-1").await;
    one.send(b"one").unwrap();
    let second = RecordSender::start(key(), &brokers.options(), "lane-1", brokers.path("outbox")).await;
    let error = second.map(drop).unwrap_err();
    assert!(matches!(error, ClusterError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("records-lane-1.outbox: somebody works with it"), "{error}");
    one.flush().await.unwrap();
    drop(one);
    for count in 2..20 {
        assert_eq!(sender(&brokers, "lane-1").await.send(b"again").unwrap(), count);
    }
    // What waits in it was sealed with a key that is not here: nothing of it is lost.
    let file = brokers.path("outbox").join("records-lane-1.outbox");
    let before = std::fs::read(&file).unwrap();
    let other = Key::from_bytes([8; 32]).into();
    let error = RecordSender::start(other, &brokers.options(), "lane-1", brokers.path("outbox")).await;
    let error = error.map(drop).unwrap_err();
    assert!(matches!(error, ClusterError::OtherKey { .. }), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}
