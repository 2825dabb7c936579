//! A cluster as its operator runs it: broker, registrar, node, lanes and the collector of records, each a process.
#![cfg(all(unix, feature = "builtin", feature = "cluster"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::port::{ENROLLED, GALLERY, Port};
use common::{clearlane, fictional, json_lines};
use serde_json::Value;

/// A process that is killed where the test ends early.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Ctrl-C, or what an operating system sends before it ends: it has to end by itself, and to say that all is well.
    fn stop(mut self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap().success());
        let until = Instant::now() + Duration::from_secs(30);
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it does not end at {signal}");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.0.wait().unwrap().success(), "it ended otherwise at {signal}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A broker, and the files of a cluster that uses it.
struct Cluster {
    port: std::sync::Arc<Port>,
    address: String,
    _broker: Running,
}

impl Cluster {
    fn start() -> Option<Self> {
        if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("note: not tried, since nats-server is not installed");
            return None;
        }
        let port = Port::shared();
        let number = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Command::new("nats-server");
        broker.args(["-a", "127.0.0.1", "-js", "-p", &number.to_string(), "-sd"]).arg(port.path("broker"));
        let broker = Running::start(broker);
        until("the broker listens", || TcpStream::connect(("127.0.0.1", number)).is_ok());
        clearlane().args(["register", "keygen"]).arg(port.path("cluster.key")).assert().success();
        Some(Self { port, address: format!("nats://127.0.0.1:{number}"), _broker: broker })
    }

    /// The options by which each command finds the broker.
    fn connection(&self) -> Vec<String> {
        let key = self.port.path("cluster.key").to_str().unwrap().to_owned();
        ["--brokers", &self.address, "--cluster-key", &key].map(str::to_owned).to_vec()
    }

    fn command(&self, words: &[&str]) -> assert_cmd::Command {
        let mut command = clearlane();
        command.args(words).args(self.connection());
        command
    }

    fn run(command: &assert_cmd::Command) -> Running {
        let mut process = Command::new(command.get_program());
        process.args(command.get_args());
        for setting in common::SETTINGS {
            process.env_remove(setting);
        }
        Running::start(process)
    }

    fn registrar(&self) -> Running {
        let mut publish = self.port.on_register(&["cluster", "publish", "--partitions", "3", "--replicas", "1"]);
        publish.args(self.connection());
        Self::run(&publish)
    }

    /// Lanes on a register of their own, which is made for their records.
    fn lane(&self, register: &str, queue: &str, more: &[&str]) -> BTreeMap<String, Value> {
        let mut lane = self.port.on(&self.port.path(register), &["lane", "run"]);
        lane.arg(self.port.path(queue)).arg("--policy").arg(self.port.policy()).args(["--port", "shenzhen-bay"]);
        let lines = json_lines(lane.args(self.connection()).args(more));
        let passages = lines.into_iter().filter(|line| line["passenger"].is_string());
        passages.map(|passage| (passage["passenger"].as_str().unwrap().to_owned(), passage)).collect()
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.port.path("collected/records.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !so() {
        assert!(Instant::now() < end, "it did not come about that {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn picture(traveller: &str) -> PathBuf {
    fictional(&format!("enrolled/{traveller}/plain-1.jpg"))
}

#[test]
fn a_cluster_is_published_searched_by_lanes_watched_and_its_records_collected() {
    let Some(cluster) = Cluster::start() else { return };
    let port = &cluster.port;
    // Before there is a gallery, and before there is a node, a lane says so.
    let unknown = fictional("unknown/u0002/plain-1.jpg");
    let queue = [picture(ENROLLED[0]), unknown.clone()].map(|path| path.display().to_string());
    std::fs::write(port.path("queue.txt"), queue.join("\n")).unwrap();
    let registrar = cluster.registrar();
    let status = || {
        let output = cluster.command(&["cluster", "status", "--json"]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).map(|status| (status, output.status.code())).ok()
    };
    until("the gallery is published", || status().is_some());
    let passages = cluster.lane("lane-1.register", "queue.txt", &[]);
    assert!(passages.values().all(|passage| passage["reasons"][0]["reason"] == "gallery-incomplete"), "{passages:?}");

    let snapshots = port.path("node-1").to_str().unwrap().to_owned();
    let start_node = || Cluster::run(&cluster.command(&["node", "node-1", "--snapshots", &snapshots]));
    let node = start_node();
    until("the cluster is well", || status().is_some_and(|(_, code)| code == Some(0)));
    let (status_now, _) = status().unwrap();
    let held = status_now["nodes"][0]["partitions"].as_array().unwrap().iter();
    assert_eq!(held.map(|partition| partition["templates"].as_u64().unwrap()).sum::<u64>(), GALLERY);

    let collect = cluster.command(&["cluster", "collect", "--replicas", "1", port.path("collected").to_str().unwrap()]);
    let collector = Cluster::run(&collect);
    until("the collector is there", || port.path("collected/records.jsonl").exists());
    let mut second = cluster.command(&["cluster", "collect", port.path("collected").to_str().unwrap()]);
    let second = second.timeout(Duration::from_mins(1)).output().unwrap();
    assert_eq!(second.status.code(), Some(6), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stderr).contains("records.jsonl: another process collects into it"));
    let outbox = port.path("outbox").to_str().unwrap().to_owned();
    let asking = ["--send-records", "lane-1", "--outbox", &outbox];
    let following = ["--follow", "--send-records", "lane-2", "--outbox", &outbox];
    for (register, more, earlier) in [("lane-1.register", &asking[..], 2), ("lane-2.register", &following[..], 0)] {
        let mut passages = BTreeMap::new();
        let mut runs = 0;
        // A process that has just begun to follow may not have heard the registrar yet.
        until("a traveller is admitted", || {
            runs += 1;
            passages = cluster.lane(register, "queue.txt", more);
            passages[picture(ENROLLED[0]).to_str().unwrap()]["decision"] == "admit"
        });
        assert_eq!(passages[picture(ENROLLED[0]).to_str().unwrap()]["subject"], port.id(ENROLLED[0]));
        assert_eq!(passages[unknown.to_str().unwrap()]["decision"], "refer");
        // Those of before it was told to send come as well, and each once.
        let name = more.iter().find(|word| word.starts_with("lane-")).unwrap();
        let of_lane = |record: &&Value| record["lane"] == *name;
        until("the records are collected", || cluster.records().iter().filter(of_lane).count() == earlier + 2 * runs);
        let records = cluster.records();
        let records: Vec<_> = records.iter().filter(of_lane).collect();
        for (number, record) in (1..).zip(&records) {
            assert_eq!(record["count"], number, "{record}");
            assert_eq!((&record["sent"]["record"]["seq"], &record["fault"]), (&number.into(), &Value::Null));
        }
    }

    // Whoever is revoked at the centre is admitted nowhere once the policy's gallery-age-ms is over, and a node and a collector
    // that come again know it and what they had.
    port.on_register(&["register", "revoke", ENROLLED[0], "--reason", "moved"]).assert().success();
    node.stop("-TERM");
    collector.stop("-INT");
    let (_node, collector) = (start_node(), Cluster::run(&collect));
    std::thread::sleep(Duration::from_secs(5));
    until("the cluster is well again", || status().is_some_and(|(_, code)| code == Some(0)));
    let before = cluster.records().len();
    let passages = cluster.lane("lane-1.register", "queue.txt", &asking);
    assert_eq!(passages[picture(ENROLLED[0]).to_str().unwrap()]["reasons"][0]["reason"], "no-candidate");
    until("the new records are collected", || cluster.records().len() == before + 2);
    assert!(cluster.records().iter().all(|record| record["fault"].is_null()));
    collector.stop("-INT");
    registrar.stop("-TERM");
}
