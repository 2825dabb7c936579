//! Measures a cluster on this machine: three brokers, one node process for each replica, and everything else in this process.
//!
//! ```sh
//! cargo run --release -p clearlane-cluster --example measure -- equal 100000 128 10000 500   # lists, during 500 changes/s
//! cargo run --release -p clearlane-cluster --example measure -- latency 1000000 128 2000      # added latency
//! cargo run --release -p clearlane-cluster --example measure -- snapshot 1000000 512          # a node comes back
//! cargo run --release -p clearlane-cluster --example measure -- duplicates 20000 128 2        # each with each, by 2 workers
//! # 1,000 lanes that ask 100 times a second, and 20 partitions of a hundred million faces on two machines each, for 60 s
//! cargo run --release -p clearlane-cluster --example measure -- lanes 1000 100 100000000 20 2 60
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)] // What fails here ends the measurement.

#[path = "../tests/support/mod.rs"]
mod support;

#[path = "measure/duplicates.rs"]
mod duplicates;
#[path = "measure/equal.rs"]
mod equal;
#[path = "measure/lanes.rs"]
mod lanes;
#[path = "measure/snapshot.rs"]
mod snapshot;
#[path = "measure/world.rs"]
mod world;

use std::time::{Duration, Instant};

use clearlane_cluster::{AskOptions, ClusterSearch};
use clearlane_match::Mode;
use support::key;
use world::{World, percentiles, probe};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match arguments.first().map(String::as_str) {
        Some("node") => runtime.block_on(world::node(&arguments[1..])),
        Some("equal") => runtime.block_on(equal::run(number(1), number(2) as usize, number(3), number(4))),
        Some("latency") => runtime.block_on(latency(number(1), number(2) as usize, number(3))),
        Some("snapshot") => runtime.block_on(snapshot::run(number(1), number(2) as usize)),
        Some("duplicates") => runtime.block_on(duplicates::run(number(1), number(2) as usize, number(3))),
        Some("lanes") => runtime.block_on(lanes::run(lanes::Load {
            lanes: number(1),
            rate: number(2),
            faces: number(3),
            partitions: number(4) as u32,
            replicas: number(5) as usize,
            seconds: number(6),
            stall: arguments.get(7).map_or(0, |_| number(7)),
        })),
        _ => eprintln!(
            "measure equal|latency|snapshot|duplicates SUBJECTS DIMENSION [PROBES|WORKERS [CHANGES_A_SECOND]]\n\
             measure lanes LANES QUESTIONS_A_SECOND FACES PARTITIONS MACHINES_EACH SECONDS [STALL_MS]"
        ),
    }
}

/// What the cluster adds to the search of the same partition, where it runs: for the ten best of any score, and for those who reach a lane's
/// threshold.
async fn latency(subjects: u64, dimension: usize, probes: u64) {
    let world = World::new(subjects, dimension, 3).await;
    let _nodes = world.nodes(2);
    let search = ClusterSearch::connect(key(), &world.brokers.options()).await.unwrap();
    let budget = Duration::from_secs(2);
    world.ready(&search).await;
    for (mode, threshold) in [(Mode::Certified, -1.0), (Mode::Certified, 0.4), (Mode::SKETCH, 0.4)] {
        let options = AskOptions { mode, threshold, budget, ..AskOptions::new(10) };
        let (mut whole, mut searched, mut added) = (vec![], vec![], vec![]);
        for number in 0..probes {
            let probe = probe(number % subjects, number, dimension);
            let started = Instant::now();
            let answer = search.search(&probe, &options).await.unwrap().complete();
            let took = started.elapsed();
            let Some(complete) = answer else { continue };
            whole.push(took);
            searched.push(complete.searched);
            added.push(took.saturating_sub(complete.searched));
        }
        println!("{mode:?} from {threshold}: {} of {probes} answers complete; {}", whole.len(), world::load());
        println!("  search of the slowest partition  {}", percentiles(&mut searched));
        println!("  whole answer                     {}", percentiles(&mut whole));
        println!("  added                            {}", percentiles(&mut added));
    }
}
