//! Own captures give thresholds: counted where the comparisons suffice, extrapolated and said so beyond; written into a manifest
//! with the population that they are for, without which nothing opens; and compared with live scores.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use clearlane_store::{Direction, Key, Keyring, NewRecord, Outcome, Register};
use clearlane_template::{ModelId, SubjectId};
use common::{clearlane, fictional, file, json};
use jiff::{SignedDuration, Timestamp};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json as value};

/// The first people of a part of the fictional set.
fn people(part: &str, many: usize) -> Vec<PathBuf> {
    let part = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/fictional").join(part);
    let mut people: Vec<_> = std::fs::read_dir(part).unwrap().map(|entry| entry.unwrap().path()).collect();
    people.sort();
    people.truncate(many);
    people
}

/// A folder with copies of some people's captures, and how many each of them has.
fn captures(folder: &Path, people: &[PathBuf]) -> Vec<usize> {
    let copy = |person: &PathBuf| {
        let to = folder.join(person.file_name().unwrap());
        std::fs::create_dir_all(&to).unwrap();
        let pictures: Vec<_> = std::fs::read_dir(person).unwrap().map(|entry| entry.unwrap()).collect();
        for picture in &pictures {
            std::fs::copy(picture.path(), to.join(picture.file_name())).unwrap();
        }
        pictures.len()
    };
    people.iter().map(copy).collect()
}

#[test]
fn own_captures_give_thresholds() {
    let (enrolled, unknown) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut counts = captures(enrolled.path(), &people("enrolled", 5));
    counts.extend(captures(unknown.path(), &people("unknown", 3)));
    let eval = || {
        let mut command = clearlane();
        command.args(["eval", "folder"]).args([enrolled.path(), unknown.path()]);
        command
    };

    let report = json(&mut eval());
    assert_eq!(report["models"]["failed"], serde_json::json!([]), "every picture of the set shows a face");
    let all: usize = counts.iter().sum();
    let mated: usize = counts.iter().map(|count| count * (count - 1) / 2).sum();
    let figures = &report["figures"];
    assert_eq!(figures["mated"], mated);
    assert_eq!(figures["non_mated"], all * (all - 1) / 2 - mated);
    assert!(figures["auc"].as_f64().unwrap() > 0.9, "{figures}");
    let points = figures["calibration"].as_array().unwrap();
    assert!(points.windows(2).all(|pair| pair[0]["threshold"].as_f64() <= pair[1]["threshold"].as_f64()), "{figures}");

    let text = String::from_utf8(eval().output().unwrap().stdout).unwrap();
    let listed = &text[text.find("`clearlane calibrate folder`").unwrap()..];
    for point in points {
        let (fmr, threshold) = (point["target_fmr"].as_f64().unwrap(), point["threshold"].as_f64().unwrap());
        let line = listed.lines().find(|line| line.contains(&format!("FMR {fmr:.0e} ")));
        // Beyond every possible score nothing more is listed.
        if threshold > 1.0 {
            assert!(line.is_none_or(|line| line.contains("none")), "{line:?}");
            continue;
        }
        let line = line.unwrap();
        let extrapolated = point["method"]["method"] == "tail_fit";
        assert!(line.contains(&format!("{threshold:.4}")) && line.contains("extrapolated") == extrapolated, "{line}");
    }
}

#[test]
fn captures_of_one_person_or_one_capture_each_calibrate_nothing() {
    for (many, each) in [(1, usize::MAX), (3, 1)] {
        let folder = tempfile::tempdir().unwrap();
        captures(folder.path(), &people("enrolled", many));
        for person in std::fs::read_dir(folder.path()).unwrap() {
            for picture in std::fs::read_dir(person.unwrap().path()).unwrap().skip(each) {
                std::fs::remove_file(picture.unwrap().path()).unwrap();
            }
        }
        clearlane()
            .args(["eval", "folder"])
            .arg(folder.path())
            .assert()
            .code(3)
            .stdout("")
            .stderr(contains("nothing to measure"));
    }
}

/// A folder of models with the built-in embedder's network as `next`, and a policy for people on whom nothing was measured.
struct Place {
    folder: tempfile::TempDir,
}

const MEASURED: [&str; 4] = ["--population", "somebody", "--measured-on", "made up"];

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        clearlane().args(["register", "keygen"]).arg(place.path("port.key")).assert().success();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let policy = std::fs::read_to_string(root.join("policies/demonstration.toml")).unwrap();
        assert!(policy.contains("\"fictional-people\""));
        let policy = policy.replace("\"fictional-people\"", "\"somebody\"");
        file(place.folder.path(), "port.toml", policy.as_bytes());
        file(place.folder.path(), "models/embedder.onnx", &std::fs::read(root.join("models/embedder.onnx")).unwrap());
        let entries = json(clearlane().args(["models", "list"]));
        let known = |entry: &&Value| entry["model"]["name"] == "clearlane-embedder";
        let digest = entries.as_array().unwrap().iter().find(known).unwrap()["model"]["sha256"].as_str().unwrap();
        let manifest = format!(
            "# Ours.\n\n[[model]]\nname = \"next\" # the next one\nfile = \"embedder.onnx\"\nsha256 = \"{digest}\"\n\
             input = {{ width = 112, height = 112, colour = \"rgb\", mean = [124.0, 116.0, 104.0], std = [58.0, 57.0, 57.0] }}\n\
             licence = \"as the file's\"\nsource = \"a test\"\n\n[model.task.embedding]\ndimension   =   128\n# The end.\n"
        );
        file(place.folder.path(), "models/manifest.toml", manifest.as_bytes());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn manifest(&self) -> String {
        std::fs::read_to_string(self.path("models/manifest.toml")).unwrap()
    }

    fn on_register(&self, words: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(words).arg("--register").arg(self.path("port.db")).arg("--key-file").arg(self.path("port.key"));
        command.arg("--models").arg(self.path("models")).args(["--embedder", "next"]);
        command
    }

    /// Non-mated scores with an exponential tail: a threshold of 0.1 + 0.02 ln(1 / FMR).
    fn scores(&self) -> PathBuf {
        const COUNT: u32 = 50_000;
        let score = |rank: u32| 0.1 - 0.02 * ((f64::from(rank) + 0.5) / f64::from(COUNT)).ln();
        let line = |rank| format!("false,{:.6},{}\n", score(rank), if rank % 2 == 0 { "even" } else { "odd" });
        let lines = (0..COUNT).map(line).collect::<Vec<_>>().concat();
        let text = format!("mated,score,parity\n{lines}true,0.9,even\ntrue,0.1,\n");
        file(self.folder.path(), "scores.csv", text.as_bytes())
    }

    /// `calibrate scores` into the manifest.
    fn write_scores(&self, more: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(["calibrate", "scores"]).arg(self.scores()).args(["--model", "next"]).args(MEASURED);
        command.arg("--write").arg(self.path("models/manifest.toml")).args(more);
        command
    }
}

/// The thresholds of the manifest's only embedder, as it has them.
fn written(manifest: &str) -> toml::Table {
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["model"][0]["task"]["embedding"]["calibration"][0].as_table().unwrap().clone()
}

/// All that a command does by a policy, and all that looks a threshold up for a population.
#[test]
fn nothing_opens_with_a_model_that_was_not_calibrated_on_whom_it_serves() {
    let place = Place::new();
    let photos = place.path("photos");
    captures(&photos, &people("enrolled", 2));
    place.on_register(&["enrol", "--without-policy"]).arg(&photos).assert().success();
    let picture = fictional("enrolled/f0000/plain-1.jpg");
    let by_policy = |words: &[&str], source: &Path| {
        let mut command = place.on_register(words);
        command.arg(source).arg("--policy").arg(place.path("port.toml"));
        command
    };
    let of_population = |mut command: Command| {
        command.args(["--population", "somebody"]);
        command
    };
    let verify = || {
        let mut command = clearlane();
        command.arg("verify").args([&picture, &picture]).arg("--models").arg(place.path("models"));
        command.args(["--embedder", "next"]);
        command
    };
    let commands = || {
        let mut identify = place.on_register(&["identify"]);
        identify.arg(&picture);
        [
            ("enrol", by_policy(&["enrol"], &photos)),
            ("lane run", by_policy(&["lane", "run", "--port", "shenzhen-bay"], &photos.join("f0000"))),
            ("register reembed", by_policy(&["register", "reembed"], &photos)),
            ("identify", of_population(identify)),
            ("verify", of_population(verify())),
        ]
    };
    for (name, mut command) in commands() {
        let refused = command.assert().code(4).stdout("");
        refused.stderr(contains("clearlane calibrate").and(contains("next").or(contains("somebody"))).name(name));
    }
    place.write_scores(&[]).assert().success();
    for (name, mut command) in commands() {
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // The demonstration's policy serves others.
    let mut demo = clearlane();
    demo.args(["demo", "--gallery", "100", "--embedder", "next", "--models"]).arg(place.path("models"));
    demo.assert().code(4).stderr(contains("`fictional-people`").and(contains("`somebody`")));

    // Who looks a threshold up is told on whom it was measured.
    let answer = json(&mut verify());
    assert_eq!(answer["measured"]["population"], "somebody");
    assert!(answer["measured"]["measured_on"].as_str().unwrap().starts_with("made up: "), "{answer}");
    verify().assert().stdout(contains("(measured on somebody)"));
    let other = verify().args(["--population", "others"]).assert().code(4);
    other.stderr(contains("`others`").and(contains("`somebody`")));
    let found = json(place.on_register(&["identify"]).arg(&picture));
    assert_eq!((&found["subject"], &found["measured"]["population"]), (&"f0000".into(), &"somebody".into()));
    let stated = json(verify().args(["--threshold", "0.4"]));
    assert_eq!(stated["measured"], Value::Null);
}

#[test]
fn thresholds_are_written_into_a_manifest_that_keeps_its_comments() {
    let place = Place::new();
    let before = place.manifest();
    let report = json(&mut place.write_scores(&["--fpir", "1e-3", "--gallery", "3000"]));
    let after = place.manifest();
    // Nothing but what was added is new.
    let mut left = after.as_str();
    for line in before.lines() {
        left = &left[left.find(line).unwrap_or_else(|| panic!("lost `{line}`:\n{after}")) + line.len()..];
    }
    let calibration = written(&after);
    assert_eq!(calibration["population"].as_str(), Some("somebody"));
    assert_eq!(calibration["measured_on"].as_str(), Some("made up: 50000 non-mated comparisons"));
    let points = calibration["thresholds"].as_array().unwrap();
    assert_eq!(report["written"]["thresholds"], points.len());
    assert_eq!(points.len(), 13, "twelve tenths and the search's: {after}");
    for point in points {
        let (fmr, threshold) = (point["fmr"].as_float().unwrap(), point["threshold"].as_float().unwrap());
        let exact = 0.1 - 0.02 * fmr.ln();
        assert!((threshold - exact).abs() < 0.01 + 0.05 * (exact - 0.1), "{fmr:e}: {threshold}, is {exact}");
        // 30 of 50,000 are 6e-4.
        let extrapolated = point.get("note").is_some_and(|note| note.as_str().unwrap().starts_with("extrapolated"));
        assert_eq!(extrapolated, fmr < 6e-4, "{point}");
    }
    assert!(points.iter().any(|point| (point["fmr"].as_float().unwrap() - 3.335e-7).abs() < 1e-10), "{after}");

    // Not over what is there, but where that is said.
    place.write_scores(&[]).assert().code(3).stderr(contains("--replace"));
    assert_eq!(place.manifest(), after);
    place.write_scores(&["--replace", "--fmr", "1e-2"]).assert().success();
    let replaced = place.manifest();
    assert_eq!(written(&replaced)["thresholds"].as_array().unwrap().len(), 1);
    assert!(replaced.starts_with("# Ours.\n") && replaced.contains("# the next one"));
    let leftovers = std::fs::read_dir(place.path("models")).unwrap().count();
    assert_eq!(leftovers, 2, "the manifest and the model");

    for (change, problem) in [
        (["--model", "nobody"], "no embedder `nobody`"),
        (["--population", "No Body"], "population"),
        (["--write", "missing.toml"], "missing.toml"),
    ] {
        let mut command = clearlane();
        command.args(["calibrate", "scores"]).arg(place.path("scores.csv"));
        let manifest = place.path("models/manifest.toml");
        let usual = [("--model", "next"), ("--population", "somebody"), ("--measured-on", "x")];
        for (flag, usual) in usual.into_iter().chain([("--write", manifest.to_str().unwrap())]) {
            command.arg(flag).arg(if flag == change[0] { change[1] } else { usual });
        }
        command.assert().failure().stderr(contains(problem));
        assert_eq!(place.manifest(), replaced, "{problem}");
    }
}

#[test]
fn captures_are_calibrated_for_the_embedder_that_made_their_templates() {
    let place = Place::new();
    let photos = place.path("photos");
    captures(&photos, &people("enrolled", 6));
    let line = |(n, path): (usize, &PathBuf)| {
        format!("{},{}\n", path.file_name().unwrap().to_str().unwrap(), if n < 3 { "a" } else { "b" })
    };
    let lines: String = people("enrolled", 6).iter().enumerate().map(line).collect();
    let labels = format!("subject,half\n{lines}");
    let calibrate = |embedder: &str| {
        let mut command = clearlane();
        command.args(["calibrate", "folder", "--fmr", "1e-1,1e-2", "--embedder", embedder]).arg(&photos);
        command.arg("--models").arg(place.path("models")).args(MEASURED);
        command.arg("--write").arg(place.path("models/manifest.toml"));
        command
    };
    let before = place.manifest();
    calibrate("clearlane-embedder").assert().code(3).stderr(contains("no embedder `clearlane-embedder`"));
    let mut other = calibrate("clearlane-embedder");
    other.args(["--model", "next"]).assert().code(3).stderr(contains("another model"));
    assert_eq!(place.manifest(), before);

    let grouped = |labels: &str| {
        let labels = file(place.folder.path(), "people.csv", labels.as_bytes());
        let mut command = calibrate("next");
        command.args(["--group-by", "half", "--labels"]).arg(labels);
        command
    };
    // A group that cannot be measured might be the worst.
    let alone = labels.replacen(",a\n", ",alone\n", 1);
    grouped(&alone).assert().code(3).stderr(contains("`alone`"));
    let unlabelled = labels.replacen(",a\n", ",\n", 1);
    grouped(&unlabelled).assert().code(3).stderr(contains("has no label"));
    assert_eq!(place.manifest(), before);
    let report = json(&mut grouped(&labels));
    assert_eq!((&report["subjects"], &report["written"]["model"]), (&6.into(), &"next".into()), "{report}");
    for threshold in report["thresholds"].as_array().unwrap() {
        let groups = threshold["groups"].as_array().unwrap();
        let highest = groups.iter().map(|group| group["threshold"].as_f64().unwrap()).fold(f64::MIN, f64::max);
        assert_eq!((groups.len(), threshold["threshold"].as_f64()), (2, Some(highest)), "the worst group counts");
    }
    let measured_on = written(&place.manifest())["measured_on"].as_str().unwrap().to_owned();
    assert!(measured_on.starts_with("made up: ") && measured_on.ends_with("of 6 people"), "{measured_on}");
}

#[test]
fn scores_by_group_give_the_worst_groups_thresholds_and_bad_lines_are_named() {
    let place = Place::new();
    let line = |group: &str, add: f64| {
        let lines: Vec<_> = (0..1000).map(|n| format!("{:.4},0,{group}\n", f64::from(n) / 2000.0 + add)).collect();
        lines.concat()
    };
    let text = format!("score,mated,group\n{}{}", line("low", 0.0), line("high", 0.2));
    let scores = file(place.folder.path(), "scores.csv", text.as_bytes());
    let run = |words: &[&str]| {
        let mut command = clearlane();
        command.args(["calibrate", "scores", "--fmr", "0.1"]).arg(&scores).args(words);
        command
    };
    // The tenth highest part of each begins at 0.45; of both together, lower than the one's alone.
    let by_group = json(&mut run(&["--group-by", "group"]));
    let threshold = &by_group["thresholds"][0];
    assert_eq!(threshold["group"], "high");
    assert!((threshold["threshold"].as_f64().unwrap() - 0.65).abs() < 1e-3, "{threshold}");
    assert!(json(&mut run(&[]))["thresholds"][0]["threshold"].as_f64().unwrap() < 0.62);
    run(&["--group-by", "groups"]).assert().code(3).stderr(contains("`groups`").and(contains("score, mated, group")));

    for (bad, problem) in [
        ("score\n0.1\n", "`mated`"),
        ("score,mated\n1.5,false\n", "line 2: expected a score in [-1, 1], got `1.5`"),
        ("score,mated\n0.5,false\nnan,false\n", "line 3"),
        ("score,mated\n0.5,no\n", "expected `mated` to be true or false, got `no`"),
        ("score,mated\n0.5\n", "line 2"),
        ("score,mated\n0.5,true\n", "no non-mated comparisons"),
        ("", "`score`"),
    ] {
        let bad = file(place.folder.path(), "bad.csv", bad.as_bytes());
        clearlane().args(["calibrate", "scores"]).arg(bad).assert().code(3).stdout("").stderr(contains(problem));
    }
}

/// A register with records of these lanes: a traveller an hour, of so many, with the score that `score` gives them.
fn recorded(folder: &Path, lanes: &[&str], hours: i64, travellers: i64, score: impl Fn(&str, i64) -> f32) {
    let key = Key::random().unwrap();
    file(folder, "port.key", key.to_hex().as_bytes());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder.join("port.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let register = Register::create(folder.join("port.db"), Keyring::new(key)).unwrap();
    let record = |(lane, hour): (&&str, i64)| NewRecord {
        time: START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hour),
        port: "shenzhen-bay".into(),
        lane: (*lane).into(),
        direction: Direction::Exit,
        outcome: Outcome::Admit,
        subject: Some(SubjectId((hour % travellers) as u64)),
        score: Some(score(lane, hour)),
        threshold: Some(0.5),
        margin: None,
        model: Some(ModelId::digest([])),
        reasons: String::new(),
        voids: None,
    };
    let records: Vec<_> = (0..hours).flat_map(|hour| lanes.iter().map(move |lane| (lane, hour))).map(record).collect();
    register.append_records(&records).unwrap();
}

const START: &str = "2026-01-01T00:00:00Z";

/// Reproducible noise, uniform in [0, 1), other for each lane and hour.
fn noise(lane: &str, hour: i64) -> f32 {
    let mut z = (hour as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ lane.len() as u64;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 24) as f32
}

fn check(folder: &Path, words: &[&str]) -> Command {
    let mut command = clearlane();
    command.args(["calibrate", "check", "--register"]).arg(folder.join("port.db"));
    command.arg("--key-file").arg(folder.join("port.key")).args(words);
    command
}

#[test]
fn a_lane_whose_camera_changed_is_told_from_those_whose_scores_are_as_before() {
    let folder = tempfile::tempdir().unwrap();
    // From hour 400 on the camera of the second lane takes a tenth off all scores.
    recorded(folder.path(), &["steady", "changed!"], 700, 700, |lane, hour| {
        0.65 + 0.3 * noise(lane, hour) - if lane == "changed!" && hour >= 400 { 0.1 } else { 0.0 }
    });
    let since = ["--since", "2026-01-17T16:00:00Z"];
    let report = json(&mut check(folder.path(), &[&since[..], &["--windows", "2"]].concat()));
    assert_eq!((&report["tests"], &report["alarms"]), (&4.into(), &2.into()), "{report}");
    for lane in report["lanes"].as_array().unwrap() {
        assert_eq!((&lane["reference"], &lane["model"]), (&400.into(), &value!(ModelId::digest([]).to_string())));
        for window in lane["windows"].as_array().unwrap() {
            assert_eq!((&window["scores"], &window["below"]), (&150.into(), &0.into()));
            assert_eq!(window["test"]["alarm"], lane["lane"] == "changed!", "{lane}");
        }
    }
    check(folder.path(), &since).assert().code(1).stdout(contains("1 alarms of 2 tests").and(contains("1.00 %")));
    let few = check(folder.path(), &["--since", "2026-01-30T00:00:00Z"]).assert().code(3);
    few.stderr(contains("30 travellers"));
    check(folder.path(), &["--since", "2027-01-01T00:00:00Z"]).assert().code(3).stderr(contains("no record since"));
}

#[test]
fn scores_count_from_the_highest_threshold_on_and_a_traveller_counts_once_a_window() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path(), &["one"], 200, 200, |lane, hour| 0.45 + 0.3 * noise(lane, hour));
    let since = "2026-01-05T04:00:00Z";
    let report = json(&mut check(folder.path(), &["--since", since]));
    let lane = &report["lanes"][0];
    let below = |hours: std::ops::Range<i64>| hours.filter(|&hour| 0.45 + 0.3 * noise("one", hour) < 0.5).count();
    assert_eq!(
        (&lane["reference_below"], &lane["windows"][0]["below"]),
        (&below(0..100).into(), &below(100..200).into())
    );
    assert_eq!(lane["reference"], 100 - below(0..100));
    check(folder.path(), &["--since", since]).assert().success();

    let many = tempfile::tempdir().unwrap();
    recorded(many.path(), &["one"], 240, 40, |lane, hour| 0.6 + 0.3 * noise(lane, hour));
    let report = json(&mut check(many.path(), &["--since", "2026-01-06T00:00:00Z"]));
    let lane = &report["lanes"][0];
    assert_eq!((&lane["reference"], &lane["windows"][0]["scores"]), (&40.into(), &40.into()), "{lane}");
}
