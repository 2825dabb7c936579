//! What the end-to-end tests share: the command, a folder to work in, and pictures.
#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

pub(crate) mod calls;
pub(crate) mod page;
pub(crate) mod pairs;
pub(crate) mod port;

/// The command under test, deaf to the settings of whoever runs the tests.
pub(crate) fn clearlane() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clearlane-under-test"));
    for setting in SETTINGS {
        command.env_remove(setting);
    }
    command
}

pub(crate) const SETTINGS: [&str; 9] = [
    "CLEARLANE_BROKERS",
    "CLEARLANE_CLUSTER_KEY_FILE",
    "CLEARLANE_MODELS",
    "CLEARLANE_NKEY_FILE",
    "CLEARLANE_REGISTER",
    "CLEARLANE_KEY",
    "CLEARLANE_KEY_FILE",
    "CLEARLANE_LOG",
    "CLEARLANE_WITNESS",
];

/// What a command printed, as JSON.
pub(crate) fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// What a command printed, as JSON line by line.
pub(crate) fn json_lines(command: &mut Command) -> Vec<Value> {
    let output = command.arg("--json").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A picture of a person who does not exist: `enrolled/f0000/enrol.jpg`.
pub(crate) fn fictional(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/fictional").join(path)
}

/// The folders with research models and data sets; `None`, and a line that says so, where they are not set.
pub(crate) fn research() -> Option<(PathBuf, PathBuf)> {
    let (models, datasets) = (std::env::var_os("CLEARLANE_MODELS"), std::env::var_os("CLEARLANE_DATASETS"));
    if let (Some(models), Some(datasets)) = (models, datasets) {
        return Some((models.into(), datasets.into()));
    }
    eprintln!("skipped: needs real faces and research models; CLEARLANE_MODELS and CLEARLANE_DATASETS are not set");
    None
}

/// A file with these bytes in `folder`.
pub(crate) fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The built-in embedder's network fed otherwise, which is another model: `next`, in a folder of models.
pub(crate) fn next_model(folder: &Path) -> PathBuf {
    let entries = json(clearlane().args(["models", "list"]));
    let entries = entries.as_array().unwrap();
    let entry = |name: &str| &entries.iter().find(|entry| entry["model"]["name"] == name).unwrap()["model"];
    let digest = entry("clearlane-embedder")["sha256"].as_str().unwrap();
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/embedder.onnx");
    file(folder, "embedder.onnx", &std::fs::read(network).unwrap());
    let manifest = format!(
        "[[model]]\nname = \"next\"\nfile = \"embedder.onnx\"\nsha256 = \"{digest}\"\n\
         input = {{ width = 112, height = 112, colour = \"rgb\", mean = [124.0, 116.0, 104.0], std = [58.0, 57.0, 57.0] }}\n\
         licence = \"as the file's\"\nsource = \"a test\"\n[model.task.embedding]\ndimension = 128\n\
         [[model.task.embedding.calibration]]\npopulation = \"fictional-people\"\nmeasured_on = \"a test\"\n\
         thresholds = [{{ fmr = 1e-3, threshold = 0.55 }}]\n"
    );
    file(folder, "manifest.toml", manifest.as_bytes());
    folder.to_owned()
}
