//! Brokers, registers and faces for the tests. Each test has brokers of its own, on free ports, in a folder that goes with it.
#![allow(dead_code, clippy::unwrap_used)] // Each test file uses a part of it.

use std::future::Future;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane_cluster::{ClusterKey, ClusterOptions, Registrar, RegistrarOptions};
use clearlane_store::{Key, Keyring, Register};
use clearlane_template::{ModelId, Template};
use tempfile::TempDir;

/// The dimension of the tests' templates.
pub(crate) const DIMENSION: usize = 32;

/// Where a broker runs.
#[derive(Clone)]
pub(crate) struct Host {
    /// The address that it listens at.
    pub(crate) address: String,
    /// The words before its command, such as those that bring it into a network namespace.
    pub(crate) words: Vec<String>,
    /// Further arguments.
    pub(crate) arguments: Vec<String>,
}

impl Host {
    fn here() -> Self {
        Self { address: "127.0.0.1".to_owned(), words: Vec::new(), arguments: Vec::new() }
    }
}

/// A nats-server.
pub(crate) struct Broker {
    host: Host,
    arguments: Vec<String>,
    process: Child,
    pub(crate) port: u16,
}

impl Broker {
    fn start(host: Host, arguments: Vec<String>, port: u16) -> Self {
        let process = spawn(&host, &arguments);
        let broker = Self { host, arguments, process, port };
        broker.wait();
        broker
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}:{}", self.host.address, self.port)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, on the same files.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(&self.host, &self.arguments);
        self.wait();
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap().success());
    }

    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((&self.host.address[..], self.port)).is_err() {
            assert!(Instant::now() < until, "the broker does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn spawn(host: &Host, arguments: &[String]) -> Child {
    let words: Vec<_> = host.words.iter().map(String::as_str).chain(["nats-server"]).collect();
    Command::new(words[0])
        .args(&words[1..])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A port that is free now.
pub(crate) fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Brokers of one cluster, and a folder for everything of a test.
pub(crate) struct Brokers {
    pub(crate) brokers: Vec<Broker>,
    pub(crate) folder: TempDir,
}

impl Brokers {
    /// `count` brokers, or a note that there is no nats-server here.
    pub(crate) fn start(count: usize) -> Option<Self> {
        Self::with(count, &[])
    }

    /// The same with further arguments.
    pub(crate) fn with(count: usize, further: &[&str]) -> Option<Self> {
        Self::on(&vec![Host::here(); count], further)
    }

    /// A broker on each of these hosts.
    pub(crate) fn on(hosts: &[Host], further: &[&str]) -> Option<Self> {
        if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("note: not tried, since nats-server is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let routes: Vec<u16> = hosts.iter().map(|_| port()).collect();
        let brokers = hosts.iter().enumerate().map(|(number, host)| {
            let port = port();
            let data = folder.path().join(format!("broker-{number}"));
            let mut arguments: Vec<String> = ["-a", &host.address, "-js", "-sd"].map(str::to_owned).to_vec();
            arguments.push(data.to_str().unwrap().to_owned());
            arguments.extend(["-p".to_owned(), port.to_string(), "--server_name".to_owned(), format!("b{number}")]);
            if hosts.len() > 1 {
                let urls = hosts.iter().zip(&routes).map(|(host, port)| format!("nats://{}:{port}", host.address));
                let urls: Vec<_> = urls.collect();
                arguments.extend(["--cluster_name".to_owned(), "test".to_owned()]);
                arguments.extend(["--cluster".to_owned(), urls[number].clone()]);
                arguments.extend(["--routes".to_owned(), urls.join(",")]);
            }
            arguments.extend_from_slice(&host.arguments);
            arguments.extend(further.iter().map(|&argument| argument.to_owned()));
            Broker::start(host.clone(), arguments, port)
        });
        let brokers = brokers.collect();
        Some(Self { brokers, folder })
    }

    pub(crate) fn options(&self) -> ClusterOptions {
        ClusterOptions::new(self.brokers.iter().map(Broker::url))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The key of the tests' clusters.
pub(crate) fn key() -> ClusterKey {
    Key::from_bytes([7; 32]).into()
}

pub(crate) fn model() -> ModelId {
    ModelId::digest([b"the tests' model".as_slice()])
}

/// A new register.
pub(crate) fn register(path: &Path) -> Arc<Register> {
    Arc::new(Register::create(path, Keyring::new(Key::from_bytes([1; 32]))).unwrap())
}

/// What a registrar of the tests is like.
pub(crate) fn registrar_options(brokers: &Brokers) -> RegistrarOptions {
    let replicas = brokers.brokers.len().min(3);
    RegistrarOptions::new(model(), DIMENSION).partitions(3).replicas(replicas).head_every(Duration::from_millis(100))
}

/// A running registrar; brokers that have just started may still choose their leader.
pub(crate) async fn registrar(brokers: &Brokers, register: &Arc<Register>) -> Registrar {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let options = registrar_options(brokers);
        match Registrar::open(Arc::clone(register), key(), &brokers.options(), options).await {
            Ok(registrar) => return registrar,
            Err(error) if Instant::now() > until => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// A face: the same number, the same face.
pub(crate) fn face(number: u64) -> Template {
    Template::normalised(model(), noise(number, DIMENSION)).unwrap()
}

/// Another capture of a face.
pub(crate) fn capture(number: u64, capture: u64) -> Template {
    let other = noise(number << 20 ^ capture ^ 0x5555, DIMENSION);
    let mixed = noise(number, DIMENSION).into_iter().zip(other).map(|(value, noise)| value + 0.5 * noise).collect();
    Template::normalised(model(), mixed).unwrap()
}

/// Numbers that look random (`SplitMix64`), in [-1, 1].
pub(crate) fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Waits until something is so, 30 s at most.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so().await {
        assert!(Instant::now() < end, "it did not come about that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
