//! How long a node takes to come back: from the brokers, and from its snapshots.

use std::time::{Duration, Instant};

use clearlane_cluster::{Health, Node, NodeOptions, Partitions};

use crate::support::key;
use crate::world::{World, load};

pub(crate) async fn run(subjects: u64, dimension: usize) {
    let world = World::new(subjects, dimension, 1).await;
    for (number, what) in ["from the brokers", "from its snapshots", "from its snapshots once more"].iter().enumerate()
    {
        let started = Instant::now();
        let options = NodeOptions::new("node", Partitions::ALL).snapshots(world.folder("snapshots"));
        let node = Node::start(key(), &world.brokers.options(), options).await.unwrap();
        let read = started.elapsed();
        let vouched = || node.status().partitions.iter().all(|one| one.health == Health::Following);
        while !vouched() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let took = started.elapsed();
        let templates: u64 = node.status().partitions.iter().map(|one| one.templates).sum();
        println!(
            "{what}: {templates} templates, {} partitions, answer after {:.2} s ({:.2} s of it reading); {}",
            node.status().partitions.len(),
            took.as_secs_f64(),
            read.as_secs_f64(),
            load()
        );
        // What comes by day, so that there is something to read from the stream the next time.
        if number == 0 {
            for more in subjects..subjects + 100 {
                world.registrar.enrol(crate::world::enrolment(more, dimension)).await.unwrap();
            }
        }
        node.close().await.unwrap();
    }
}
