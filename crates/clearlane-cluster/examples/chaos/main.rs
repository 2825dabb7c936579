//! Chaos: three brokers, six node processes and a lane that follows the gallery itself, of which some are killed (`kill -9`) or
//! stopped (SIGSTOP) all the time, while subjects come and go and the cluster is asked. What the registrar acknowledged and what
//! askers were answered is written down; `examples/cluster/check.py` judges it, and knows nothing of this program.
//!
//! ```sh
//! cargo run --release -p clearlane-cluster --example chaos -- /tmp/chaos 300
//! python3 examples/cluster/check.py /tmp/chaos
//! ```
//!
//! With `links` after the seconds each of them is a host of its own, in a network namespace, and links are cut as well.
#![allow(clippy::unwrap_used, clippy::expect_used)] // What fails here ends the trial.

mod network;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clearlane_cluster::{
    Answer, AskOptions, ClusterError, ClusterOptions, ClusterSearch, Follower, GallerySettings, Node, NodeOptions,
    Partitions, Registrar,
};
use clearlane_store::Enrolment;
use clearlane_template::SubjectId;
use network::Network;
use parking_lot::Mutex;
use serde_json::{Value, json};
use support::{Broker, Brokers, Host, capture, face, key, registrar};

/// The bound that askers state.
const BOUND: Duration = Duration::from_secs(5);
const BROKERS: usize = 3;
const NODES: usize = 6;
/// Subjects before the trial begins.
const BEFORE: u64 = 3000;

/// Microseconds since 1970, by the one clock of this machine.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64
}

/// A log of lines of JSON.
struct Log(Mutex<File>);

impl Log {
    fn new(folder: &Path, name: &str) -> Self {
        Self(Mutex::new(File::create(folder.join(name)).unwrap()))
    }

    fn line(&self, value: &Value) {
        // One write: a process that is killed leaves no half of a line.
        self.0.lock().write_all(format!("{value}\n").as_bytes()).unwrap();
    }
}

/// Who is enrolled by the acknowledgements: face and subject.
type Enrolled = Arc<Mutex<Vec<(u64, SubjectId)>>>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["node", name, partitions, servers, folder] => runtime.block_on(node(name, partitions, servers, folder)),
        ["lane", servers, folder] => runtime.block_on(lane(servers, Path::new(folder))),
        [folder, seconds] => runtime.block_on(trial(Path::new(folder), seconds.parse().unwrap(), None)),
        [folder, seconds, "links"] => {
            let network = Network::start(BROKERS + NODES + 1);
            runtime.block_on(trial(Path::new(folder), seconds.parse().unwrap(), Some(&network)));
        }
        _ => eprintln!("chaos FOLDER SECONDS [links]"),
    }
}

/// A node process: it runs until it is killed.
async fn node(name: &str, partitions: &str, servers: &str, folder: &str) {
    let partitions: Partitions = partitions.parse().unwrap();
    let cluster = ClusterOptions::new(servers.split(',').map(str::to_owned)).name(name);
    loop {
        let options = NodeOptions::new(name, partitions.clone()).bound(BOUND).snapshots(folder);
        match Node::start(key(), &cluster, options).await {
            Ok(mut node) => eprintln!("{name}: {}", node.failed().await),
            Err(error) => eprintln!("{name}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A lane that has the whole gallery itself, and asks itself for those who were enrolled before the trial: many are revoked in it.
async fn lane(servers: &str, folder: &Path) {
    let cluster = ClusterOptions::new(servers.split(',').map(str::to_owned)).name("lane");
    let start = || Follower::start(key(), &cluster, GallerySettings::default(), Some(folder.join("snapshots-lane")));
    let follower = loop {
        match start().await {
            Ok(follower) => break follower,
            Err(error) => eprintln!("lane: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let log = File::options().create(true).append(true).open(folder.join("answers-lane.jsonl")).unwrap();
    let answers = Log(Mutex::new(log));
    for count in 1.. {
        let number = count * 7919 % BEFORE;
        let asked = now();
        let answer = follower.search(&capture(number, count), &asking()).unwrap();
        note(&answers, number, asked, answer);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The node processes and the lane, as they are started again. The lane is the last.
struct Nodes {
    servers: String,
    folder: PathBuf,
    processes: Vec<Option<Child>>,
    links: bool,
}

impl Nodes {
    fn start(&mut self, number: usize) {
        let log =
            File::options().create(true).append(true).open(self.folder.join(format!("node-{number}.log"))).unwrap();
        let mut words = if self.links { Network::words(BROKERS + number) } else { Vec::new() };
        words.push(std::env::current_exe().unwrap().to_str().unwrap().to_owned());
        let folder = self.folder.to_str().unwrap();
        if number == NODES {
            words.extend(["lane", &self.servers, folder].map(str::to_owned));
        } else {
            let snapshots = format!("{folder}/snapshots-{number}");
            let partitions = (number / 2).to_string();
            let name = format!("node-{number}");
            words.extend(["node", &name, &partitions, &self.servers, &snapshots].map(str::to_owned));
        }
        let process = Command::new(&words[0]).args(&words[1..]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.processes[number] = Some(process);
    }

    fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.processes[number].take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn signal(&self, number: usize, signal: &str) {
        if let Some(process) = &self.processes[number] {
            Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        (0..self.processes.len()).for_each(|number| self.kill(number));
    }
}

async fn trial(folder: &Path, seconds: u64, network: Option<&Network>) {
    _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    // A link that is cut says nothing: brokers have to ask each other, and more often than every two minutes.
    let asking = folder.join("broker.conf");
    std::fs::write(&asking, "ping_interval: \"1s\"\nping_max: 2\n").unwrap();
    let host = |number| {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let log = path(folder.join(format!("broker-{number}.log")));
        let arguments = vec!["-c".to_owned(), path(asking.clone()), "-l".to_owned(), log];
        Host { address: Network::address(number), words: Network::words(number), arguments }
    };
    let brokers = match network {
        Some(_) => Brokers::on(&(0..BROKERS).map(host).collect::<Vec<_>>(), &[]),
        None => Brokers::start(BROKERS),
    };
    let mut brokers = brokers.expect("nats-server has to be installed");
    let register = support::register(&brokers.path("port.register"));
    let registrar = Arc::new(registrar(&brokers, &register).await);
    let changes = Arc::new(Log::new(folder, "changes.jsonl"));
    let enrolled = Enrolled::default();
    for first in (0..BEFORE).step_by(100) {
        let many = (first..first + 100).map(|number| enrol(&registrar, &changes, &enrolled, number));
        futures_util::future::join_all(many).await;
    }
    let servers = brokers.brokers.iter().map(Broker::url).collect::<Vec<_>>().join(",");
    let mut nodes = Nodes { servers, folder: folder.to_owned(), processes: vec![], links: network.is_some() };
    nodes.processes.resize_with(NODES + 1, || None);
    (0..=NODES).for_each(|number| nodes.start(number));
    tokio::time::sleep(Duration::from_secs(3)).await;

    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(Log::new(folder, "answers.jsonl"));
    let mut tasks = vec![tokio::spawn(change(
        Arc::clone(&registrar),
        Arc::clone(&changes),
        Arc::clone(&enrolled),
        Arc::clone(&stop),
    ))];
    for asker in 0..2 {
        let search = ClusterSearch::connect(key(), &brokers.options()).await.unwrap();
        let (answers, enrolled, stop) = (Arc::clone(&answers), Arc::clone(&enrolled), Arc::clone(&stop));
        tasks.push(tokio::spawn(ask(search, answers, enrolled, stop, asker)));
    }
    let events = Log::new(folder, "events.jsonl");
    wreak(&mut brokers, &mut nodes, &events, seconds).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;

    // Everybody whom the registrar acknowledged is found afterwards.
    let search = ClusterSearch::connect(key(), &brokers.options()).await.unwrap();
    let after = Log::new(folder, "after.jsonl");
    let everybody = enrolled.lock().clone();
    for (number, _) in everybody {
        one(&search, &after, number, capture(number, 77)).await;
    }
    let progress = registrar.progress();
    events.line(&json!({ "t": now(), "event": "end", "head": progress.head, "foreign": progress.foreign }));
}

/// Enrols a face, and notes what was acknowledged.
async fn enrol(registrar: &Registrar, changes: &Log, enrolled: &Enrolled, number: u64) {
    let asked = now();
    let enrolment = Enrolment::new(format!("traveller {number}")).with_template(face(number));
    match registrar.enrol(enrolment).await {
        Ok(published) => {
            let (subject, partition, head) = (published.subject, published.partition, published.head);
            changes.line(&json!({
                "op": "enrol", "asked": asked, "acknowledged": now(), "face": number, "subject": subject,
                "partition": partition, "head": head,
            }));
            enrolled.lock().push((number, subject));
        }
        Err(error) => unacknowledged(changes, "enrol", asked, number, &error),
    }
}

fn unacknowledged(changes: &Log, operation: &str, asked: u64, number: u64, error: &ClusterError) {
    let subject = if let ClusterError::NotYetPublished { subject, .. } = error { Some(subject) } else { None };
    let error = error.to_string();
    changes.line(&json!({ "op": operation, "asked": asked, "face": number, "subject": subject, "error": error }));
}

/// Enrols and revokes, some 40 a second.
async fn change(registrar: Arc<Registrar>, changes: Arc<Log>, enrolled: Enrolled, stop: Arc<AtomicBool>) {
    let mut number = BEFORE;
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        let many = (number..number + 4).map(|number| enrol(&registrar, &changes, &enrolled, number));
        let leaving: Vec<_> = (0..4)
            .map(|n| {
                let mut enrolled = enrolled.lock();
                let at = (number * 7919 + n * 104_729) as usize % enrolled.len();
                enrolled.swap_remove(at)
            })
            .collect();
        let leaving = leaving.into_iter().map(|(number, subject)| revoke(&registrar, &changes, number, subject));
        tokio::join!(futures_util::future::join_all(many), futures_util::future::join_all(leaving));
        number += 4;
    }
}

async fn revoke(registrar: &Registrar, changes: &Log, number: u64, subject: SubjectId) {
    let asked = now();
    match registrar.revoke(subject, "chaos").await {
        Ok(published) => changes.line(&json!({
            "op": "revoke", "asked": asked, "acknowledged": now(), "face": number, "subject": subject,
            "partition": published.partition, "head": published.head,
        })),
        Err(error) => unacknowledged(changes, "revoke", asked, number, &error),
    }
}

/// Asks for those who are enrolled, and for those who were revoked.
async fn ask(search: ClusterSearch, answers: Arc<Log>, enrolled: Enrolled, stop: Arc<AtomicBool>, asker: u64) {
    let mut count = asker * 1_000_003;
    let mut seen: Vec<u64> = (0..BEFORE).collect();
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let number = if count.is_multiple_of(2) {
            let enrolled = enrolled.lock();
            enrolled[(count * 7919) as usize % enrolled.len()].0
        } else {
            // Whoever was asked for once may have been revoked since.
            seen[(count * 104_729) as usize % seen.len()]
        };
        seen.push(number);
        one(&search, &answers, number, capture(number, count)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks once, and notes the answer.
async fn one(search: &ClusterSearch, answers: &Log, number: u64, probe: clearlane_template::Template) {
    let asked = now();
    let answer = search.search(&probe, &asking()).await.unwrap();
    note(answers, number, asked, answer);
}

fn asking() -> AskOptions {
    AskOptions { max_age: BOUND, budget: Duration::from_millis(1500), ..AskOptions::new(5) }
}

fn note(answers: &Log, number: u64, asked: u64, answer: Answer) {
    let answered = now();
    answers.line(&match answer {
        Answer::Complete(complete) => json!({
            "asked": asked, "answered": answered, "face": number, "complete": true,
            "age": complete.age.as_micros() as u64,
            "candidates": complete.candidates.iter().map(|one| (one.subject, one.score)).collect::<Vec<_>>(),
            "positions": complete.positions.iter().map(|one| (one.partition, one.head)).collect::<Vec<_>>(),
        }),
        Answer::Incomplete(incomplete) => json!({
            "asked": asked, "answered": answered, "face": number, "complete": false, "why": incomplete.to_string(),
        }),
    });
}

/// Kills and stops brokers and nodes at random: of the brokers, one at a time.
async fn wreak(brokers: &mut Brokers, nodes: &mut Nodes, events: &Log, seconds: u64) {
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut random = now() | 1;
    let mut draw = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let links = if nodes.links { 3 } else { 0 };
    let note = |event: &str, number: usize| events.line(&json!({ "t": now(), "event": event, "number": number }));
    while Instant::now() < until {
        let pause = Duration::from_millis(500 + draw(4000));
        match draw(6 + links) {
            0 => {
                let number = draw(3) as usize;
                note("kill broker", number);
                brokers.brokers[number].kill();
                tokio::time::sleep(pause).await;
                brokers.brokers[number].restart();
                note("restart broker", number);
                // The other two may only be harmed once this one has what it missed.
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            1 => {
                let number = draw(3) as usize;
                note("stop broker", number);
                brokers.brokers[number].signal("-STOP");
                tokio::time::sleep(pause * 2).await;
                brokers.brokers[number].signal("-CONT");
                note("continue broker", number);
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            2 => {
                // Both of a partition: its answers have to be incomplete.
                let pair = draw(3) as usize * 2;
                note("kill both nodes", pair);
                (pair..pair + 2).for_each(|number| nodes.kill(number));
                tokio::time::sleep(pause / 2).await;
                (pair..pair + 2).for_each(|number| nodes.start(number));
                note("restart both nodes", pair);
            }
            3 => {
                let number = draw(6) as usize;
                note("stop node", number);
                nodes.signal(number, "-STOP");
                tokio::time::sleep(pause * 2).await;
                nodes.signal(number, "-CONT");
                note("continue node", number);
            }
            6 => {
                let number = draw(BROKERS as u64) as usize;
                note("cut broker off", number);
                Network::link(number, false);
                tokio::time::sleep(pause * 2).await;
                Network::link(number, true);
                note("join broker", number);
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            7 => {
                // Or the lane, which goes on for as long as the bound allows, and no longer.
                let number = draw(NODES as u64 + 1) as usize;
                note("cut node off", number);
                Network::link(BROKERS + number, false);
                tokio::time::sleep(pause * 3).await;
                Network::link(BROKERS + number, true);
                note("join node", number);
            }
            8 => {
                let pair = draw(3) as usize * 2;
                note("cut both nodes off", pair);
                (pair..pair + 2).for_each(|number| Network::link(BROKERS + number, false));
                tokio::time::sleep(pause).await;
                (pair..pair + 2).for_each(|number| Network::link(BROKERS + number, true));
                note("join both nodes", pair);
            }
            _ => {
                let number = draw(NODES as u64 + 1) as usize;
                note("kill node", number);
                nodes.kill(number);
                tokio::time::sleep(pause).await;
                nodes.start(number);
                note("restart node", number);
            }
        }
        tokio::time::sleep(Duration::from_millis(draw(1500))).await;
    }
}
