//! Many lanes on a gallery that is too large for this machine. Lanes, broker, seals, questions, second questions and merging are the
//! product's. A small gallery answers for the large one, and each answer is held back for as long as a machine takes for its partition of the
//! large one, one question after the other: the time for a face is measured ([`FACE`]), the rest of the machine is not.
//!
//! Lanes are in an account of the broker that has not the nodes' subjects: what they ask goes to the machines modelled here, which ask the
//! node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions};
use clearlane_cluster::{
    AskOptions, ClusterOptions, ClusterSearch, Node, NodeOptions, Partitions, cluster_status, create_user_key,
};
use clearlane_match::Mode;
use futures_util::StreamExt as _;
use tokio::sync::Mutex;

use crate::support::{Brokers, key};
use crate::world::{World, load, percentiles, probe};

/// Nanoseconds that a sketch takes for a face of 512 values where two threads work on it: 202 ms for a hundred million
/// (`--example gallery_file` of `clearlane-match`, two cores with AVX2).
const FACE: f64 = 2.02;
/// How long lanes wait for an answer.
const BUDGET: Duration = Duration::from_millis(500);
/// The small gallery.
const SUBJECTS: u64 = 2_000;
const DIMENSION: usize = 512;

/// The broker's accounts, with the public key of the lanes' user.
fn accounts(lane: &str) -> String {
    format!(
        "accounts {{
  NODES {{ jetstream: enabled, users: [{{user: node, password: node}}], exports: [{{service: \"$JS.API.>\"}}] }}
  MACHINES {{ users: [{{user: machine, password: machine}}], exports: [{{service: \"machine.*\"}}] }}
  LANES {{
    users: [{{nkey: {lane}}}]
    imports: [
      {{service: {{account: MACHINES, subject: \"machine.*\"}}, to: \"ask.*\"}}
      {{service: {{account: NODES, subject: \"$JS.API.>\"}}}}
    ]
  }}
}}
no_auth_user: node
"
    )
}

/// What is asked for: lanes, all their questions a second, the gallery's faces, its partitions, machines for each, and for how long.
pub(crate) struct Load {
    pub(crate) lanes: u64,
    pub(crate) rate: u64,
    pub(crate) faces: u64,
    pub(crate) partitions: u32,
    pub(crate) replicas: usize,
    pub(crate) seconds: u64,
    /// For how many milliseconds all machines stand still once, a quarter into it.
    pub(crate) stall: u64,
}

pub(crate) async fn run(wanted: Load) {
    let folder = tempfile::tempdir().unwrap();
    let (config, seed) = (folder.path().join("accounts.conf"), folder.path().join("lane.nk"));
    std::fs::write(&config, accounts(&create_user_key(&seed).unwrap())).unwrap();
    let brokers = Brokers::with(1, &["-c", config.to_str().unwrap()]).expect("nats-server has to be installed");
    let world = World::on(brokers, wanted.partitions, SUBJECTS, DIMENSION).await;
    let node = NodeOptions::new("node", Partitions::ALL);
    let _node = Node::start(key(), &world.brokers.options(), node).await.unwrap();
    let url = world.brokers.brokers[0].url();

    let each = wanted.faces / u64::from(wanted.partitions);
    let service = Duration::from_secs_f64(each as f64 * FACE / 1e9);
    let asked = Arc::new(AtomicU64::new(0));
    let machine = ConnectOptions::with_user_and_password("machine".to_owned(), "machine".to_owned());
    let machines = machine.connect(&url).await.unwrap();
    let nodes = async_nats::connect(&url).await.unwrap();
    let all: Vec<_> = (0..wanted.partitions)
        .map(|partition| {
            let replicas = (0..wanted.replicas).map(|_| Mutex::new(Instant::now())).collect();
            Arc::new(Machine { partition, service, replicas, asked: Arc::clone(&asked) })
        })
        .collect();
    for machine in &all {
        tokio::spawn(Arc::clone(machine).run(machines.clone(), nodes.clone()));
    }
    let lane = ClusterOptions::new([url]).nkey_file(seed);
    world.ready(&ClusterSearch::connect(key(), &lane).await.unwrap()).await;

    let mut lanes = Vec::new();
    for number in 0..wanted.lanes {
        lanes.push((number, ClusterSearch::connect(key(), &lane).await.unwrap()));
    }
    asked.store(0, Ordering::Relaxed);
    let passed = machines.statistics();
    let before = [&passed.in_bytes, &passed.out_bytes].map(|bytes| bytes.load(Ordering::Relaxed));
    let end = Instant::now() + Duration::from_secs(wanted.seconds);
    let mean = wanted.lanes as f64 / wanted.rate as f64;
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(wanted.seconds) / 4).await;
        for free in all.iter().flat_map(|machine| &machine.replicas) {
            let mut free = free.lock().await;
            *free = (*free).max(Instant::now()) + Duration::from_millis(wanted.stall);
        }
    });
    let asking = lanes.into_iter().map(|(number, search)| tokio::spawn(passages(number, search, mean, end)));
    let mut took = Vec::new();
    let mut incomplete = 0;
    for lane in asking.collect::<Vec<_>>() {
        let (whole, without) = lane.await.unwrap();
        took.extend(whole);
        incomplete += without;
    }
    let questions = took.len() + incomplete;
    let rate = questions as f64 / wanted.seconds as f64;
    let busy = rate / wanted.replicas as f64 * service.as_secs_f64();
    let sent = asked.load(Ordering::Relaxed) as f64 / questions as f64 / f64::from(wanted.partitions);
    println!(
        "{} lanes, {rate:.0} questions a second; {} machines with {each} faces each, {:.1} ms a question, busy for {:.0} %; {}",
        wanted.lanes,
        wanted.partitions as usize * wanted.replicas,
        service.as_secs_f64() * 1e3,
        busy * 1e2,
        load()
    );
    println!("{incomplete} of {questions} answers not complete; a partition is asked {sent:.3} times");
    println!("whole answer  {}", percentiles(&mut took));
    let status = cluster_status(&key(), &world.brokers.options(), Duration::from_millis(100)).await.unwrap();
    let (asked, passed) = (asked.load(Ordering::Relaxed), machines.statistics());
    println!(
        "{} bytes a subject in the stream; {} bytes a question to a partition, {} an answer",
        status.bytes / status.messages,
        (passed.in_bytes.load(Ordering::Relaxed) - before[0]) / asked,
        (passed.out_bytes.load(Ordering::Relaxed) - before[1]) / asked,
    );
}

/// The machines of a partition: each has one question at a time, and is asked at random.
struct Machine {
    partition: u32,
    service: Duration,
    /// When each has done what it has to do.
    replicas: Vec<Mutex<Instant>>,
    asked: Arc<AtomicU64>,
}

impl Machine {
    async fn run(self: Arc<Self>, machines: Client, nodes: Client) {
        let mut questions = machines.subscribe(format!("machine.{}", self.partition)).await.unwrap();
        let mut random = Random(u64::from(self.partition));
        while let Some(question) = questions.next().await {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let done = {
                let mut free = self.replicas[(random.next() % self.replicas.len() as u64) as usize].lock().await;
                let begin = (*free).max(Instant::now());
                if begin > Instant::now() + BUDGET {
                    continue; // Too late for whoever asked.
                }
                *free = begin + self.service;
                *free
            };
            let (machines, nodes, subject) = (machines.clone(), nodes.clone(), format!("ask.{}", self.partition));
            tokio::spawn(async move {
                tokio::time::sleep_until(done.into()).await;
                // Before the node follows, nobody answers; the lane asks again.
                if let Ok(answer) = nodes.request(subject, question.payload).await {
                    machines.publish(question.reply.unwrap(), answer.payload).await.unwrap();
                }
            });
        }
    }
}

/// The passages of a lane, at random moments: how long the whole answers took, and how many were not whole.
async fn passages(lane: u64, search: ClusterSearch, mean: f64, end: Instant) -> (Vec<Duration>, usize) {
    let options = AskOptions { mode: Mode::SKETCH, threshold: 0.4, budget: BUDGET, ..AskOptions::new(10) };
    let (mut took, mut incomplete, mut random) = (Vec::new(), 0, Random(lane << 32));
    let mut next = Instant::now();
    loop {
        let uniform = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        next += Duration::from_secs_f64(-mean * (1.0 - uniform).ln());
        if next > end {
            return (took, incomplete);
        }
        tokio::time::sleep_until(next.into()).await;
        let probe = probe(random.next() % SUBJECTS, random.next(), DIMENSION);
        let started = Instant::now();
        match search.search(&probe, &options).await.unwrap().complete() {
            Some(_) => took.push(started.elapsed()),
            None => incomplete += 1,
        }
    }
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
