//! A cluster as its operator runs it: broker, registrar, node, lanes and the collector of records, each a process.
#![cfg(all(unix, feature = "builtin", feature = "cluster"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::port::{ENROLLED, GALLERY, Port};
use common::{clearlane, fictional, file, json, json_lines, next_model};
use serde_json::Value;

/// A process that is killed where the test ends early.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// The same, with what it notes of its work in a file.
    fn logged(mut command: Command, log: &Path) -> Self {
        command.env("CLEARLANE_LOG", "debug");
        Self(command.stdout(Stdio::null()).stderr(File::create(log).unwrap()).spawn().unwrap())
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
    name: &'static str,
    address: String,
    _broker: Running,
}

impl Cluster {
    fn start(name: &'static str) -> Option<Self> {
        if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("note: not tried, since nats-server is not installed");
            return None;
        }
        let port = Port::shared();
        let number = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Command::new("nats-server");
        broker
            .args(["-a", "127.0.0.1", "-js", "-p", &number.to_string(), "-sd"])
            .arg(port.path(&format!("{name}-broker")));
        let broker = Running::start(broker);
        until("the broker listens", || TcpStream::connect(("127.0.0.1", number)).is_ok());
        let cluster = Self { port, name, address: format!("nats://127.0.0.1:{number}"), _broker: broker };
        clearlane().args(["register", "keygen"]).arg(cluster.key()).assert().success();
        Some(cluster)
    }

    fn key(&self) -> PathBuf {
        self.port.path(&format!("{}.key", self.name))
    }

    /// The options by which each command finds the broker.
    fn connection(&self) -> Vec<String> {
        let key = self.key().to_str().unwrap().to_owned();
        ["--brokers", &self.address, "--cluster-key", &key].map(str::to_owned).to_vec()
    }

    fn command(&self, words: &[&str]) -> assert_cmd::Command {
        let mut command = clearlane();
        command.args(words).args(self.connection());
        command
    }

    fn run(command: &assert_cmd::Command) -> Running {
        Running::start(Self::process(command))
    }

    fn process(command: &assert_cmd::Command) -> Command {
        let mut process = Command::new(command.get_program());
        process.args(command.get_args());
        for setting in common::SETTINGS {
            process.env_remove(setting);
        }
        process
    }

    fn registrar(&self, register: &str) -> Running {
        let publish = ["cluster", "publish", "--partitions", "3", "--replicas", "1"];
        let mut publish = self.port.on(&self.port.path(register), &publish);
        publish.args(self.connection());
        Self::run(&publish)
    }

    /// What `cluster status` says, and its exit code, once there is a gallery.
    fn status(&self) -> Option<(Value, Option<i32>)> {
        let output = self.command(&["cluster", "status", "--json"]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).map(|status| (status, output.status.code())).ok()
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
        let text = fs::read_to_string(self.port.path("collected/records.jsonl")).unwrap_or_default();
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
    let Some(cluster) = Cluster::start("lanes") else { return };
    let port = &cluster.port;
    // Before there is a gallery, and before there is a node, a lane says so.
    let unknown = fictional("unknown/u0002/plain-1.jpg");
    let queue = [picture(ENROLLED[0]), unknown.clone()].map(|path| path.display().to_string());
    fs::write(port.path("queue.txt"), queue.join("\n")).unwrap();
    let registrar = cluster.registrar("port/demo.register");
    let status = || cluster.status();
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

#[test]
fn whoever_is_enrolled_twice_is_found_by_workers_one_of_which_is_killed_and_so_is_who_asked() {
    let Some(cluster) = Cluster::start("batch") else { return };
    let port = &cluster.port;
    // Six people, three of whom have a second name.
    let people = ENROLLED[..6].iter().map(|one| ((*one).to_owned(), picture(one)));
    let twins =
        ENROLLED[..3].iter().map(|one| (format!("{one} again"), fictional(&format!("enrolled/{one}/plain-2.jpg"))));
    let people: Vec<(String, PathBuf)> = people.chain(twins).collect();
    for (name, picture) in &people {
        let folder = port.path("photos").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(picture, folder.join("face.jpg")).unwrap();
    }
    let register = port.path("batch.register");
    port.on(&register, &["enrol", "--without-policy"]).arg(port.path("photos")).assert().success();
    // What is expected is what comparing each with each says, one to one.
    let id = |name: &str| json(&mut port.on(&register, &["register", "show", name]))["id"].as_u64().unwrap();
    let mut expected = BTreeMap::new();
    for (number, (one, picture)) in people.iter().enumerate() {
        for (other, another) in &people[..number] {
            let mut verify = clearlane();
            verify.args(["verify", "--threshold", "0.5", "--json"]).args([picture, another]);
            let compared: Value = serde_json::from_slice(&verify.output().unwrap().stdout).unwrap();
            let score = compared["score"].as_f64().unwrap();
            if score >= 0.5 {
                let (one, other) = (id(one), id(other));
                expected.insert((one.min(other), one.max(other)), score);
            }
        }
    }
    assert!(expected.len() >= 3, "{expected:?}");

    let _registrar = cluster.registrar("batch.register");
    until("the gallery is published", || cluster.status().is_some());
    let work = cluster.command(&["cluster", "work"]);
    let search = ["cluster", "duplicates", "--threshold", "0.5", "--block", "1", "--hold", "2", "--replicas", "1"];
    let mut search = cluster.command(&search);
    let coordinator = Cluster::run(&search);
    // No node answers yet: a worker has a block when it is killed.
    let log = port.path("worker.log");
    let worker = Running::logged(Cluster::process(&work), &log);
    until("a worker has a block", || fs::read_to_string(&log).unwrap().contains("a part of a block is tried again"));
    drop((worker, coordinator));
    let batches = || json(&mut cluster.command(&["cluster", "batches"]))["batches"].clone();
    let standing = batches();
    assert_eq!((&standing[0]["kind"], &standing[0]["waiting"]), (&"duplicates".into(), &9.into()), "{standing}");
    let _node = Cluster::run(&cluster.command(&["node", "node-1"]));
    let workers = [Cluster::run(&work), Cluster::run(&work)];
    let output = search.arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |of: &Value| of.as_u64().unwrap();
    assert_eq!(
        (number(&report["blocks"]), number(&report["done"]), number(&report["subjects"])),
        (9, 9, 9),
        "{report}"
    );
    let pairs = report["pairs"].as_array().unwrap();
    let found: Vec<_> = pairs.iter().map(|pair| (number(&pair["subject"]), number(&pair["other"]))).collect();
    let mut by_score: Vec<_> = expected.iter().map(|(pair, score)| (*score, *pair)).collect();
    by_score.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    assert_eq!(found, by_score.iter().map(|(_, pair)| *pair).collect::<Vec<_>>(), "{report}");
    for (pair, (score, _)) in pairs.iter().zip(by_score) {
        assert!((pair["score"].as_f64().unwrap() - score).abs() < 1e-3, "{pair}");
    }
    assert_eq!(batches(), Value::Array(Vec::new()));
    for worker in workers {
        worker.stop("-INT");
    }
}

#[test]
fn a_register_gets_templates_of_a_new_embedder_from_workers_whoever_is_killed() {
    let Some(cluster) = Cluster::start("reembed") else { return };
    let port = &cluster.port;
    let (register, alone) = (port.path("reembed.register"), port.path("alone.register"));
    let people = &ENROLLED[..4];
    let of = |person: &str| fs::read(fictional(&format!("enrolled/{person}/enrol.jpg"))).unwrap();
    for person in people {
        file(&port.path("old"), &format!("{person}.jpg"), &of(person));
        file(&port.path("new"), &format!("{person}/1.jpg"), &of(person));
    }
    let lines = people.iter().map(|person| format!("{person},{person}.jpg,2024-11-25T00:00:00Z,true\n"));
    let list = format!("subject,image,consent,consent_fingerprint\n{}", lines.collect::<String>());
    // Somebody else's picture, and one that is none.
    file(&port.path("new"), &format!("{}/1.jpg", people[1]), &of(people[2]));
    file(&port.path("new"), &format!("{}/2.jpg", people[3]), b"Dear traveller");
    let list = file(&port.path("old"), "list.csv", list.as_bytes());
    port.on(&register, &["enrol"]).arg(list).arg("--policy").arg(port.policy()).assert().success();
    port.on(&register, &["register", "backup"]).arg(&alone).assert().success();
    let models = next_model(&port.path("next"));
    let reembed = |register: &Path, words: &[&str]| {
        let mut command = port.on(register, words);
        command.arg(port.path("new")).arg("--policy").arg(port.policy()).arg("--models").arg(&models);
        command.args(["--embedder", "next"]);
        command
    };
    let expected = json(&mut reembed(&alone, &["register", "reembed"]));
    assert_eq!((&expected["reembedded"], &expected["coverage"]["covered"]), (&3.into(), &3.into()), "{expected}");

    let _registrar = cluster.registrar("reembed.register");
    until("the gallery is published", || cluster.status().is_some());
    let mut coordinate = reembed(&register, &["cluster", "reembed"]);
    coordinate.args(cluster.connection()).args(["--block", "1", "--hold", "2", "--replicas", "1", "--json"]);
    let coordinator = Cluster::run(&coordinate);
    let mut finish = || serde_json::from_slice::<Value>(&coordinate.output().unwrap().stdout).unwrap();
    // A worker that knows no earlier embedder makes something else, and says so.
    let mut work = cluster.command(&["cluster", "work", "--embedder", "next"]);
    work.arg("--policy").arg(port.policy()).arg("--models").arg(&models);
    let log = port.path("other-worker.log");
    let other = Running::logged(Cluster::process(&work), &log);
    let passes_by = "its earlier model is";
    until("a worker is passed by", || fs::read_to_string(&log).unwrap().contains(passes_by));
    drop(coordinator);
    work.args(["--earlier", "clearlane-embedder"]);
    let (killed, worker) = (Cluster::run(&work), Cluster::run(&work));
    drop(killed);
    let report = finish();
    assert_eq!((&report["resumed"], &report["blocks"]), (&true.into(), &4.into()), "{report}");
    for part in ["subjects", "reembedded", "templates", "passed_over", "coverage", "lane"] {
        assert_eq!(report[part], expected[part], "{part}: {report}");
    }
    let failed = |report: &Value| {
        let failed = report["failed"].as_array().unwrap().clone();
        let words = |one: &Value| ["subject", "image"].map(|part| one[part].as_str().unwrap_or("").to_owned());
        failed.iter().map(|one| (words(one), one["refer"][0]["reason"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(failed(&report), failed(&expected));
    assert_eq!(report["failed"].as_array().unwrap().len(), 2, "{report}");

    // What was done is not done again, and what was refused is looked at again, by a new job.
    let again = finish();
    assert_eq!((&again["passed_over"], &again["resumed"], &again["blocks"]), (&3.into(), &false.into(), &1.into()));
    for process in [worker, other] {
        process.stop("-INT");
    }
}
