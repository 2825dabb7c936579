//! The merged lists beside those of one naive gallery, at the positions that the answers name.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clearlane_cluster::{AskOptions, ClusterSearch, Complete};
use clearlane_match::Mode;
use clearlane_template::{SubjectId, Template, TemplateId};
use parking_lot::Mutex;
use rayon::prelude::*;

use crate::support::key;
use crate::world::{self, PARTITIONS, World, enrolment, face, percentiles, probe};

/// A subject's change, at its sequence.
struct Change {
    sequence: u64,
    subject: SubjectId,
    /// The template's id and its face's number; none of a revocation.
    template: Option<(TemplateId, u64)>,
}

type Journal = Arc<Mutex<Vec<Vec<Change>>>>;

/// A candidate of the naive list.
type Scored = (f32, TemplateId, SubjectId);

const K: usize = 10;

pub(crate) async fn run(subjects: u64, dimension: usize, probes: u64, rate: u64) {
    let world = World::new(0, dimension, 3).await;
    let journal: Journal = Arc::new(Mutex::new((0..PARTITIONS).map(|_| Vec::new()).collect()));
    let started = Instant::now();
    let mut enrolled = VecDeque::new();
    for first in (0..subjects).step_by(250) {
        let many = (first..subjects.min(first + 250)).map(|number| enrol(&world, &journal, number));
        enrolled.extend(futures_util::future::join_all(many).await);
    }
    println!("{subjects} subjects are enrolled after {:.1?}", started.elapsed());
    let _nodes = world.nodes(2);
    let search = ClusterSearch::connect(key(), &world.brokers.options()).await.unwrap();
    world.ready(&search).await;

    let (stop, changes) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    let change = async {
        let mut number = subjects;
        let each = rate / 20;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while !stop.load(Ordering::Relaxed) {
            tick.tick().await;
            let coming = (number..number + each).map(|number| enrol(&world, &journal, number));
            let leaving: Vec<_> = enrolled.drain(..each as usize).collect();
            let leaving = leaving.into_iter().map(|subject| revoke(&world, &journal, subject));
            let (came, _) =
                tokio::join!(futures_util::future::join_all(coming), futures_util::future::join_all(leaving));
            enrolled.extend(came);
            number += each;
            changes.fetch_add(2 * each, Ordering::Relaxed);
        }
        started.elapsed()
    };
    let ask = async {
        let mut answers = Vec::new();
        let (mut took, mut incomplete) = (Vec::new(), 0);
        for number in 0..probes {
            let mode = [Mode::Certified, Mode::Exhaustive, Mode::SKETCH][number as usize % 3];
            let options = AskOptions { mode, budget: Duration::from_secs(2), ..AskOptions::new(K) };
            let probe = probe(number * 7 % (subjects + number), number, dimension);
            let asked = Instant::now();
            match search.search(&probe, &options).await.unwrap().complete() {
                Some(complete) => answers.push((probe, complete)),
                None => incomplete += 1,
            }
            took.push(asked.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        (answers, took, incomplete)
    };
    let ((answers, mut took, incomplete), elapsed) = tokio::join!(ask, change);
    let done = changes.load(Ordering::Relaxed) as f64 / elapsed.as_secs_f64();
    println!("{probes} probes, {incomplete} incomplete, {done:.0} changes a second; {}", world::load());
    println!("whole answer {}", percentiles(&mut took));
    let heads: std::collections::HashSet<_> = answers.iter().map(|(_, complete)| complete.positions[0].head).collect();
    let journal = std::mem::take(&mut *journal.lock());
    let differing = compare(journal, &answers, dimension);
    println!("{} lists at {} heads compared, {differing} differ", answers.len(), heads.len());
    assert_eq!(differing, 0);
}

async fn enrol(world: &World, journal: &Journal, number: u64) -> SubjectId {
    let published = world.registrar.enrol(enrolment(number, world.dimension)).await.unwrap();
    let (subject, sequence) = (published.subject, published.sequence);
    let change = Change { sequence, subject, template: Some((published.templates[0], number)) };
    journal.lock()[published.partition as usize].push(change);
    subject
}

async fn revoke(world: &World, journal: &Journal, subject: SubjectId) {
    let published = world.registrar.revoke(subject, "measured").await.unwrap();
    let change = Change { sequence: published.sequence, subject, template: None };
    journal.lock()[published.partition as usize].push(change);
}

/// How many answers differ from the naive lists: each partition's changes are gone through once, in order.
fn compare(journal: Vec<Vec<Change>>, answers: &[(Template, Complete)], dimension: usize) -> usize {
    let mut naive: Vec<Vec<Scored>> = vec![Vec::new(); answers.len()];
    for (partition, mut changes) in journal.into_iter().enumerate() {
        changes.sort_by_key(|change| change.sequence);
        let mut order: Vec<usize> = (0..answers.len()).collect();
        let position = |answer: usize| answers[answer].1.positions[partition].sequence;
        order.sort_by_key(|answer| position(*answer));
        let mut changes = changes.into_iter().peekable();
        let mut standing: HashMap<SubjectId, (TemplateId, Template)> = HashMap::new();
        for same in order.chunk_by(|a, b| position(*a) == position(*b)) {
            while let Some(change) = changes.next_if(|change| change.sequence <= position(same[0])) {
                match change.template {
                    Some((id, number)) => _ = standing.insert(change.subject, (id, face(number, dimension))),
                    None => _ = standing.remove(&change.subject),
                }
            }
            let rows: Vec<_> = standing.iter().collect();
            let lists: Vec<_> = same
                .par_iter()
                .map(|answer| {
                    let probe = answers[*answer].0.as_slice();
                    let score = |template: &Template| {
                        template.as_slice().iter().zip(probe).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
                    };
                    let mut scores: Vec<_> =
                        rows.iter().map(|(subject, (id, row))| (score(row) as f32, *id, **subject)).collect();
                    let rank = |a: &Scored, b: &Scored| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
                    if scores.len() > K {
                        scores.select_nth_unstable_by(K, rank);
                        scores.truncate(K);
                    }
                    scores
                })
                .collect();
            same.iter().zip(lists).for_each(|(answer, list)| naive[*answer].extend(list));
        }
    }
    let differs = |(list, (_, complete)): (&mut Vec<Scored>, &(Template, Complete))| {
        list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let naive: Vec<_> = list.iter().take(K).map(|(_, id, subject)| (*subject, *id)).collect();
        let merged: Vec<_> = complete.candidates.iter().map(|one| (one.subject, one.template)).collect();
        naive != merged
    };
    naive.iter_mut().zip(answers).filter_map(|pair| differs(pair).then_some(())).count()
}
