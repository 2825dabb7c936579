//! A register of so many subjects, published, and nodes that follow it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane_cluster::{
    AskOptions, ClusterOptions, ClusterSearch, Node, NodeOptions, Partitions, Registrar, RegistrarOptions,
};
use clearlane_store::{Enrolment, Key, Keyring, Register};
use clearlane_template::Template;

use crate::support::{self, Brokers, key, model};

/// Partitions of the measured galleries.
pub(crate) const PARTITIONS: u32 = 3;

pub(crate) struct World {
    pub(crate) brokers: Brokers,
    pub(crate) registrar: Arc<Registrar>,
    subjects: u64,
    pub(crate) dimension: usize,
}

/// The face of a number.
pub(crate) fn face(number: u64, dimension: usize) -> Template {
    Template::normalised(model(), support::noise(number, dimension)).unwrap()
}

/// A capture of the face of a number.
pub(crate) fn probe(number: u64, capture: u64, dimension: usize) -> Template {
    let noise = support::noise(capture ^ 0x5555_0000_0000, dimension);
    let mixed = support::noise(number, dimension).into_iter().zip(noise).map(|(value, noise)| value + 0.5 * noise);
    Template::normalised(model(), mixed.collect()).unwrap()
}

pub(crate) fn enrolment(number: u64, dimension: usize) -> Enrolment {
    Enrolment::new(format!("traveller {number}")).with_template(face(number, dimension))
}

impl World {
    /// Enrols, publishes, and says how long both took.
    pub(crate) async fn new(subjects: u64, dimension: usize, brokers: usize) -> Self {
        let brokers = Brokers::start(brokers).expect("nats-server has to be installed");
        Self::on(brokers, PARTITIONS, subjects, dimension).await
    }

    /// The same on brokers that run.
    pub(crate) async fn on(brokers: Brokers, partitions: u32, subjects: u64, dimension: usize) -> Self {
        let path = brokers.path("port.register");
        let started = Instant::now();
        let enrol = move || {
            let register = Register::create(path, Keyring::new(Key::from_bytes([1; 32]))).unwrap();
            for first in (0..subjects).step_by(5000) {
                let many: Vec<_> =
                    (first..subjects.min(first + 5000)).map(|number| enrolment(number, dimension)).collect();
                register.enrol_all(&many).unwrap().into_iter().for_each(|one| drop(one.unwrap()));
            }
            Arc::new(register)
        };
        let register = tokio::task::spawn_blocking(enrol).await.unwrap();
        println!("{subjects} subjects of {dimension} values are in the register after {:.1?}", started.elapsed());
        let started = Instant::now();
        let registrar = loop {
            let replicas = brokers.brokers.len().min(3);
            let options = RegistrarOptions::new(model(), dimension).partitions(partitions).replicas(replicas);
            match Registrar::open(Arc::clone(&register), key(), &brokers.options(), options).await {
                Ok(registrar) => break registrar,
                Err(error) if started.elapsed() > Duration::from_secs(20) => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        };
        let took = started.elapsed();
        println!("published after {took:.1?}, {:.0} subjects a second", subjects as f64 / took.as_secs_f64());
        Self { brokers, registrar: Arc::new(registrar), subjects, dimension }
    }

    /// Node processes, `replicas` for each partition.
    pub(crate) fn nodes(&self, replicas: u32) -> Nodes {
        let servers: Vec<_> =
            self.brokers.brokers.iter().map(|broker| format!("nats://127.0.0.1:{}", broker.port)).collect();
        let start = |number: u32| {
            Command::new(std::env::current_exe().unwrap())
                .args(["node", &format!("node-{number}"), &(number % PARTITIONS).to_string(), &servers.join(",")])
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        Nodes((0..PARTITIONS * replicas).map(start).collect())
    }

    /// Waits until the cluster answers.
    pub(crate) async fn ready(&self, search: &ClusterSearch) {
        let started = Instant::now();
        let options = AskOptions { budget: Duration::from_secs(2), ..AskOptions::new(1) };
        loop {
            let answer = search.search(&face(1, self.dimension), &options).await.unwrap();
            if !answer.refers() {
                break;
            }
            assert!(started.elapsed() < Duration::from_mins(8), "{answer:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        // The second nodes load still.
        tokio::time::sleep(started.elapsed() / 2 + Duration::from_secs(1)).await;
        println!("{} subjects: nodes follow after {:.1?}", self.subjects, started.elapsed());
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.brokers.path(name)
    }
}

/// Node processes, which end with this.
pub(crate) struct Nodes(Vec<Child>);

impl Drop for Nodes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            _ = process.kill();
            _ = process.wait();
        }
    }
}

/// A node process: name, partitions, servers.
pub(crate) async fn node(arguments: &[String]) {
    let [name, partitions, servers] = arguments else { panic!("node NAME PARTITIONS SERVERS") };
    let partitions: Partitions = partitions.parse().unwrap();
    let cluster = ClusterOptions::new(servers.split(',').map(str::to_owned));
    let mut node = Node::start(key(), &cluster, NodeOptions::new(name, partitions)).await.unwrap();
    eprintln!("{name}: {}", node.failed().await);
}

/// p50, p99 and the most of times.
pub(crate) fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((share * times.len() as f64) as usize).min(times.len() - 1)].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p90 {:.2}, p99 {:.2}, most {:.2}", at(0.5), at(0.9), at(0.99), at(1.0))
}

/// The machine's load.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load {}", load.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}
