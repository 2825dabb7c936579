//! Promises of the register on the command line: what a careless operator, a second process or an old file cannot undo.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use assert_cmd::Command;
use common::{clearlane, fictional, file, json};
use predicates::str::contains;
use tempfile::TempDir;

/// A folder with a key and nobody enrolled.
struct Station {
    folder: TempDir,
}

impl Station {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        clearlane().args(["register", "keygen"]).arg(folder.path().join("key")).assert().success();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn on(&self, register: &str, arguments: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(arguments);
        command.arg("--register").arg(self.path(register)).arg("--key-file").arg(self.path("key"));
        command
    }

    /// Enrols one fictional person under a name.
    fn enrol(&self, register: &str, name: &str, person: &str) -> Command {
        let mut command = self.on(register, &["enrol", "--without-policy"]);
        command.arg(self.applicant(name, person));
        command
    }

    /// A folder with one applicant.
    fn applicant(&self, name: &str, person: &str) -> PathBuf {
        let picture = fs::read(fictional(&format!("enrolled/{person}/enrol.jpg"))).unwrap();
        let folder = self.path(&format!("applicant-{name}"));
        file(&folder, &format!("{name}/1.jpg"), &picture);
        folder
    }
}

/// Starts several commands at once, and says how each ended.
fn together(commands: Vec<Command>) -> Vec<Option<i32>> {
    let start = |command: Command| {
        let mut process = Process::new(command.get_program());
        process.args(command.get_args()).stdout(Stdio::null()).stderr(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => process.env(name, value),
                None => process.env_remove(name),
            };
        }
        process.spawn().unwrap()
    };
    let children: Vec<_> = commands.into_iter().map(start).collect();
    children.into_iter().map(|mut child| child.wait().unwrap().code()).collect()
}

fn subjects(station: &Station, register: &str) -> u64 {
    json(&mut station.on(register, &["register", "stats"]))["stats"]["subjects"].as_u64().unwrap()
}

#[test]
fn of_commands_that_make_one_register_at_the_same_moment_all_succeed() {
    let station = Station::new();
    let people = ["f0000", "f0001", "f0003"];
    let commands = people.iter().map(|person| station.enrol("port", person, person)).collect();
    assert_eq!(together(commands), [Some(0); 3]);
    assert_eq!(subjects(&station, "port"), 3);
    station.on("port", &["register", "check"]).assert().success();
}

#[test]
fn of_stations_that_enrol_one_face_under_several_names_at_the_same_moment_one_does() {
    let station = Station::new();
    station.enrol("port", "first", "f0004").assert().success();
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/demonstration.toml");
    let names = ["Aaron", "Berta", "Chen"];
    let commands = names.iter().map(|name| {
        let picture = fs::read(fictional("enrolled/f0001/enrol.jpg")).unwrap();
        file(station.folder.path(), &format!("{name}.jpg"), &picture);
        let list = format!("subject,image,consent\n{name},{name}.jpg,2024-11-25T00:00:00Z\n");
        let list = file(station.folder.path(), &format!("{name}.csv"), list.as_bytes());
        let mut command = station.on("port", &["enrol"]);
        command.arg(list).arg("--policy").arg(&policy);
        command
    });
    let mut ended = together(commands.collect());
    ended.sort_unstable();
    assert_eq!(ended, [Some(0), Some(1), Some(1)]);
    assert_eq!(subjects(&station, "port"), 2);
}

#[test]
fn a_register_is_not_restored_beside_the_log_of_another() {
    let station = Station::new();
    station.enrol("port", "first", "f0000").assert().success();
    let backup = station.path("backup");
    station.on("port", &["register", "backup"]).arg(&backup).assert().success();
    fs::rename(station.path("port"), station.path("moved")).unwrap();
    fs::write(station.path("port-wal"), b"a log that was left behind").unwrap();
    let restore = || {
        let mut command = station.on("port", &["register", "restore"]);
        command.arg(&backup).assert()
    };
    restore().code(5).stderr(contains("port-wal")).stderr(contains("move it"));
    assert!(!station.path("port").exists());
    // A reader may have left the index of its log as well.
    for beside in ["port-wal", "port-shm"] {
        let _ = fs::rename(station.path(beside), station.path("moved").with_extension(beside));
    }
    restore().success();
    station.on("port", &["register", "check"]).assert().success();
}

#[test]
fn an_older_register_is_refused_by_its_witness_and_taken_back_on_purpose() {
    let station = Station::new();
    let witness = station.path("roots");
    let on = |register: &str, arguments: &[&str]| {
        let mut command = station.on(register, arguments);
        command.arg("--witness").arg(&witness);
        command
    };
    on("port", &["enrol", "--without-policy"]).arg(station.applicant("Aaron", "f0000")).assert().success();
    on("port", &["register", "backup"]).arg(station.path("backup")).assert().success();
    on("port", &["register", "revoke", "Aaron", "--reason", "lost"]).assert().success();
    fs::copy(station.path("backup"), station.path("port")).unwrap();
    on("port", &["register", "check"]).assert().code(5).stderr(contains("older register")).stderr(contains("restore"));
    on("port", &["register", "list"]).assert().code(5);
    station.on("port", &["register", "list"]).assert().success();
    for file in ["port", "port-wal", "port-shm"] {
        let _ = fs::remove_file(station.path(file));
    }
    on("port", &["register", "restore"]).arg(station.path("backup")).assert().success();
    on("port", &["register", "check"]).assert().success();
}

#[test]
fn a_sweep_needs_a_day_that_is_the_ports_and_a_look_where_many_would_leave() {
    let station = Station::new();
    let line = |n: u32| format!("{{\"key\": \"p{n}\", \"expires\": \"2099-01-01\"}}\n");
    let lines: String = (0..40).map(line).collect();
    let people = file(station.folder.path(), "people.jsonl", lines.as_bytes());
    station.on("port", &["register", "import"]).arg(people).assert().success();
    station.on("port", &["register", "sweep"]).assert().code(2).stderr(contains("--policy"));
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/shenzhen-bay-and-gongbei.toml");
    station.on("port", &["register", "sweep"]).arg("--policy").arg(policy).assert().success();
    assert_eq!(subjects(&station, "port"), 40);
    let far = ["register", "sweep", "--day", "2099-06-01"];
    station.on("port", &far).assert().code(5).stderr(contains("40 of 40")).stderr(contains("--confirm"));
    assert_eq!(subjects(&station, "port"), 40);
    station.on("port", &far).arg("--confirm").assert().success();
    assert_eq!(subjects(&station, "port"), 0);
}

#[test]
fn a_clock_is_confirmed_and_what_was_deleted_is_erased() {
    let station = Station::new();
    station.enrol("port", "Aaron", "f0000").assert().success();
    let confirmed = json(&mut station.on("port", &["register", "confirm-clock"]));
    assert!(confirmed["newest_record"].is_null() && confirmed["now"].is_string());
    let reader = rusqlite::Connection::open(station.path("port")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM template").unwrap();
    let revoked = json(&mut station.on("port", &["register", "revoke", "Aaron", "--reason", "lost"]));
    assert_eq!(revoked["erased"], false);
    assert_eq!(json(&mut station.on("port", &["register", "stats"]))["erased"], false);
    reader.execute_batch("COMMIT").unwrap();
    station.on("port", &["register", "erase"]).assert().success();
    station.on("port", &["register", "check"]).assert().success();
    assert_eq!(json(&mut station.on("port", &["register", "stats"]))["erased"], true);
}
