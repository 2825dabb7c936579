//! A path is any bytes. Every command takes such a path wherever it takes one, and shows it.
#![cfg(target_os = "linux")]
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::calls::{call, commands, documented, takes_path};
use common::{clearlane, fictional};
use serde_json::Value;

/// A name that is not UTF-8, and how it is shown.
fn name(extension: &str) -> OsString {
    OsString::from_vec([b"port-\xff\xfe", extension.as_bytes()].concat())
}

const SHOWN: &str = r"port-\xFF\xFE";

#[test]
fn every_argument_that_is_a_path_takes_one_that_is_not_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, garbage) = (folder.path().join("missing").join(name("")), folder.path().join(name(".file")));
    fs::write(&garbage, b"neither a picture nor a register\n").unwrap();
    let (documented, mut tried) = (documented(), 0);
    for (words, command) in commands() {
        for arg in command.get_arguments().filter(|arg| takes_path(arg)) {
            for (path, json) in [(&missing, true), (&garbage, true), (&garbage, false)] {
                let mut run = clearlane();
                run.args(call(&words, &command, arg, path.as_os_str(), |_| path.into())).current_dir(folder.path());
                let output = run.args(json.then_some("--json")).timeout(Duration::from_mins(2)).output().unwrap();
                let said = String::from_utf8(output.stderr).unwrap();
                let what = format!("{run:?}: {said}");
                let code = output.status.code();
                assert!(code.is_some_and(|code| documented.contains(&code)) && !said.contains("panicked"), "{what}");
                // The command line itself is right: only a file to make may be refused, for its name's letters or its folder.
                let not_made = ["not a file's name", "it cannot be made"];
                assert!(code != Some(2) || not_made.iter().any(|words| said.contains(words)), "{what}");
                String::from_utf8(output.stdout).unwrap();
                tried += 1;
            }
        }
        for arg in command.get_arguments().filter(|arg| !takes_path(arg) && arg.get_action().takes_values()) {
            let mut run = clearlane();
            run.args(&words);
            match arg.get_long() {
                // Some take a value only so: theirs may be left out.
                Some(long) => {
                    let mut option = OsString::from(format!("--{long}="));
                    option.push(name(""));
                    run.arg(option)
                }
                None => run.arg("--").arg(name("")),
            };
            assert_eq!(run.output().unwrap().status.code(), Some(2), "{run:?}");
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn settings_that_are_not_utf_8_are_paths_or_are_refused() {
    let documented = documented();
    for setting in common::SETTINGS {
        for words in [&["register", "list"][..], &["models", "list"]] {
            let output = clearlane().args(words).env(setting, name("")).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code().is_some_and(|code| documented.contains(&code)), "{setting}: {said}");
            assert!(!said.contains("panicked"), "{setting}: {said}");
        }
    }
    let output = clearlane().args(["models", "list"]).env("CLEARLANE_LOG", name("")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// Runs a command that does its job, in JSON and in words: it shows the path.
#[track_caller]
fn shows(codes: &[i32], run: impl Fn() -> assert_cmd::Command) {
    let mut said = String::new();
    for json in [true, false] {
        let mut run = run();
        let output = run.args(json.then_some("--json")).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "{run:?}: {out}{err}");
        if json {
            let values = serde_json::Deserializer::from_str(&out).into_iter::<Value>();
            assert!(values.map(Result::unwrap).count() > 0, "{run:?}: {out}");
        }
        // JSON doubles what it escapes with.
        said += &(out + &err).replace(r"\\", r"\");
    }
    assert!(said.contains(SHOWN), "{said}");
}

/// A folder of fictional faces with two pictures of one person, as `demo --faces` takes it.
fn faces(folder: &Path) -> PathBuf {
    let manifest = fs::read_to_string(fictional("manifest.csv")).unwrap();
    let mut lines = manifest.lines();
    let mut chosen = vec![lines.next().unwrap()];
    chosen.extend(
        lines.filter(|line| line.contains(",f0000,") && (line.contains(",enrol,") || line.contains(",plain-1,"))),
    );
    for line in &chosen[1..] {
        let picture = line.split(',').next().unwrap();
        fs::create_dir_all(folder.join(picture).parent().unwrap()).unwrap();
        fs::copy(fictional(picture), folder.join(picture)).unwrap();
    }
    fs::write(folder.join("manifest.csv"), chosen.join("\n")).unwrap();
    folder.to_owned()
}

/// What is printed where all goes well is printed of such paths too.
#[allow(clippy::too_many_lines, reason = "one port, one command after the other")]
#[test]
fn a_port_whose_every_path_is_not_utf_8_works() {
    let home = tempfile::tempdir().unwrap();
    let at = |extension: &str| home.path().join(name(extension));
    let faces = faces(&at(".faces"));
    let number = std::cell::Cell::new(0);
    // A new name for each file that is made: none is overwritten.
    let new = |extension: &str| {
        number.set(number.get() + 1);
        at(&format!("-{}{extension}", number.get()))
    };
    let port = at(".port");
    let demo = || {
        let _ = fs::remove_dir_all(&port);
        let mut run = clearlane();
        run.args(["demo", "--gallery", "20", "--faces"]).arg(&faces).arg("--keep").arg(&port);
        run.arg("--report").arg(at(".html"));
        run
    };
    shows(&[0, 1], demo);
    let on = |words: &[&str]| {
        let mut run = clearlane();
        run.args(words).arg("--register").arg(port.join("demo.register")).arg("--key-file").arg(port.join("demo.key"));
        run
    };
    let with = |words: &[&str], path: &Path| {
        let mut run = on(words);
        run.arg(path);
        run
    };
    let picture = at(".jpg");
    fs::copy(fictional("enrolled/f0000/plain-1.jpg"), &picture).unwrap();
    let alone = |words: &[&str], path: &Path| {
        let mut run = clearlane();
        run.args(words).arg(path);
        run
    };

    shows(&[0], || alone(&["register", "keygen"], &new(".key")));
    let inspect = || {
        let mut run = alone(&["inspect"], &picture);
        run.arg("--out").arg(new(".png"));
        run
    };
    shows(&[0], inspect);
    let verify = || {
        let mut run = alone(&["verify"], &picture);
        run.arg(&picture);
        run
    };
    shows(&[0], verify);
    shows(&[0, 1], || with(&["identify", "--threshold", "0.3"], &picture));

    let exported = at(".jsonl");
    shows(&[0], || with(&["register", "export"], &exported));
    shows(&[0], || with(&["records", "export"], &new(".csv")));
    let lines = fs::read_to_string(&exported).unwrap();
    fs::write(&exported, format!("nobody\n{lines}")).unwrap();
    shows(&[1], || with(&["register", "import"], &exported));
    shows(&[0], || with(&["register", "backup"], &new(".backup")));
    let backup = at(".copy");
    on(&["register", "backup"]).arg(&backup).assert().success();
    let restore = || {
        let mut run = clearlane();
        run.args(["register", "restore", "--register"])
            .arg(new(".restored"))
            .arg("--key-file")
            .arg(port.join("demo.key"));
        run.arg(&backup);
        run
    };
    shows(&[0], restore);

    // Somebody whose pictures cannot all be used is listed with the picture.
    let people = at(".people");
    fs::create_dir_all(people.join("f0000-again")).unwrap();
    fs::write(people.join("f0000-again").join(name(".jpg")), b"no picture").unwrap();
    shows(&[1], || with(&["enrol", "--without-policy"], &people));
    let by_policy = || {
        let mut run = with(&["enrol"], &people);
        run.arg("--policy").arg(port.join("demo-policy.toml"));
        run
    };
    shows(&[1], by_policy);

    let issuer = new(".pem");
    clearlane().args(["claim", "keygen"]).arg(&issuer).assert().success();
    shows(&[0], || alone(&["claim", "keygen"], &new(".pem")));
    let code = at(".code.png");
    let issue = || {
        let mut run = on(&["claim", "issue", "f0000", "--port", "shenzhen-bay"]);
        run.arg("--issuer").arg(&issuer).arg("--out").arg(&code);
        run
    };
    shows(&[0], issue);

    let models = at(".models");
    fs::create_dir(&models).unwrap();
    let entry = "[[model]]\nname = \"none\"\nfile = \"none.onnx\"\nsha256 = \"DIGEST\"\nlicence = \"none\"\nsource = \"a test\"\n\
                 input = { width = 112, height = 112, colour = \"rgb\", mean = [0, 0, 0], std = [1, 1, 1] }\n\
                 task = { embedding = { dimension = 4 } }\n";
    fs::write(models.join("manifest.toml"), entry.replace("DIGEST", &"0".repeat(64))).unwrap();
    shows(&[0], || alone(&["models", "list", "--models"], &models));
    shows(&[0], || alone(&["models", "show", "none", "--models"], &models));

    let queue = at(".queue");
    fs::create_dir(&queue).unwrap();
    fs::copy(&picture, queue.join(name(".jpg"))).unwrap();
    let lanes = || {
        let mut run = with(&["lane", "run", "--port", "shenzhen-bay"], &queue);
        run.arg("--policy").arg(port.join("demo-policy.toml"));
        run
    };
    shows(&[0, 1], lanes);
}
