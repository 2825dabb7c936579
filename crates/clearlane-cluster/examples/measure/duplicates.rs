//! How long a gallery takes to be compared with itself.

use std::collections::BTreeSet;
use std::time::Instant;

use clearlane_cluster::{BatchWorker, BatchWorkerOptions, ClusterSearch, DuplicateOptions, DuplicateSearch};
use clearlane_store::Enrolment;

use crate::support::key;
use crate::world::{World, load, probe};

/// Those who are enrolled a second time.
const TWICE: u64 = 100;

pub(crate) async fn run(subjects: u64, dimension: usize, workers: u64) {
    let world = World::new(subjects, dimension, 3).await;
    let mut twins = BTreeSet::new();
    for number in 0..TWICE.min(subjects) {
        let again = Enrolment::new(format!("traveller {number} again")).with_template(probe(number, 1, dimension));
        let again = world.registrar.enrol(again).await.unwrap().subject;
        twins.insert(again);
    }
    let _nodes = world.nodes(2);
    let cluster = world.brokers.options();
    world.ready(&ClusterSearch::connect(key(), &cluster).await.unwrap()).await;
    let mut working = Vec::new();
    for _ in 0..workers {
        working.push(BatchWorker::start(key(), &cluster, BatchWorkerOptions::default()).await.unwrap());
    }
    let started = Instant::now();
    let mut search = DuplicateSearch::open(key(), &cluster, DuplicateOptions::new(0.7)).await.unwrap();
    println!("{} blocks are there after {:.2?}", search.blocks(), started.elapsed());
    while search.advance().await.unwrap() {}
    let (took, report) = (started.elapsed(), search.report());
    let found = twins.iter().filter(|twin| report.pairs.iter().any(|pair| pair.other == **twin)).count();
    println!(
        "{} templates compared with all after {took:.1?}, {:.0} a second, by {workers} workers; {} pairs, {found} of {} enrolled twice \
         found, {} blocks failed; {}",
        report.templates,
        report.templates as f64 / took.as_secs_f64(),
        report.pairs.len(),
        twins.len(),
        report.failed.len(),
        load()
    );
}
