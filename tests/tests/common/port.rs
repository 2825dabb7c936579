//! A port with a few fictional travellers, made by `clearlane demo --keep` on the built-in models.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

use super::{clearlane, fictional, json, json_lines};

/// Templates in the gallery, synthetic ones included.
pub(crate) const GALLERY: u64 = 1_000;

/// Who is enrolled. Tests that count a traveller's passages have one of their own.
pub(crate) const ENROLLED: [&str; 8] = ["f0000", "f0001", "f0010", "f0003", "f0004", "f0014", "f0006", "f0007"];

pub(crate) struct Port {
    folder: TempDir,
    /// What the demonstration printed.
    pub(crate) demonstration: Vec<Value>,
}

impl Port {
    /// The port that the tests of one file share for as long as one of them runs.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Port>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let port = Arc::new(Self::new());
            *shared = Arc::downgrade(&port);
            port
        })
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let faces = folder.path().join("faces");
        choose(&faces);
        let mut demo = clearlane();
        demo.args(["demo", "--gallery", &GALLERY.to_string(), "--faces"]).arg(&faces);
        demo.arg("--keep").arg(folder.path().join("port"));
        demo.arg("--report").arg(folder.path().join("demo.html"));
        let demonstration = json_lines(&mut demo);
        Self { folder, demonstration }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.path("port/demo-policy.toml")
    }

    /// A command on this port's register.
    pub(crate) fn on_register(&self, words: &[&str]) -> Command {
        self.on(&self.path("port/demo.register"), words)
    }

    /// A command on a copy of this port's register.
    pub(crate) fn on(&self, register: &Path, words: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(words).arg("--register").arg(register).arg("--key-file").arg(self.path("port/demo.key"));
        command
    }

    /// `lane run` on a queue.
    pub(crate) fn run_lanes(&self, queue: &Path, more: &[&str]) -> Command {
        let mut command = self.on_register(&["lane", "run"]);
        command.arg(queue).arg("--policy").arg(self.policy()).args(["--port", "shenzhen-bay"]).args(more);
        command
    }

    /// The register's number of a traveller.
    pub(crate) fn id(&self, traveller: &str) -> u64 {
        json(&mut self.on_register(&["register", "show", traveller]))["id"].as_u64().unwrap()
    }

    /// A list of pictures of the fictional set, in a file of the port's folder.
    pub(crate) fn queue(&self, name: &str, pictures: &[String]) -> PathBuf {
        let lines: Vec<_> = pictures.iter().map(|picture| fictional(picture).display().to_string()).collect();
        let path = self.path(name);
        std::fs::write(&path, lines.join("\n")).unwrap();
        path
    }
}

/// The manifest's lines of those who are enrolled and of three who are not, with their pictures.
fn choose(folder: &Path) {
    let all = std::fs::read_to_string(fictional("manifest.csv")).unwrap();
    let (mut chosen, mut unknown) = (String::new(), Vec::new());
    for (number, line) in all.lines().enumerate() {
        let fields: Vec<_> = line.split(',').collect();
        let (picture, person) = (fields[0], fields[1]);
        if fields[4] == "no" && !unknown.contains(&person) && unknown.len() < 3 {
            unknown.push(person);
        }
        if number == 0 || ENROLLED.contains(&person) || unknown.contains(&person) {
            writeln!(chosen, "{line}").unwrap();
            if number > 0 {
                let to = folder.join(picture);
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(fictional(picture), to).unwrap();
            }
        }
    }
    std::fs::write(folder.join("manifest.csv"), chosen).unwrap();
}
