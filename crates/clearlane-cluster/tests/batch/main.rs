//! The gallery is compared with itself by workers: all pairs that a naive comparison finds, and each block once, whoever is killed.
#![allow(clippy::unwrap_used)]

mod standing;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use clearlane_cluster::{
    BatchWorker, BatchWorkerOptions, ClusterError, DuplicateOptions, DuplicateReport, DuplicateSearch, Health, Node,
    NodeOptions, Partitions, Registrar,
};
use clearlane_store::Enrolment;
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use support::{Brokers, capture, face, key, registrar, until};

/// Those who are enrolled, with their templates.
type Enrolled = Vec<(SubjectId, Vec<(TemplateId, Template)>)>;

async fn enrol(
    registrar: &Registrar,
    name: String,
    templates: Vec<Template>,
) -> (SubjectId, Vec<(TemplateId, Template)>) {
    let mut enrolment = Enrolment::new(name);
    for template in &templates {
        enrolment = enrolment.with_template(template.clone());
    }
    let published = registrar.enrol(enrolment).await.unwrap();
    (published.subject, published.templates.into_iter().zip(templates).collect())
}

/// Travellers of whom some are enrolled twice, or three times, by other captures; every fourth has two templates.
async fn enrol_all(registrar: &Registrar, count: u64) -> Enrolled {
    let people = (0..count).flat_map(|number| {
        let times = if number.is_multiple_of(10) { 2 + number / 10 % 2 } else { 1 };
        (0..times).map(move |time| (number, time))
    });
    let enrolling = people.map(|(number, time)| {
        let mut templates = vec![if time == 0 { face(number) } else { capture(number, time) }];
        templates.extend(number.is_multiple_of(4).then(|| capture(number, 100 + time)));
        enrol(registrar, format!("traveller {number}, {time}"), templates)
    });
    futures_util::future::join_all(enrolling).await
}

/// Every two subjects' best score, where it reaches the threshold: each with each.
fn naive(enrolled: &Enrolled, threshold: f32) -> BTreeMap<(SubjectId, SubjectId), f32> {
    let mut pairs = BTreeMap::new();
    for (number, (one, templates)) in enrolled.iter().enumerate() {
        for (other, others) in &enrolled[..number] {
            let scores = templates.iter().flat_map(|(_, a)| others.iter().map(|(_, b)| a.score(b).unwrap()));
            let best = scores.fold(-1.0, f32::max);
            if best >= threshold {
                pairs.insert((*one.min(other), *one.max(other)), best);
            }
        }
    }
    pairs
}

fn assert_is_naive(report: &DuplicateReport, enrolled: &Enrolled, threshold: f32) {
    let naive = naive(enrolled, threshold);
    let pairs: BTreeMap<_, _> = report.pairs.iter().map(|pair| ((pair.subject, pair.other), pair.score)).collect();
    assert_eq!(pairs.len(), report.pairs.len(), "each pair once");
    assert_eq!(pairs.keys().collect::<Vec<_>>(), naive.keys().collect::<Vec<_>>());
    let templates: BTreeMap<_, _> =
        enrolled.iter().flat_map(|(subject, all)| all.iter().map(|(id, one)| (*id, (*subject, one)))).collect();
    for pair in &report.pairs {
        assert!((pair.score - naive[&(pair.subject, pair.other)]).abs() < 1e-5, "{pair:?}");
        let ((one, a), (two, b)) = (templates[&pair.template], templates[&pair.other_template]);
        assert_eq!((one, two), (pair.subject, pair.other));
        assert!((a.score(b).unwrap() - pair.score).abs() < 1e-5, "{pair:?}");
    }
    assert!(report.pairs.is_sorted_by(|a, b| a.score >= b.score), "best first");
}

async fn node(brokers: &Brokers) -> Node {
    Node::start(key(), &brokers.options(), NodeOptions::new("node", Partitions::ALL)).await.unwrap()
}

async fn worker(brokers: &Brokers) -> BatchWorker {
    BatchWorker::start(key(), &brokers.options(), BatchWorkerOptions::default()).await.unwrap()
}

async fn context(brokers: &Brokers) -> jetstream::Context {
    jetstream::new(async_nats::connect(brokers.brokers[0].url()).await.unwrap())
}

/// How many messages a stream has.
async fn messages(context: &jetstream::Context, stream: &str) -> u64 {
    context.get_stream(stream).await.unwrap().cached_info().state.messages
}

/// The workers' consumer as the brokers have it.
async fn consumer(context: &jetstream::Context) -> jetstream::consumer::PullConsumer {
    context.get_stream_no_info("CLEARLANE_WORK").await.unwrap().get_consumer("duplicates").await.unwrap()
}

/// Takes a message out of a stream, as brokers that lose it: the latest of a subject.
async fn lose(context: &jetstream::Context, stream: &str, subject: &str) {
    let stream = context.get_stream(stream).await.unwrap();
    let sequence = stream.get_last_raw_message_by_subject(subject).await.unwrap().sequence;
    stream.delete_message(sequence).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_are_those_of_a_naive_comparison_and_each_block_counts_once_whoever_is_killed() {
    let Some(mut brokers) = Brokers::start(3) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let mut enrolled = enrol_all(&registrar, 200).await;
    let (gone, _) = enrolled.remove(0);
    registrar.revoke(gone, "moved").await.unwrap();

    let threshold = 0.6;
    let options = DuplicateOptions::new(threshold).others(20).block(8).hold(Duration::from_secs(2));
    let cluster = brokers.options();
    let open = || DuplicateSearch::open(key(), &cluster, options);
    let search = open().await.unwrap();
    assert!(!search.resumed());
    let blocks = search.blocks();
    assert!(blocks >= 26, "{blocks}");
    drop(search);

    // No node answers yet: a worker has a block, and is killed while it waits for whole answers.
    let killed = worker(&brokers).await;
    let context = context(&brokers).await;
    let pending = || async { consumer(&context).await.cached_info().num_ack_pending };
    until("the worker has a block", || async { pending().await == 1 }).await;
    drop(killed);
    let _node = node(&brokers).await;
    let mut search = open().await.unwrap();
    assert!(search.resumed());

    // Two workers, one of which is killed wherever it is, and a broker with it; and the coordinator ends in between.
    let (one, two) = (worker(&brokers).await, worker(&brokers).await);
    for _ in 0..blocks / 3 {
        assert!(search.advance().await.unwrap());
    }
    drop(one);
    brokers.brokers[2].kill();
    let done = search.done();
    drop(search);
    // The brokers that are left may have to choose who leads.
    let end = Instant::now() + Duration::from_secs(30);
    let mut search = loop {
        match open().await {
            Ok(search) => break search,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    };
    assert!(search.resumed());
    while search.advance().await.unwrap() {}
    brokers.brokers[2].restart();
    assert!(search.done() == blocks && done < blocks);
    let report = search.report();
    assert!(report.failed.is_empty() && report.more.is_empty(), "{report:?}");
    assert_eq!(report.subjects, enrolled.len() as u64);
    assert_eq!(report.templates, enrolled.iter().map(|(_, templates)| templates.len() as u64).sum::<u64>());
    assert_eq!(report.positions.iter().map(|position| position.partition).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(report.pairs.len() > 20, "{}", report.pairs.len());
    assert_is_naive(&report, &enrolled, threshold);

    // The brokers took the job and one result of each block, and nothing else ever.
    let state = context.get_stream("CLEARLANE_RESULTS").await.unwrap().cached_info().state.clone();
    assert_eq!((state.messages, state.last_sequence), (u64::from(blocks) + 1, u64::from(blocks) + 1));

    // Opened again it has everything, without a worker; removed, nothing is left of it but that it was.
    two.close().await.unwrap();
    let mut search = open().await.unwrap();
    while search.advance().await.unwrap() {}
    assert_eq!(search.report(), report);
    search.remove().await.unwrap();
    assert_eq!((messages(&context, "CLEARLANE_RESULTS").await, messages(&context, "CLEARLANE_WORK").await), (1, 0));
}

/// What is said of seven bytes where a block should be.
const CUT_OFF: &str = "a block of work is cut off: it has 7 bytes";

/// Five subjects of one person, each of which resembles four others.
async fn of_a_kind(registrar: &Registrar) -> Vec<SubjectId> {
    let enrolling = (0..5).map(|time| enrol(registrar, format!("one of a kind {time}"), vec![capture(1, time)]));
    futures_util::future::join_all(enrolling).await.into_iter().map(|(subject, _)| subject).collect()
}

async fn open(brokers: &Brokers, options: DuplicateOptions) -> DuplicateSearch {
    DuplicateSearch::open(key(), &brokers.options(), options.replicas(1)).await.unwrap()
}

fn finish(mut search: DuplicateSearch) -> BoxFuture<'static, DuplicateReport> {
    Box::pin(async move {
        while search.advance().await.unwrap() {}
        let report = search.report();
        search.remove().await.unwrap();
        report
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_have_more_others_than_were_asked_for_is_named_and_lost_blocks_are_given_out_again() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let subjects = of_a_kind(&registrar).await;
    let _node = node(&brokers).await;
    let options = DuplicateOptions::new(0.5);
    let other_model = options.model(ModelId::digest([b"another model".as_slice()]));
    let refused = DuplicateSearch::open(key(), &brokers.options(), other_model).await;
    assert!(matches!(refused, Err(ClusterError::OtherModel { .. })));
    let settings = [options.others(0), options.others(128), options.block(0), options.fmr(1.0)];
    let holds = [Duration::ZERO, Duration::from_secs(3601)].map(|hold| options.hold(hold));
    for options in settings.into_iter().chain(holds).chain([DuplicateOptions::new(f32::NAN)]) {
        let refused = DuplicateSearch::open(key(), &brokers.options(), options).await;
        assert!(matches!(refused, Err(ClusterError::Setting { .. })));
    }

    let two = open(&brokers, options.others(2)).await;
    // Brokers of 2.9 whose operator purges a block deliver none of the others any more, by themselves.
    let context = context(&brokers).await;
    let whole = open(&brokers, options.others(5).block(1)).await;
    let stream = context.get_stream("CLEARLANE_WORK").await.unwrap();
    let mut blocks = stream.info_with_subjects("work.>").await.unwrap();
    let (block, _) = blocks.next().await.unwrap().unwrap();
    stream.purge().filter(block).await.unwrap();
    let _worker = worker(&brokers).await;
    assert!(!two.resumed() && !whole.resumed(), "what is asked otherwise is another job");
    let (two, whole) = (finish(two).await, finish(whole).await);
    assert_eq!(two.more, subjects);
    assert!((5..10).contains(&two.pairs.len()) && two.pairs.iter().all(|pair| whole.pairs.contains(pair)), "{two:?}");
    assert!(whole.more.is_empty() && whole.pairs.len() == 10, "{whole:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_puts_there_stops_nobody_and_a_block_that_cannot_be_done_says_why() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    of_a_kind(&registrar).await;
    let _node = node(&brokers).await;
    let options = DuplicateOptions::new(0.5).block(1).hold(Duration::from_secs(2));
    let context = context(&brokers).await;
    let publish =
        async |subject: &str| context.publish(subject.to_owned(), "nothing".into()).await.unwrap().await.unwrap();

    // What was left of a job that is not any more, and what is no block of one that is, is swept when one is opened.
    drop(open(&brokers, options).await);
    let work = context.get_stream("CLEARLANE_WORK").await.unwrap();
    let (block, _) = work.info_with_subjects("work.>").await.unwrap().next().await.unwrap().unwrap();
    let (stem, _) = block.rsplit_once('.').unwrap();
    let own = stem.replace("work.duplicates.", "results.");
    let junk =
        [format!("{own}.5"), format!("{own}.nothing"), format!("{stem}.5"), stem.replace("work", "work.x") + ".0"];
    for subject in junk.iter().map(String::as_str).chain(["results.00000000000000000000000000000000.7", "work.x"]) {
        publish(subject).await;
    }
    publish("jobs.nothing").await;
    let search = open(&brokers, options).await;
    assert!(search.resumed() && search.blocks() == 5);
    let left = async || (messages(&context, "CLEARLANE_RESULTS").await, messages(&context, "CLEARLANE_WORK").await);
    assert_eq!(left().await, (1, 5));

    // A block that ended whoever had it, one that somebody without the key replaced, and a result of nobody's.
    let consumer = consumer(&context).await;
    let mut all = consumer.fetch().max_messages(5).messages().await.unwrap();
    let mut blocks = Vec::new();
    while let Some(message) = all.next().await {
        blocks.push(message.unwrap());
    }
    let subjects: Vec<_> = blocks.iter().map(|block| block.subject.to_string()).collect();
    let mut fatal = blocks.swap_remove(0);
    for _ in 0..64 {
        fatal.ack_with(jetstream::AckKind::Nak(None)).await.unwrap();
        let again = consumer.batch().max_messages(1).expires(Duration::from_secs(1));
        fatal = again.messages().await.unwrap().next().await.unwrap().unwrap();
        assert_eq!(fatal.subject.as_str(), subjects[0]);
    }
    lose(&context, "CLEARLANE_WORK", &subjects[1]).await;
    publish(&subjects[1]).await;
    publish(&subjects[2].replace("work.duplicates.", "results.")).await;
    publish("work.duplicates.nothing").await;

    let worker = worker(&brokers).await;
    let report = finish(search).await;
    let number = |subject: &str| subject.rsplit_once('.').unwrap().1.parse::<u32>().unwrap();
    let failed: Vec<_> = report.failed.iter().map(|(block, reason)| (*block, reason.as_str())).collect();
    let given_out = "it was given out 64 times, and nobody finished it";
    let mut expected = [(number(&subjects[0]), given_out), (number(&subjects[1]), CUT_OFF)];
    expected.sort_unstable();
    assert_eq!(failed, expected);
    // All but the pair of the two subjects that were not searched for.
    assert_eq!((report.subjects, report.pairs.len()), (3, 9), "{report:?}");
    assert_eq!(worker.progress().failed, 2);
    until("nothing is left but that it was removed", || async { left().await == (1, 0) }).await;
    worker.close().await.unwrap();

    // Whoever removes a job ends it for all who wait for it.
    let mut waiting = open(&brokers, options).await;
    open(&brokers, options).await.remove().await.unwrap();
    assert!(matches!(waiting.advance().await, Err(ClusterError::JobRemoved)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_is_of_those_who_were_enrolled_when_it_began_and_says_so() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    of_a_kind(&registrar).await;
    let _node = node(&brokers).await;
    let search = open(&brokers, DuplicateOptions::new(0.5)).await;
    let begun = search.report().positions;
    assert_eq!(begun.iter().map(|position| position.partition).collect::<Vec<_>>(), [0, 1, 2]);

    // Whoever comes before the first worker is searched for by nobody, and may resemble somebody who came as late.
    for number in 0..3 {
        enrol(&registrar, format!("late {number}"), vec![face(100 + number)]).await;
    }
    let head = registrar.progress().head;
    assert!(begun.iter().all(|position| position.head < head));
    let _worker = worker(&brokers).await;
    let report = finish(search).await;
    assert_eq!((report.subjects, report.positions), (5, begun));

    // Of a partition without a head nobody knows who is enrolled.
    registrar.close().await.unwrap();
    lose(&context(&brokers).await, "CLEARLANE_GALLERY", "gallery.1.head").await;
    let refused =
        DuplicateSearch::open(key(), &brokers.options(), DuplicateOptions::new(0.5).replicas(1)).await.map(drop);
    assert!(matches!(refused, Err(ClusterError::NoHead { partition: 1 })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_the_brokers_lost_is_put_right_and_its_subject_searched_for() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    let subjects = of_a_kind(&registrar).await;
    let node = node(&brokers).await;
    until("the node has all of it", || async {
        node.status().partitions.iter().all(|partition| partition.health == Health::Following)
    })
    .await;
    let context = context(&brokers).await;

    // Before the subjects are listed, and before they are searched for.
    lose(&context, "CLEARLANE_GALLERY", &format!("gallery.*.{}", subjects[0].0)).await;
    let search = open(&brokers, DuplicateOptions::new(0.5)).await;
    lose(&context, "CLEARLANE_GALLERY", &format!("gallery.*.{}", subjects[1].0)).await;
    let _worker = worker(&brokers).await;
    let report = finish(search).await;
    assert_eq!((report.subjects, report.pairs.len(), report.failed.len()), (5, 10, 0), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_keeps_its_block_when_another_coordinator_asks_for_a_shorter_hold() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    enrol(&registrar, "traveller".to_owned(), vec![face(1)]).await;
    // No node answers: the block is being done until one does.
    let options = DuplicateOptions::new(0.5);
    let search = open(&brokers, options).await;
    let context = context(&brokers).await;
    let (_one, _two) = (worker(&brokers).await, worker(&brokers).await);
    until("a worker has the block", || async { consumer(&context).await.cached_info().num_ack_pending == 1 }).await;
    drop(open(&brokers, options.hold(Duration::from_secs(1))).await);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let info = consumer(&context).await.cached_info().clone();
    assert_eq!((info.config.ack_wait, info.num_redelivered), (Duration::from_secs(1), 0));
    let _node = node(&brokers).await;
    assert_eq!(finish(search).await.subjects, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_failed_is_done_again_by_the_next_coordinator_and_nothing_else_is() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    of_a_kind(&registrar).await;
    let _node = node(&brokers).await;
    let options = DuplicateOptions::new(0.5).block(1);
    let context = context(&brokers).await;
    let mut search = open(&brokers, options).await;
    let begun = search.begun();
    let work = context.get_stream("CLEARLANE_WORK").await.unwrap();
    let (block, _) = work.info_with_subjects("work.>").await.unwrap().next().await.unwrap().unwrap();
    lose(&context, "CLEARLANE_WORK", &block).await;
    context.publish(block, "nothing".into()).await.unwrap().await.unwrap();
    let _worker = worker(&brokers).await;
    while search.advance().await.unwrap() {}
    let failed = search.report();
    assert_eq!((failed.failed.len(), failed.subjects), (1, 4), "{failed:?}");
    drop(search);

    let stored = async || context.get_stream("CLEARLANE_RESULTS").await.unwrap().cached_info().state.last_sequence;
    let before = stored().await;
    let mut search = open(&brokers, options).await;
    assert!(search.resumed() && search.begun() == begun);
    while search.advance().await.unwrap() {}
    let report = search.report();
    assert_eq!((report.failed.len(), report.subjects, report.pairs.len()), (0, 5, 10), "{report:?}");
    assert_eq!(stored().await, before + 1, "one result is new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_discarded_is_found_and_not_begun_and_a_job_that_the_brokers_lost_goes_on() {
    let Some(brokers) = Brokers::start(1) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = registrar(&brokers, &register).await;
    of_a_kind(&registrar).await;
    let options = DuplicateOptions::new(0.5).replicas(1);
    let cluster = brokers.options();
    let discard = || DuplicateSearch::discard(key(), &cluster, options);
    let context = context(&brokers).await;
    assert!(!discard().await.unwrap());
    assert!(context.get_stream("CLEARLANE_RESULTS").await.is_err(), "nothing is made");

    let mut waiting = open(&brokers, options).await;
    let standing = async || {
        let results = context.get_stream("CLEARLANE_RESULTS").await.unwrap();
        results.get_last_raw_message_by_subject("jobs.*").await.ok().map(|message| message.payload)
    };
    let blocks = messages(&context, "CLEARLANE_WORK").await;
    lose(&context, "CLEARLANE_RESULTS", "jobs.*").await;
    tokio::select! {
        ended = waiting.advance() => panic!("{ended:?}"),
        () = until("the job is there again", async || standing().await.is_some()) => {}
    }
    let resumed = open(&brokers, options).await;
    assert!(resumed.resumed() && resumed.begun() == waiting.begun());
    assert_eq!(messages(&context, "CLEARLANE_WORK").await, blocks);

    assert!(discard().await.unwrap());
    assert!(matches!(waiting.advance().await, Err(ClusterError::JobRemoved)), "removed on purpose");
    assert_eq!(messages(&context, "CLEARLANE_WORK").await, 0);
    assert!(!discard().await.unwrap());
    assert!(!open(&brokers, options).await.resumed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_do_not_take_the_largest_result_are_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("small.conf");
    std::fs::write(&config, "max_payload: 65536\n").unwrap();
    let Some(brokers) = Brokers::with(1, &["-c", config.to_str().unwrap()]) else { return };
    let cluster = brokers.options();
    let search = DuplicateSearch::open(key(), &cluster, DuplicateOptions::new(0.5)).await.map(drop);
    let worker = BatchWorker::start(key(), &cluster, BatchWorkerOptions::default()).await.map(drop);
    for refused in [search, worker] {
        assert!(matches!(refused, Err(ClusterError::SmallMessages { most: 65_536, .. })), "{refused:?}");
    }
}
