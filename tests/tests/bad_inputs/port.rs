//! The files of a small port, in which all is well, and bad ones beside them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::{clearlane, fictional};

/// A folder with a port's files. Calls are made on copies of it.
pub(crate) struct Port {
    folder: TempDir,
}

impl Port {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let demo = |person: &str, picture: &str| fictional(&format!("enrolled/{person}/{picture}.jpg"));
        let list =
            "subject,image,category,birth,consent\nada,face.jpg,mainland-resident,1990-05-17,2025-01-01T00:00:00Z\n";
        fs::copy(demo("f0000", "enrol"), at("face.jpg")).unwrap();
        fs::copy(demo("f0000", "plain-1"), at("live.jpg")).unwrap();
        fs::write(at("list.csv"), list).unwrap();
        fs::write(at("queue.txt"), "live.jpg\n").unwrap();
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/demonstration.toml"), at("policy.toml"))
            .unwrap();
        for (name, person) in [("ada", "f0000"), ("bea", "f0001")] {
            fs::create_dir_all(at("people").join(name)).unwrap();
            for picture in ["enrol", "plain-1"] {
                fs::copy(demo(person, picture), at("people").join(name).join(picture).with_extension("jpg")).unwrap();
            }
        }
        fs::create_dir(at("folder")).unwrap();
        fs::set_permissions(at("folder"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(at("models")).unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(at("letter"), "Dear Sir or Madam,\nplease find attached nothing at all.\n").unwrap();
        for name in ["empty", "letter", "policy.toml"] {
            readable_by_all(&at(name));
        }
        let here = |words: &[&str]| clearlane().args(words).current_dir(folder.path()).assert().success();
        here(&["register", "keygen", "port.key"]);
        here(&["register", "keygen", "other.key"]);
        let register = ["--register", "port.register", "--key-file", "port.key"];
        here(&[&["enrol", "--without-policy", "list.csv"][..], &register].concat());
        here(&[&["register", "export", "people.jsonl"][..], &register].concat());
        here(&["claim", "keygen", "issuer.pem"]);
        Self { folder }
    }

    /// A copy of the folder of its own.
    pub(crate) fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), copy.path());
        copy
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).unwrap();
            fs::set_permissions(&to, entry.metadata().unwrap().permissions()).unwrap();
            copy_folder(&entry.path(), &to);
        } else {
            // Permissions too: a key's file is its owner's alone.
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A message without what differs from run to run: where temporary files lie, what keys are called, and how long something took.
pub(crate) fn steady(message: &str) -> String {
    let temporary = format!("{}/", std::env::temp_dir().display());
    let words: Vec<&str> = message.split(' ').collect();
    let words = words.iter().enumerate().map(|(at, word)| {
        let is_time =
            words.get(at + 1).is_some_and(|unit| ["s", "s;", "ms"].contains(unit)) && word.parse::<f64>().is_ok();
        let is_key = word.len() == 16 && word.chars().all(|digit| digit.is_ascii_hexdigit());
        match word.split_once(&temporary) {
            _ if is_time => "…".to_owned(),
            _ if is_key => "KEY".to_owned(),
            Some((before, path)) => {
                let name = path.find(['/', ':', ',']).unwrap_or(path.len());
                format!("{before}DIR{}", &path[name..])
            }
            None => (*word).to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// As whoever makes files leaves them in most places.
pub(crate) fn readable_by_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}
