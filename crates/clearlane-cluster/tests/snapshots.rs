//! A node's snapshots: what a start takes from them, and what it does where it cannot.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use clearlane_cluster::{ClusterError, GallerySettings, Health, Node, NodeOptions, Partitions, Published, Registrar};
use clearlane_store::{
    Details, Document, DocumentKind, Endorsement, EndorsementKind, Enrolment, Entries, NumberDigest,
};
use support::{Brokers, face, key, registrar, registrar_options, until};

fn enrolment(number: u64) -> Enrolment {
    Enrolment::new(format!("traveller {number}")).with_template(face(number))
}

/// A node with snapshots in `folder`, once it holds what the registrar says.
async fn following(brokers: &Brokers, folder: &Path) -> Node {
    let options = NodeOptions::new("node", Partitions::ALL).snapshots(folder).bound(Duration::from_mins(1));
    let node = Node::start(key(), &brokers.options(), options).await.unwrap();
    let follows = || async { node.status().partitions.iter().all(|one| one.health == Health::Following) };
    until("the node follows", follows).await;
    node
}

fn templates(node: &Node) -> u64 {
    node.status().partitions.iter().map(|partition| partition.templates).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_from_its_snapshot_and_does_not_trust_it() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let enrolled = futures_util::future::join_all((0..200).map(|number| registrar.enrol(enrolment(number)))).await;
    let enrolled: Vec<_> = enrolled.into_iter().map(Result::unwrap).collect();
    let folder = brokers.path("snapshots");
    let start = || following(&brokers, &folder);
    let node = start().await;
    let options = NodeOptions::new("twin", Partitions::ALL).snapshots(&folder);
    let error = Node::start(key(), &brokers.options(), options).await.map(drop).unwrap_err();
    assert!(matches!(error, ClusterError::InUse { .. }), "{error}");
    node.close().await.unwrap();
    // What came and went meanwhile is read from the stream.
    for (number, gone) in enrolled.iter().enumerate().take(50) {
        registrar.revoke(gone.subject, "test").await.unwrap();
        registrar.enrol(enrolment(1000 + number as u64)).await.unwrap();
    }
    // A torn end, an altered middle, and a file of nothing: what is not sound is read from the stream.
    for damage in 0..4_usize {
        let path = folder.join("partition-1.log");
        let mut bytes = std::fs::read(&path).unwrap();
        match damage {
            0 => {}
            1 => bytes.truncate(bytes.len() - 10),
            2 => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            _ => bytes.truncate(7),
        }
        std::fs::write(&path, bytes).unwrap();
        let node = start().await;
        assert_eq!(templates(&node), 200, "damage {damage}");
        node.close().await.unwrap();
    }
    // Somebody else's file stays as it is.
    let path = folder.join("partition-1.log");
    std::fs::write(&path, "the log of another program").unwrap();
    let options = NodeOptions::new("node", Partitions::ALL).snapshots(&folder);
    let error = Node::start(key(), &brokers.options(), options).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("partition-1.log: it is no log of a node's"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"the log of another program");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_does_not_fit_is_no_answer_and_the_gallery_is_whole_with_room_again() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    for enrolled in futures_util::future::join_all((0..200).map(|number| registrar.enrol(enrolment(number)))).await {
        enrolled.unwrap();
    }
    let folder = brokers.path("snapshots");
    following(&brokers, &folder).await.close().await.unwrap();
    let small = GallerySettings::default().memory_limit(1 << 10);
    let options = NodeOptions::new("node", Partitions::ALL).snapshots(&folder).gallery(small);
    let node = Node::start(key(), &brokers.options(), options).await.unwrap();
    let refuses = || async { node.status().partitions.iter().all(|one| one.health == Health::Reloading) };
    until("the node reads all of it again", refuses).await;
    node.close().await.unwrap();
    assert_eq!(templates(&following(&brokers, &folder).await), 200);
}

/// Details of some 60 KB.
fn large() -> Details {
    let until = "2090-12-31".parse().unwrap();
    let endorsement = Endorsement {
        kind: EndorsementKind::IndividualVisit,
        entries: Entries::Multiple,
        valid_from: Some("2024-11-25".parse().unwrap()),
        expires: until,
    };
    let document = |number| Document {
        kind: DocumentKind::MainlandTravelPermitHkMacao,
        number_digest: NumberDigest([number; 32]),
        valid_from: None,
        expires: until,
        endorsements: vec![endorsement.clone(); 7],
    };
    Details { documents: (0..64).map(document).collect(), ..Details::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_what_is_gone_is_written_anew_and_holds_all_that_is_left() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let options = registrar_options(&brokers).partitions(1);
    let brokers_options = brokers.options();
    let open = || Registrar::open(register.clone(), key(), &brokers_options, options);
    until("the broker is ready", || async { open().await.is_ok() }).await;
    let registrar = open().await.unwrap();
    let folder = brokers.path("snapshots");
    let node = following(&brokers, &folder).await;
    let length = || std::fs::metadata(folder.join("partition-0.log")).unwrap().len();
    // One of each hundred stays, until the log is shorter than it was.
    let (mut longest, mut stay) = (0, 0);
    while length() >= longest {
        longest = length();
        assert!(stay < 200, "the log is not written anew: {longest} bytes");
        let enrol = |number| registrar.enrol(enrolment(stay * 100 + number).with_details(large()));
        let enrolled = futures_util::future::join_all((0..100).map(enrol)).await;
        let revoke = |enrolled: Result<Published, ClusterError>| registrar.revoke(enrolled.unwrap().subject, "test");
        for revoked in futures_util::future::join_all(enrolled.into_iter().skip(1).map(revoke)).await {
            revoked.unwrap();
        }
        stay += 1;
        until("the log has it", || async { templates(&node) == stay }).await;
    }
    assert!(longest > 32 << 20, "it is written anew too early: {longest} bytes");
    for number in 100_000..100_200 {
        registrar.enrol(enrolment(number)).await.unwrap();
    }
    until("the log has them", || async { templates(&node) == stay + 200 }).await;
    node.close().await.unwrap();
    registrar.close().await.unwrap();
    // Of the brokers' messages the head alone is left: the rest is in the log.
    let client = async_nats::connect(brokers.brokers[0].url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let stream = jetstream.get_stream("CLEARLANE_GALLERY").await.unwrap();
    let head = stream.get_last_raw_message_by_subject("gallery.0.head").await.unwrap().payload;
    stream.purge().filter("gallery.0.*").await.unwrap();
    jetstream.publish("gallery.0.head", head).await.unwrap().await.unwrap();
    let node = following(&brokers, &folder).await;
    assert_eq!(templates(&node), stay + 200);
}
