//! Freshness and integrity: what a broker, a lost link or another key may do, and what comes of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane_cluster::{
    Answer, AskOptions, ClusterError, ClusterKey, ClusterSearch, Complete, Follower, GallerySettings, Health, Node,
    NodeOptions, Partitions, Published, Registrar, RegistrarOptions, Why, cluster_status,
};
use clearlane_store::{Enrolment, Key};
use clearlane_template::{ModelId, Template};
use support::{Brokers, DIMENSION, capture, face, key, model, registrar, registrar_options, until};

fn enrolment(number: u64) -> Enrolment {
    Enrolment::new(format!("traveller {number}")).with_template(face(number))
}

/// A node of all partitions.
async fn node(brokers: &Brokers, bound: Duration) -> Node {
    let options = NodeOptions::new("node", Partitions::ALL).bound(bound);
    Node::start(key(), &brokers.options(), options).await.unwrap()
}

fn asking(max_age: Duration) -> AskOptions {
    AskOptions { max_age, budget: Duration::from_secs(2), ..AskOptions::new(3) }
}

/// Whether the best candidate for a capture of a face is this subject.
async fn finds(search: &ClusterSearch, number: u64, options: &AskOptions) -> Answer {
    search.search(&capture(number, 9), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_registrar_answers_end_with_the_bound() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let published = registrar.enrol(enrolment(1)).await.unwrap();
    let _node = node(&brokers, Duration::from_secs(2)).await;
    let follower = Follower::start(key(), &brokers.options(), GallerySettings::default(), None).await.unwrap();
    let search = ClusterSearch::connect(key(), &brokers.options()).await.unwrap();
    let options = asking(Duration::from_secs(2));
    let changed = options.clone().with_change(&published);
    until("the subject is found", || async {
        let answer = finds(&search, 1, &changed).await.complete();
        answer.is_some_and(|complete| complete.candidates[0].subject == published.subject)
    })
    .await;
    registrar.close().await.unwrap();
    let closed = Instant::now();
    // For as long as the bound allows there are answers, and none afterwards; the node leaves, and the local mode says how old
    // it is.
    let mut last = closed;
    while closed.elapsed() < Duration::from_millis(3500) {
        if !finds(&search, 1, &AskOptions { budget: Duration::from_millis(100), ..options.clone() }).await.refers() {
            last = Instant::now();
        }
    }
    assert!((last - closed) < Duration::from_millis(2200), "an answer {:?} after the last head", last - closed);
    let Answer::Incomplete(incomplete) = finds(&search, 1, &options).await else { panic!("an old answer") };
    assert!(matches!(incomplete.missing[0].why, Why::NoNode | Why::Behind { .. }), "{incomplete}");
    let Answer::Incomplete(incomplete) = follower.search(&face(1), &options).unwrap() else { panic!("an old answer") };
    assert!(matches!(incomplete.missing[0].why, Why::Behind { head: Some(_) }), "{incomplete}");
    assert!(incomplete.to_string().starts_with("refer to an officer: partition 0:"), "{incomplete}");
    // And an operator is told, before a lane says it.
    let status = cluster_status(&key(), &brokers.options(), Duration::from_secs(1)).await.unwrap();
    assert_eq!((status.nodes.len(), status.answering(0)), (1, 0), "{status:?}");
    // Whoever bears an older answer gets it.
    assert!(!follower.search(&face(1), &asking(Duration::from_mins(1))).unwrap().refers());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_subject_is_in_no_answer_after_the_bound_and_what_was_enrolled_in_the_register_comes_too() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    // Before the registrar starts, and while it runs, by somebody else.
    let (before, _) = register.enrol(&enrolment(1)).unwrap();
    let registrar = registrar(&brokers, &register).await;
    let (beside, _) = register.enrol(&enrolment(2)).unwrap();
    let _node = node(&brokers, Duration::from_secs(5)).await;
    let search = ClusterSearch::connect(key(), &brokers.options()).await.unwrap();
    let options = asking(Duration::from_secs(5));
    for (number, subject) in [(1, before), (2, beside)] {
        until("the subject is found", || async {
            let answer = finds(&search, number, &options).await.complete();
            answer.is_some_and(|complete| complete.candidates.first().is_some_and(|best| best.subject == subject))
        })
        .await;
    }
    let gone = registrar.revoke(before, "withdrew").await.unwrap();
    // An answer of that position has not the subject; nor has any after the bound.
    let answer = finds(&search, 1, &options.clone().with_change(&gone)).await.complete().unwrap();
    assert!(answer.candidates.iter().all(|candidate| candidate.subject != before));
    let short = asking(Duration::from_millis(500));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let answer = finds(&search, 1, &short).await.complete().unwrap();
    assert!(answer.candidates.iter().all(|candidate| candidate.subject != before));
    assert!(answer.age <= Duration::from_millis(500));
    // Once more is an error of the register, and nothing is published.
    let error = registrar.revoke(before, "again").await.unwrap_err();
    assert!(matches!(error, ClusterError::Register(_)), "{error}");
    // A registrar that starts again finds that nothing differs.
    let subjects = registrar.progress().subjects;
    registrar.close().await.unwrap();
    let registrar = support::registrar(&brokers, &register).await;
    assert_eq!(registrar.progress().subjects, subjects);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_with_access_to_the_brokers_replays_or_forges_is_in_no_answer_and_is_put_right() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let published = registrar.enrol(enrolment(1)).await.unwrap();
    let other = registrar.enrol(enrolment(2)).await.unwrap();
    let client = async_nats::connect(format!("nats://127.0.0.1:{}", brokers.brokers[0].port)).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let stream = jetstream.get_stream("CLEARLANE_GALLERY").await.unwrap();
    let place = format!("gallery.{}.{}", published.partition, published.subject);
    let kept = stream.get_last_raw_message_by_subject(&place).await.unwrap();
    registrar.revoke(published.subject, "withdrew").await.unwrap();
    let mut node = node(&brokers, Duration::from_secs(5)).await;
    let search = ClusterSearch::connect(key(), &brokers.options()).await.unwrap();
    let options = asking(Duration::from_secs(1));
    until("the cluster answers", || async { !finds(&search, 2, &options).await.refers() }).await;

    // The revoked subject's message again; another subject's altered; something at a place that no subject has.
    let elsewhere = format!("gallery.{}.{}", other.partition, other.subject);
    for (place, message) in [
        (place.clone(), kept.payload.clone()),
        (elsewhere, bytes::Bytes::from_static(b"no state at all")),
        (format!("gallery.{}.head", published.partition), kept.payload.clone()),
        ("gallery.0.nobody".to_owned(), kept.payload.clone()),
    ] {
        jetstream.publish(place, message).await.unwrap().await.unwrap();
    }
    let until_then = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until_then {
        if let Some(complete) = finds(&search, 1, &options).await.complete() {
            assert!(complete.candidates.iter().all(|candidate| candidate.subject != published.subject));
            assert!(complete.candidates.iter().any(|candidate| candidate.subject == other.subject));
        }
    }
    until("the registrar has put all of it right", || async { registrar.progress().foreign >= 3 }).await;
    until("the cluster answers again", || async { !finds(&search, 2, &options).await.refers() }).await;
    let refused: u64 = node.status().partitions.iter().map(|partition| partition.refused).sum();
    assert!(refused >= 1, "{:?}", node.status());
    // A node that reads all of it now does so too.
    drop(node);
    node = self::node(&brokers, Duration::from_secs(5)).await;
    until("a new node follows", || async {
        node.status().partitions.iter().all(|partition| partition.health == Health::Following)
    })
    .await;

    // A message that was withheld: no answer hides it, the node that lacks it says so, and it is put there again.
    let place = format!("gallery.{}.{}", other.partition, other.subject);
    let sequence = stream.get_last_raw_message_by_subject(&place).await.unwrap().sequence;
    stream.delete_message(sequence).await.unwrap();
    let lacking = self::node(&brokers, Duration::from_secs(5)).await;
    let of_it = || lacking.status().partitions.into_iter().find(|one| one.partition == other.partition).unwrap();
    until("the node that lacks the message finds that it does", || async { of_it().reloads > 0 }).await;
    until("it is put there again", || async { of_it().health == Health::Following }).await;
    let again = stream.get_last_raw_message_by_subject(&place).await.unwrap();
    assert!(again.sequence > sequence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_model_register_or_division_is_refused_with_words() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let options = brokers.options();
    let nobody: ClusterKey = Key::from_bytes([8; 32]).into();
    until("the broker is up, and holds no gallery", || async {
        matches!(ClusterSearch::connect(key(), &options).await, Err(ClusterError::NoGallery))
    })
    .await;
    let registrar = registrar(&brokers, &register).await;
    registrar.enrol(enrolment(1)).await.unwrap();
    let error = ClusterSearch::connect(nobody.clone(), &options).await.err().unwrap();
    assert!(matches!(error, ClusterError::OtherKey { .. }), "{error}");
    let error = Node::start(nobody, &options, NodeOptions::new("node", Partitions::ALL)).await.err().unwrap();
    assert!(error.to_string().contains("give all machines the same key"), "{error}");
    let error = Node::start(key(), &options, NodeOptions::new("node", Partitions::of([3]))).await.err().unwrap();
    assert_eq!(error.to_string(), "there is no partition 3: the gallery has 3, numbered from 0");

    let other = support::register(&brokers.path("other.register"));
    let of = registrar_options(&brokers);
    let error = Registrar::open(other, key(), &options, of).await.err().unwrap();
    assert!(matches!(error, ClusterError::OtherRegister), "{error}");
    let error = Registrar::open(register.clone(), key(), &options, of.partitions(4)).await.err().unwrap();
    assert!(matches!(error, ClusterError::OtherPartitions { found: 3, expected: 4 }), "{error}");
    let another = ModelId::digest([b"another".as_slice()]);
    let of = RegistrarOptions::new(another, DIMENSION).partitions(3).replicas(1);
    let error = Registrar::open(register.clone(), key(), &options, of).await.err().unwrap();
    assert!(matches!(error, ClusterError::OtherModel { .. }), "{error}");

    let search = ClusterSearch::connect(key(), &options).await.unwrap();
    let probe = Template::normalised(another, vec![1.0; DIMENSION]).unwrap();
    let error = search.search(&probe, &AskOptions::new(1)).await.unwrap_err();
    assert!(matches!(error, ClusterError::OtherModel { .. }), "{error}");
    let probe = Template::normalised(model(), vec![1.0; 8]).unwrap();
    let error = search.search(&probe, &AskOptions::new(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "expected a template of 32 values, got 8");

    // A second registrar of the same register: one of the two stops, and says why.
    let mut first = registrar;
    let second = support::registrar(&brokers, &register).await;
    let mut second = second;
    let stopped = tokio::select! {
        error = first.failed() => error,
        error = second.failed() => error,
    };
    assert!(matches!(stopped, ClusterError::AnotherRegistrar), "{stopped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_no_broker_acknowledges_says_so_and_is_published_later() {
    let Some(mut brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let options = registrar_options(&brokers).wait(Duration::from_millis(700));
    drop(registrar(&brokers, &register).await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let registrar = Registrar::open(register.clone(), key(), &brokers.options(), options).await.unwrap();
    let published = registrar.enrol(enrolment(1)).await.unwrap();
    let follower = Follower::start(key(), &brokers.options(), GallerySettings::default(), None).await.unwrap();
    let bound = asking(Duration::from_secs(3));
    until("the lane follows", || async { !follower.search(&face(1), &bound).unwrap().refers() }).await;
    brokers.brokers[0].kill();
    // The lane goes on alone, within the bound; then it refers.
    assert!(!follower.search(&face(1), &bound).unwrap().refers());
    let error = registrar.revoke(published.subject, "withdrew").await.unwrap_err();
    assert!(matches!(error, ClusterError::NotYetPublished { .. }), "{error}");
    // And so does whoever comes after it.
    let error = registrar.enrol(enrolment(3)).await.unwrap_err();
    assert!(matches!(error, ClusterError::NotYetPublished { .. }), "{error}");
    assert!(register.subject_by_id(published.subject).unwrap().unwrap().revoked.is_some());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(follower.search(&face(1), &bound).unwrap().refers());
    brokers.brokers[0].restart();
    until("the revocation arrives", || async {
        let answer = follower.search(&face(1), &bound).unwrap().complete();
        answer.is_some_and(|complete| {
            let found = |number| complete.candidates.iter().any(|one| one.subject.0 == number);
            !found(published.subject.0) && found(published.subject.0 + 1)
        })
    })
    .await;
    assert!(registrar.enrol(enrolment(2)).await.is_ok());
}

/// All files of a broker.
fn copy(from: &Path, to: &Path) {
    _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_brokers_acknowledged_and_lost_is_published_again() {
    let Some(mut brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let kept = registrar.enrol(enrolment(1)).await.unwrap();
    let moved = registrar.enrol(enrolment(2)).await.unwrap();
    let _node = node(&brokers, Duration::from_secs(5)).await;
    let search = ClusterSearch::connect(key(), &brokers.options()).await.unwrap();
    let options = asking(Duration::from_secs(2));
    let found = |number: u64, change: Published| {
        let (search, options) = (&search, options.clone().with_change(&change));
        async move {
            let answer = finds(search, number, &options).await.complete();
            answer.is_some_and(|answer| answer.candidates[0].subject == change.subject)
        }
    };
    until("the first is found", || found(1, kept.clone())).await;

    // The broker comes back with the files of some time ago: one enrolment more recent, one revocation.
    let (files, aside) = (brokers.path("broker-0"), brokers.path("aside"));
    brokers.brokers[0].kill();
    copy(&files, &aside);
    brokers.brokers[0].restart();
    let added = registrar.enrol(enrolment(3)).await.unwrap();
    let gone = registrar.revoke(moved.subject, "moved").await.unwrap();
    until("the third is found", || found(3, added.clone())).await;
    brokers.brokers[0].kill();
    copy(&aside, &files);
    brokers.brokers[0].restart();

    until("the third is found again", || found(3, added.clone())).await;
    until("the first is found again", || found(1, kept.clone())).await;
    let answer = finds(&search, 2, &options.clone().with_change(&gone)).await.complete().unwrap();
    assert!(answer.candidates.iter().all(|candidate| candidate.subject != moved.subject), "{answer:?}");
    // It goes on as ever.
    let after = registrar.enrol(enrolment(4)).await.unwrap();
    until("the fourth is found", || found(4, after.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_says_it_is_of_a_time_has_whatever_anybody_changed_in_the_register_before() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = Arc::new(registrar(&brokers, &register).await);
    let first = registrar.enrol(enrolment(1)).await.unwrap();
    let follower = Follower::start(key(), &brokers.options(), GallerySettings::default(), None).await.unwrap();
    let options = asking(Duration::from_secs(5));
    let answer = || follower.search(&capture(1, 9), &options).unwrap().complete();
    let has_first = |list: &Complete| list.candidates.iter().any(|one| one.subject == first.subject);
    until("the first is found", || async { answer().is_some_and(|list| has_first(&list)) }).await;
    // The registrar is in the middle of publishing, and the broker stands still, when another process revokes the first.
    brokers.brokers[0].signal("-STOP");
    let second = {
        let registrar = Arc::clone(&registrar);
        tokio::spawn(async move { registrar.enrol(enrolment(2)).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _ = register.revoke(first.subject, "moved").unwrap();
    let revoked = jiff::Timestamp::now();
    tokio::time::sleep(Duration::from_millis(200)).await;
    brokers.brokers[0].signal("-CONT");
    let (until_then, mut later) = (Instant::now() + Duration::from_secs(2), 0);
    while Instant::now() < until_then || later == 0 {
        let Some(list) = tokio::task::block_in_place(answer) else { continue };
        if list.as_of > revoked {
            later += 1;
            assert!(!has_first(&list), "{list:?} at {revoked}");
        }
        tokio::task::yield_now().await;
    }
    second.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_enrolled_who_could_not_be_found() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let other = Template::normalised(ModelId::digest([b"another".as_slice()]), vec![1.0; DIMENSION]).unwrap();
    let many = (0..33).fold(Enrolment::new("many"), |many, number| many.with_template(face(number)));
    let refused =
        [("none", Enrolment::new("none")), ("other", Enrolment::new("other").with_template(other)), ("many", many)];
    for (key, enrolment) in refused {
        let error = registrar.enrol(enrolment).await.unwrap_err();
        assert!(
            matches!(
                error,
                ClusterError::Setting { .. } | ClusterError::OtherModel { .. } | ClusterError::TooLarge { .. }
            ),
            "{key}: {error}"
        );
        assert_eq!(register.subject(key).unwrap(), None, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_was_replaced_is_put_back_and_nodes_answer_into_inboxes_alone() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    registrar.enrol(enrolment(1)).await.unwrap();
    let _node = node(&brokers, Duration::from_secs(5)).await;
    let client = async_nats::connect(brokers.brokers[0].url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client.clone());
    // One that is right stays, though this registrar did not write it.
    let heads = registrar.progress().head;
    until("the registrar has looked at it", || async { registrar.progress().head > heads + 5 }).await;
    let stream = jetstream.get_stream("CLEARLANE_GALLERY").await.unwrap();
    assert_eq!(stream.get_last_raw_message_by_subject("gallery.config").await.unwrap().sequence, 1);
    jetstream.publish("gallery.config", "something else".into()).await.unwrap().await.unwrap();
    until("somebody new reads the configuration", || async {
        ClusterSearch::connect(key(), &brokers.options()).await.is_ok()
    })
    .await;
    // A question of another version, which a node answers in words, and one for its status; both to be answered in the gallery.
    let question = [[0; 16].as_slice(), &[9; 80]].concat();
    for subject in ["ask.0", "status.nodes"] {
        client.publish_with_reply(subject, "gallery.0.77", question.clone().into()).await.unwrap();
    }
    client.flush().await.unwrap();
    let answered = client.request("ask.0", question.into()).await.unwrap();
    assert!(!answered.payload.is_empty(), "an inbox gets the answer");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stream = jetstream.get_stream("CLEARLANE_GALLERY").await.unwrap();
    assert!(stream.get_last_raw_message_by_subject("gallery.0.77").await.is_err());
    // The configuration, unless it was put back before it was counted.
    assert!(registrar.progress().foreign <= 1, "{:?}", registrar.progress());
}
