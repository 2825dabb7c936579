//! The whole way on real faces with research models. Skipped, with a line that says so, where there are none.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use common::{clearlane, file, json, research};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

/// The models with which LFW's figures are known.
const MODELS: [&str; 4] = ["--detector", "scrfd-500m-320", "--embedder", "mobilefacenet"];

/// People with two images or more, by their first letters: whoever they are, they are not chosen by hand.
const PEOPLE: usize = 8;

struct Port {
    folder: TempDir,
    models: PathBuf,
    lfw: PathBuf,
    people: Vec<String>,
}

impl Port {
    /// A key, and the first image of some people, ready to be enrolled.
    fn new() -> Option<Self> {
        let (models, datasets) = research()?;
        let lfw = datasets.join("lfw");
        let mut names: Vec<String> =
            std::fs::read_dir(&lfw).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names.retain(|name| lfw.join(name).join(format!("{name}_0002.jpg")).exists());
        let people: Vec<String> = names.into_iter().step_by(97).take(PEOPLE).collect();
        let port = Self { folder: tempfile::tempdir().unwrap(), models, lfw, people };
        for name in &port.people {
            let bytes = std::fs::read(port.image(name, 1)).unwrap();
            file(port.folder.path(), &format!("photos/{name}/1.jpg"), &bytes);
        }
        clearlane().args(["register", "keygen"]).arg(port.path("port.key")).assert().success();
        Some(port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn image(&self, name: &str, number: u32) -> PathBuf {
        self.lfw.join(name).join(format!("{name}_{number:04}.jpg"))
    }

    /// A command with this port's models.
    fn with_models(&self, words: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(words).args(MODELS).arg("--models").arg(&self.models);
        command
    }

    /// A command on this port's register.
    fn on_register(&self, words: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(words);
        self.add_register(&mut command);
        command
    }

    fn add_register(&self, command: &mut Command) {
        command.arg("--register").arg(self.path("port.db")).arg("--key-file").arg(self.path("port.key"));
    }

    fn enrol(&self) -> Command {
        let mut command = self.with_models(&["enrol", "--without-policy"]);
        command.arg(self.path("photos"));
        self.add_register(&mut command);
        command
    }

    fn identify(&self, picture: &Path) -> Command {
        let mut command = self.with_models(&["identify", "--threshold", "0.35"]);
        command.arg(picture);
        self.add_register(&mut command);
        command
    }
}

/// Two faces side by side.
fn couple(port: &Port) -> PathBuf {
    let (left, right) = (port.image(&port.people[0], 1), port.image(&port.people[1], 1));
    let (left, right) = (image::open(left).unwrap().into_rgb8(), image::open(right).unwrap().into_rgb8());
    let mut both = image::RgbImage::new(left.width() + right.width(), left.height());
    image::imageops::replace(&mut both, &left, 0, 0);
    image::imageops::replace(&mut both, &right, i64::from(left.width()), 0);
    let path = port.path("couple.png");
    both.save(&path).unwrap();
    path
}

#[test]
fn inspect_shows_faces_landmarks_and_quality_and_draws_them() {
    let Some(port) = Port::new() else { return };
    let (picture, out) = (couple(&port), port.path("seen.png"));
    let seen = json(
        clearlane().arg("inspect").arg(&picture).arg("--out").arg(&out).args(MODELS).arg("--models").arg(&port.models),
    );
    let faces = seen["faces"].as_array().unwrap();
    assert_eq!(faces.len(), 2);
    for face in faces {
        assert_eq!(face["landmarks"].as_array().unwrap().len(), 5);
        assert!(face["quality"]["Sharpness"]["value"].is_u64());
    }
    // The aligned faces stand beside the picture.
    assert_eq!(image::open(out).unwrap().width(), 500 + 112);
}

#[test]
fn verify_says_whether_two_pictures_show_one_person() {
    let Some(port) = Port::new() else { return };
    let mut matched = 0;
    for pair in port.people.windows(2) {
        let verify = |a: PathBuf, b: PathBuf| {
            port.with_models(&["verify", "--threshold", "0.35", "--face", "central"])
                .arg(a)
                .arg(b)
                .output()
                .unwrap()
                .status
                .code()
        };
        matched += i32::from(verify(port.image(&pair[0], 1), port.image(&pair[0], 2)) == Some(0));
        assert_eq!(verify(port.image(&pair[0], 1), port.image(&pair[1], 1)), Some(1), "{pair:?}");
    }
    assert!(matched >= PEOPLE as i32 - 2, "{matched} of {} mated pairs matched", PEOPLE - 1);
}

#[test]
fn a_picture_with_several_faces_is_refused_unless_one_is_chosen() {
    let Some(port) = Port::new() else { return };
    let (couple, alone) = (couple(&port), port.image(&port.people[0], 1));
    let verify = |face: &str| {
        port.with_models(&["verify", "--threshold", "0.35", "--face", face]).args([&couple, &alone]).assert()
    };
    verify("only").code(3).stderr(contains("got 2").and(contains("couple.png")).and(contains("--face")));
    verify("largest").code(predicate::in_iter([0, 1]));
}

#[test]
fn a_face_that_the_border_cuts_and_a_picture_without_one_are_refused() {
    let Some(port) = Port::new() else { return };
    let whole = image::open(port.image(&port.people[0], 1)).unwrap();
    let (cut, none) = (port.path("cut.png"), port.path("none.png"));
    whole.crop_imm(125, 0, 125, 250).save(&cut).unwrap();
    whole.crop_imm(0, 0, 40, 40).save(&none).unwrap();
    for picture in [&cut, &none] {
        let verify = port.with_models(&["verify", "--threshold", "0.35"]).args([picture, picture]).assert();
        verify.code(3).stderr(contains(picture.to_str().unwrap()).and(contains("face")));
    }
    port.with_models(&["inspect"]).arg(&none).assert().code(3).stderr(contains("no face in the picture"));
}

#[test]
fn who_is_enrolled_is_identified_until_they_are_revoked() {
    let Some(port) = Port::new() else { return };
    file(port.folder.path(), "photos/Nobody/letter.jpg", b"Dear Sir or Madam,");
    file(port.folder.path(), "photos/Empty/notes.txt", b"no picture here");

    let report = json(&mut port.enrol());
    assert_eq!(report["enrolled"], PEOPLE);
    let failed: Vec<&str> =
        report["failed"].as_array().unwrap().iter().map(|f| f["subject"].as_str().unwrap()).collect();
    // Pictures that could not be read, then subjects.
    assert_eq!(failed, ["Nobody", "Empty"]);
    let again = json(port.enrol().args(["--face", "central"]));
    assert_eq!((&again["enrolled"], &again["passed_over"]), (&Value::from(0), &Value::from(PEOPLE)));

    let (name, probe) = (&port.people[2], port.image(&port.people[2], 2));
    let answer = json(&mut port.identify(&probe));
    assert_eq!(answer["subject"], *name.as_str());
    assert_eq!(answer["candidates"][0]["subject"], *name.as_str());

    port.on_register(&["register", "revoke", name, "--reason", "test"]).assert().success();
    let answer = port.identify(&probe).arg("--json").assert().code(1);
    let answer: Value = serde_json::from_slice(&answer.get_output().stdout).unwrap();
    assert_eq!(answer["subject"], Value::Null);
    assert!(answer["candidates"].as_array().unwrap().iter().all(|candidate| candidate["subject"] != *name.as_str()));
    port.on_register(&["register", "show", name]).assert().code(5).stderr(contains(name.as_str()));
}

#[test]
fn a_register_is_listed_counted_checked_and_carried_to_another() {
    let Some(port) = Port::new() else { return };
    port.enrol().assert().success();
    port.on_register(&["register", "list"]).assert().success().stdout(contains(port.people[0].as_str()));
    port.on_register(&["register", "show", &port.people[0]]).assert().success().stdout(contains("import"));
    let stats = json(&mut port.on_register(&["register", "stats"]));
    assert_eq!(
        (&stats["stats"]["subjects"], &stats["stats"]["templates"]),
        (&Value::from(PEOPLE), &Value::from(PEOPLE))
    );
    let checked = json(&mut port.on_register(&["register", "check"]));
    assert_eq!((&checked["sound"], &checked["seals_checked"]), (&Value::from(true), &Value::from(true)));

    let text = port.path("all.jsonl");
    port.on_register(&["register", "export", "--templates"]).arg(&text).assert().success();
    let other = port.path("other.db");
    let import = || {
        let mut command = clearlane();
        command
            .args(["register", "import"])
            .arg(&text)
            .arg("--register")
            .arg(&other)
            .arg("--key-file")
            .arg(port.path("port.key"));
        json(&mut command)
    };
    assert_eq!(import()["enrolled"], PEOPLE);
    assert_eq!(import()["present"], PEOPLE);
}

#[test]
fn a_register_opens_with_its_key_and_its_model_only() {
    let Some(port) = Port::new() else { return };
    port.enrol().assert().success();
    let probe = port.image(&port.people[0], 2);
    let identify = |key: &str, models: &Path| {
        let mut command = clearlane();
        command.args(["identify", "--threshold", "0.35"]).arg(&probe).arg("--register").arg(port.path("port.db"));
        command.arg("--key-file").arg(port.path(key)).arg("--models").arg(models).args(MODELS).assert()
    };
    clearlane().args(["register", "keygen"]).arg(port.path("other.key")).assert().success();
    identify("other.key", &port.models).code(5).stderr(contains("key"));

    // The same network fed otherwise is another model.
    let other = port.path("models");
    for name in ["scrfd_500m_bnkps_320.onnx", "mobilefacenet.onnx"] {
        file(&other, name, &std::fs::read(port.models.join(name)).unwrap());
    }
    let entries = json(clearlane().args(["models", "list", "--models"]).arg(&port.models));
    let entry = |name: &str| {
        let all = entries.as_array().unwrap();
        all.iter().map(|entry| &entry["model"]).find(|model| model["name"] == name).unwrap().clone()
    };
    let digest = |name: &str| entry(name)["sha256"].as_str().unwrap().to_owned();
    let manifest = MANIFEST
        .replace("DETECTOR_DIGEST", &digest("scrfd-500m-320"))
        .replace("EMBEDDER_DIGEST", &digest("mobilefacenet"));
    file(&other, "manifest.toml", manifest.as_bytes());
    identify("port.key", &other).code(5).stderr(contains("model").and(contains("--embedder")));

    let before = std::fs::read(port.path("port.db")).unwrap();
    let mut enrol = clearlane();
    enrol.args(["enrol", "--without-policy"]).arg(port.path("photos")).args(MODELS).arg("--models").arg(&other);
    port.add_register(&mut enrol);
    enrol.assert().code(5).stderr(contains("--add-model"));
    assert_eq!(std::fs::read(port.path("port.db")).unwrap(), before);
}

const MANIFEST: &str = r#"
[[model]]
name = "scrfd-500m-320"
file = "scrfd_500m_bnkps_320.onnx"
sha256 = "DETECTOR_DIGEST"
input = { width = 320, height = 320, colour = "rgb", mean = [127.5, 127.5, 127.5], std = [128.0, 128.0, 128.0] }
licence = "as the file's"
source = "a test"

[model.task.detection]
family = "scrfd"
score_threshold = 0.5
overlap_threshold = 0.4

[[model]]
name = "mobilefacenet"
file = "mobilefacenet.onnx"
sha256 = "EMBEDDER_DIGEST"
input = { width = 112, height = 112, colour = "rgb", mean = [127.5, 127.5, 127.5], std = [127.5, 127.5, 127.5] }
licence = "as the file's"
source = "a test"

[model.task.embedding]
dimension = 128
"#;

#[cfg(unix)]
#[test]
fn ctrl_c_stops_cleanly_and_a_second_run_goes_on() {
    let Some(port) = Port::new() else { return };
    // Enough subjects that the first batches are done long before the last.
    let bytes = std::fs::read(port.image(&port.people[0], 1)).unwrap();
    let total = PEOPLE + 400;
    for number in 0..400 {
        file(port.folder.path(), &format!("photos/copy-{number:03}/1.jpg"), &bytes);
    }
    let mut enrol = std::process::Command::new(env!("CARGO_BIN_EXE_clearlane-under-test"));
    enrol
        .args(["enrol", "--without-policy"])
        .arg(port.path("photos"))
        .args(MODELS)
        .arg("--models")
        .arg(&port.models)
        .arg("--json");
    enrol.arg("--register").arg(port.path("port.db")).arg("--key-file").arg(port.path("port.key"));
    let running = enrol.stdout(std::process::Stdio::piped()).spawn().unwrap();
    while !port.path("port.db").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let interrupt = std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = running.wait_with_output().unwrap();
    let first: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &first["interrupted"]), (Some(130), &Value::from(true)), "{first}");

    let second = json(&mut port.enrol());
    assert_eq!(second["passed_over"], first["enrolled"]);
    assert_eq!(second["enrolled"].as_u64().unwrap() + first["enrolled"].as_u64().unwrap(), total as u64);
}

#[test]
fn eval_runs_view_2_identification_and_all_pairs() {
    let Some(port) = Port::new() else { return };
    let set = port.path("lfw");
    let mut pairs = format!("2\t{}\n", PEOPLE / 2);
    for half in port.people.chunks(PEOPLE / 2) {
        for name in half {
            for number in [1, 2] {
                let bytes = std::fs::read(port.image(name, number)).unwrap();
                file(&set, &format!("{name}/{name}_{number:04}.jpg"), &bytes);
            }
            writeln!(pairs, "{name}\t1\t2").unwrap();
        }
        for (index, name) in half.iter().enumerate() {
            writeln!(pairs, "{name}\t1\t{}\t1", half[(index + 1) % half.len()]).unwrap();
        }
    }
    file(&set, "pairs.txt", pairs.as_bytes());
    let eval = |how: &[&str]| json(port.with_models(&["eval", "lfw"]).arg(&set).args(how));

    let det = port.path("det.csv");
    let view2 = eval(&["--det", det.to_str().unwrap()]);
    let raw = &view2["figures"]["raw"];
    assert_eq!((&raw["mated"], &raw["non_mated"]), (&Value::from(PEOPLE), &Value::from(PEOPLE)));
    assert!(raw["accuracy"]["mean"].as_f64().unwrap() >= 0.8, "{raw}");
    assert!(raw["auc"].as_f64().unwrap() >= 0.9, "{raw}");
    assert!(std::fs::read_to_string(det).unwrap().starts_with("threshold,fmr,fnmr\n"));

    let both = eval(&["--beside", "clearlane-embedder"]);
    assert_eq!(both["figures"], view2["figures"]);
    assert_eq!(both["beside"]["models"]["embedder"], "clearlane-embedder");
    let mean = |figures: &Value| figures["raw"]["accuracy"]["mean"].as_f64().unwrap();
    let less = both["beside"]["accuracy_less"]["mean"].as_f64().unwrap();
    assert!((less - (mean(&both["beside"]["figures"]) - mean(&both["figures"]))).abs() < 1e-9, "{both}");

    let searches = eval(&["--identification"]);
    assert_eq!(searches["figures"]["gallery"], PEOPLE);
    assert!(searches["figures"]["ranks"][0]["rate"].as_f64().unwrap() >= 0.7, "{searches}");

    let all = eval(&["--all-pairs"]);
    assert_eq!(all["figures"]["mated"], PEOPLE);
    assert_eq!(all["figures"]["non_mated"], PEOPLE * 2 * (PEOPLE * 2 - 1) / 2 - PEOPLE);

    std::fs::remove_file(set.join(&port.people[0]).join(format!("{}_0002.jpg", port.people[0]))).unwrap();
    port.with_models(&["eval", "lfw"]).arg(&set).assert().code(3).stderr(contains(port.people[0].as_str()));
}
