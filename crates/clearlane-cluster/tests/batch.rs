//! The gallery is compared with itself by workers: all pairs that a naive comparison finds, and each block once, whoever is killed.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use clearlane_cluster::{
    BatchWorker, BatchWorkerOptions, ClusterError, DuplicateOptions, DuplicateReport, DuplicateSearch, Node,
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
    let pending = || async {
        let stream = context.get_stream_no_info("CLEARLANE_WORK").await.unwrap();
        let consumer: jetstream::consumer::PullConsumer = stream.get_consumer("duplicates").await.unwrap();
        consumer.cached_info().num_ack_pending
    };
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

    // Opened again it has everything, without a worker; removed, nothing is left of it.
    two.close().await.unwrap();
    let mut search = open().await.unwrap();
    while search.advance().await.unwrap() {}
    assert_eq!(search.report(), report);
    search.remove().await.unwrap();
    for stream in ["CLEARLANE_RESULTS", "CLEARLANE_WORK"] {
        assert_eq!(context.get_stream(stream).await.unwrap().cached_info().state.messages, 0, "{stream}");
    }
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
    let settings = [options.others(0), options.others(128), options.block(0), options.hold(Duration::ZERO)];
    for options in settings.into_iter().chain([DuplicateOptions::new(f32::NAN)]) {
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

    // What was left of a job that is not any more is swept when one is opened.
    drop(open(&brokers, options).await);
    publish("results.00000000000000000000000000000000.7").await;
    publish("jobs.nothing").await;
    let search = open(&brokers, options).await;
    assert!(search.resumed() && search.blocks() == 5);
    let results = async || context.get_stream("CLEARLANE_RESULTS").await.unwrap().cached_info().state.messages;
    assert_eq!(results().await, 1);

    // A block that ended whoever had it, one that somebody without the key replaced, and a result of nobody's.
    let work = context.get_stream("CLEARLANE_WORK").await.unwrap();
    let consumer: jetstream::consumer::PullConsumer = work.get_consumer("duplicates").await.unwrap();
    let mut all = consumer.fetch().max_messages(5).messages().await.unwrap();
    let mut blocks = Vec::new();
    while let Some(message) = all.next().await {
        blocks.push(message.unwrap());
    }
    let subjects: Vec<_> = blocks.iter().map(|block| block.subject.to_string()).collect();
    let mut fatal = blocks.swap_remove(0);
    for _ in 0..16 {
        fatal.ack_with(jetstream::AckKind::Nak(None)).await.unwrap();
        let again = consumer.batch().max_messages(1).expires(Duration::from_secs(1));
        fatal = again.messages().await.unwrap().next().await.unwrap().unwrap();
        assert_eq!(fatal.subject.as_str(), subjects[0]);
    }
    let replaced = work.get_last_raw_message_by_subject(&subjects[1]).await.unwrap().sequence;
    work.delete_message(replaced).await.unwrap();
    publish(&subjects[1]).await;
    publish(&subjects[2].replace("work.duplicates.", "results.")).await;
    publish("work.duplicates.nothing").await;

    let worker = worker(&brokers).await;
    let report = finish(search).await;
    let number = |subject: &str| subject.rsplit_once('.').unwrap().1.parse::<u32>().unwrap();
    let failed: Vec<_> = report.failed.iter().map(|(block, reason)| (*block, reason.as_str())).collect();
    let mut expected = [(number(&subjects[0]), "16 workers ended while they had it"), (number(&subjects[1]), CUT_OFF)];
    expected.sort_unstable();
    assert_eq!(failed, expected);
    // All but the pair of the two subjects that were not searched for.
    assert_eq!((report.subjects, report.pairs.len()), (3, 9), "{report:?}");
    assert_eq!(worker.progress().failed, 2);
    until("nothing is left", || async { results().await == 0 && work.get_info().await.unwrap().state.messages == 0 })
        .await;
    worker.close().await.unwrap();

    // Whoever removes a job ends it for all who wait for it.
    let mut waiting = open(&brokers, options).await;
    open(&brokers, options).await.remove().await.unwrap();
    assert!(matches!(waiting.advance().await, Err(ClusterError::JobRemoved)));
}
