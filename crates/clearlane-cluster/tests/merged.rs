//! The merged list of a cluster is the one that a single gallery gives, while subjects come and go.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clearlane_cluster::{
    AskOptions, ClusterSearch, Complete, Follower, GallerySettings, Node, NodeOptions, Partitions,
};
use clearlane_match::Mode;
use clearlane_store::Enrolment;
use clearlane_template::{SubjectId, Template, TemplateId};
use parking_lot::Mutex;
use support::{Brokers, capture, face, key, registrar, until};

/// What the registrar's side notes: each change with the position that the brokers gave it.
#[derive(Default)]
struct Journal(Mutex<Vec<Change>>);

struct Change {
    partition: u32,
    sequence: u64,
    subject: SubjectId,
    /// The templates, as they were given; none of a revocation.
    templates: Vec<(TemplateId, Template)>,
}

impl Journal {
    /// The list that a naive search gives over the subjects that stood at the positions that an answer names.
    fn naive(&self, answer: &Complete, probe: &Template, k: usize) -> Vec<(SubjectId, TemplateId)> {
        let mut standing: HashMap<SubjectId, (u64, Vec<(TemplateId, Template)>)> = HashMap::new();
        for change in self.0.lock().iter() {
            let position = answer.positions.iter().find(|position| position.partition == change.partition).unwrap();
            let known = standing.get(&change.subject).is_some_and(|(sequence, _)| *sequence > change.sequence);
            if change.sequence <= position.sequence && !known {
                standing.insert(change.subject, (change.sequence, change.templates.clone()));
            }
        }
        let mut scores: Vec<(f32, TemplateId, SubjectId)> = Vec::new();
        for (subject, (_, templates)) in standing {
            let best = templates.iter().map(|(id, template)| (template.score(probe).unwrap(), *id));
            let best = best.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            scores.extend(best.map(|(score, id)| (score, id, subject)));
        }
        scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scores.into_iter().take(k).map(|(_, template, subject)| (subject, template)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_merged_list_is_the_one_of_a_single_gallery_during_enrolment_and_revocation() {
    let Some(brokers) = Brokers::start(3) else { return };
    let register = support::register(&brokers.path("port.register"));
    let registrar = Arc::new(registrar(&brokers, &register).await);
    let journal = Arc::new(Journal::default());
    let shared = (Arc::clone(&registrar), Arc::clone(&journal));
    let enrol = move |number: u64| {
        let (registrar, journal) = shared.clone();
        async move {
            // Every third has two templates.
            let mut templates = vec![face(number)];
            templates.extend(number.is_multiple_of(3).then(|| capture(number, 1)));
            let mut enrolment = Enrolment::new(format!("traveller {number}"));
            for template in &templates {
                enrolment = enrolment.with_template(template.clone());
            }
            let published = registrar.enrol(enrolment).await.unwrap();
            let templates = published.templates.iter().copied().zip(templates).collect();
            let (partition, sequence, subject) = (published.partition, published.sequence, published.subject);
            journal.0.lock().push(Change { partition, sequence, subject, templates });
            subject
        }
    };
    futures_util::future::join_all((0..300).map(&enrol)).await;

    let mut nodes = Vec::new();
    for (number, partitions) in ["0,1", "1,2", "0,2"].iter().enumerate() {
        let partitions: Partitions = partitions.parse().unwrap();
        let options = NodeOptions::new(format!("node-{number}"), partitions);
        nodes.push(Node::start(key(), &brokers.options(), options).await.unwrap());
    }
    let follower = Follower::start(key(), &brokers.options(), GallerySettings::default(), None).await.unwrap();
    let follower = Arc::new(follower);
    let search = ClusterSearch::connect(key(), &brokers.options()).await.unwrap();
    let budget = Duration::from_secs(2);
    until("the cluster answers", || async {
        let options = AskOptions { budget, ..AskOptions::new(1) };
        !search.search(&face(1), &options).await.unwrap().refers()
            && !follower.search(&face(1), &options).unwrap().refers()
    })
    .await;

    // Changes go on while the cluster is asked.
    let stop = Arc::new(AtomicBool::new(false));
    let changes = {
        let (stop, registrar, journal) = (Arc::clone(&stop), Arc::clone(&registrar), Arc::clone(&journal));
        let mut next = 300;
        let enrol = enrol.clone();
        async move {
            let mut here = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                here.extend(futures_util::future::join_all((next..next + 6).map(&enrol)).await);
                next += 6;
                for subject in here.drain(..3) {
                    let gone = registrar.revoke(subject, "test").await.unwrap();
                    let (partition, sequence) = (gone.partition, gone.sequence);
                    journal.0.lock().push(Change { partition, sequence, subject, templates: Vec::new() });
                }
            }
            next
        }
    };
    let changes = tokio::spawn(changes);

    let (mut answers, mut heads) = (Vec::new(), std::collections::HashSet::new());
    for number in 0..400_u64 {
        let probe = capture(number % 350, 1000 + number);
        let mode = [Mode::Exhaustive, Mode::Certified, Mode::SKETCH][number as usize % 3];
        let options = AskOptions { mode, budget, ..AskOptions::new(7) };
        let answer = if number.is_multiple_of(4) {
            let (follower, probe) = (Arc::clone(&follower), probe.clone());
            tokio::task::spawn_blocking(move || follower.search(&probe, &options).unwrap()).await.unwrap()
        } else {
            search.search(&probe, &options).await.unwrap()
        };
        let complete = answer.complete().expect("a whole cluster gives whole answers");
        heads.insert(complete.positions[0].head);
        answers.push((probe, complete));
    }
    stop.store(true, Ordering::Relaxed);
    let enrolled = changes.await.unwrap();
    assert!(heads.len() > 5 && enrolled > 320, "nothing changed meanwhile: {} heads", heads.len());

    for (probe, complete) in answers {
        let naive = journal.naive(&complete, &probe, 7);
        let merged: Vec<_> = complete.candidates.iter().map(|one| (one.subject, one.template)).collect();
        assert_eq!(merged, naive, "at {:?}", complete.positions);
    }
    for node in nodes {
        node.close().await.unwrap();
    }
}
