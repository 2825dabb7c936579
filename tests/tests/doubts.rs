//! `verify`, `identify` and `inspect` name what makes a score doubtful, in words and as data, whatever the picture's path.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use common::{clearlane, fictional, json};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// A plain capture, about 70 pixels between the eyes.
const CAPTURE: &str = "enrolled/f0000/plain-1.jpg";

/// What is done to a picture.
type Change = fn(&RgbImage) -> RgbImage;

/// A picture that is wrong, with what is said of it.
const WRONG: [(&str, Change, &str, &str); 6] = [
    ("blurred", |picture| imageops::blur(picture, 4.0), "Sharpness", "blurred"),
    ("16", |picture| small(picture, 16), "InterEyeDistance", "too few pixels"),
    ("24", |picture| small(picture, 24), "InterEyeDistance", "too few pixels"),
    ("dim", |picture| each(picture, |levels| levels.map(|level| level / 5)), "LuminanceMean", "dim"),
    (
        "bright",
        |picture| each(picture, |levels| levels.map(|level| 255 - (255 - level) / 4)),
        "LuminanceMean",
        "too bright",
    ),
    (
        "bgr",
        |picture| each(picture, |[r, g, b]| [b, g, r]),
        "NaturalColour",
        "unnatural colours, as of red and blue exchanged",
    ),
];

fn small(picture: &RgbImage, eyes: u32) -> RgbImage {
    imageops::resize(picture, picture.width() * eyes / 70, picture.height() * eyes / 70, FilterType::Lanczos3)
}

fn each(picture: &RgbImage, change: impl Fn([u8; 3]) -> [u8; 3]) -> RgbImage {
    let mut changed = picture.clone();
    for Rgb(levels) in changed.pixels_mut() {
        *levels = change(*levels);
    }
    changed
}

/// A name that is not UTF-8 where the system has such names, and how it is shown.
fn name(what: &str) -> (OsString, String) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStringExt as _;
        (OsString::from_vec([what.as_bytes(), b"-\xff.png"].concat()), format!(r"{what}-\xFF.png (not UTF-8)"))
    }
    #[cfg(not(target_os = "linux"))]
    (format!("{what}.png").into(), format!("{what}.png"))
}

fn text(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The doubt about a component, among all.
#[track_caller]
fn doubt<'a>(doubts: &'a Value, component: &str) -> &'a Value {
    let found = doubts.as_array().unwrap().iter().find(|doubt| doubt["component"] == component);
    found.unwrap_or_else(|| panic!("expected {component}, got {doubts}"))
}

/// The lines that say something of the picture of this name.
fn lines<'a>(text: &'a str, shown: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| Some(line.split_once(shown)?.1)).collect()
}

struct Desk {
    folder: TempDir,
}

impl Desk {
    /// A register with the person of [`CAPTURE`].
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        let bytes = std::fs::read(fictional("enrolled/f0000/enrol.jpg")).unwrap();
        common::file(desk.folder.path(), "photos/f0000/1.jpg", &bytes);
        clearlane().args(["register", "keygen"]).arg(desk.path("desk.key")).assert().success();
        desk.on_register(&["enrol", "--without-policy"]).arg(desk.path("photos")).assert().success();
        desk
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn on_register(&self, words: &[&str]) -> Command {
        let mut command = clearlane();
        command.args(words).arg("--register").arg(self.path("desk.register"));
        command.arg("--key-file").arg(self.path("desk.key"));
        command
    }
}

#[test]
fn the_three_commands_name_what_is_wrong_with_a_picture() {
    let desk = Desk::new();
    let capture = image::open(fictional(CAPTURE)).unwrap().into_rgb8();
    for (what, change, component, phrase) in WRONG {
        let (name, shown) = name(what);
        let picture = desk.path(name);
        change(&capture).save(&picture).unwrap();
        let verify = || {
            let mut command = clearlane();
            command.arg("verify").arg(fictional(CAPTURE)).arg(&picture);
            command
        };
        let inspect = || {
            let mut command = clearlane();
            command.arg("inspect").arg(&picture);
            command
        };
        let identify = || {
            let mut command = desk.on_register(&["identify"]);
            command.arg(&picture);
            command
        };
        let (verified, inspected, identified) = (json(&mut verify()), json(&mut inspect()), json(&mut identify()));
        for doubts in [&verified["b"]["doubts"], &inspected["faces"][0]["doubts"], &identified["doubts"]] {
            let doubt = doubt(doubts, component);
            assert_eq!(doubt["phrase"]["en"], phrase);
            assert_eq!(doubt["value"], verified["b"]["quality"][component]["value"]);
        }
        for path in [&verified["b"]["path"], &inspected["path"], &identified["picture"]] {
            assert!(path.as_str().unwrap().ends_with(&shown), "{path}");
        }
        assert_eq!(verified["a"]["doubts"], Value::Array(Vec::new()));

        let words = format!("{phrase} ({component} ");
        for command in [&mut verify(), &mut inspect(), &mut identify()] {
            let text = text(command);
            let said = lines(&text, &shown);
            assert_eq!(said.iter().filter(|line| line.contains(&words)).count(), 1, "{what}: {text}");
            assert!(lines(&text, "plain-1.jpg").is_empty(), "{text}");
        }
    }
}

#[test]
fn components_that_no_model_gives_are_not_assessed() {
    let picture = fictional(CAPTURE);
    let inspected = json(clearlane().arg("inspect").arg(&picture));
    let quality = inspected["faces"][0]["quality"].as_object().unwrap();
    assert_eq!(quality.len(), 28);
    let text = text(clearlane().arg("inspect").arg(&picture));
    for (name, measure) in quality {
        let row = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(row.contains("not assessed"), measure.is_null(), "{row}");
    }
    let missing = quality.iter().filter(|(_, measure)| measure.is_null()).map(|(name, _)| name.as_str());
    let never = ["EyesOpen", "ExpressionNeutrality", "MouthClosed", "UnifiedQualityScore"];
    assert_eq!(missing.collect::<std::collections::BTreeSet<_>>(), never.into());
}

#[test]
fn sunglasses_are_named_with_their_component() {
    let picture = fictional("enrolled/f0006/hard-covered.jpg");
    let words = "eyes covered, as by dark glasses (EyesVisible ";
    let inspected = text(clearlane().arg("inspect").arg(&picture));
    assert_eq!(inspected.lines().filter(|line| line.contains(words)).count(), 1, "{inspected}");
    let mut verify = clearlane();
    verify.arg("verify").arg(fictional(CAPTURE)).arg(&picture).args(["--threshold", "0.9"]);
    let verified = text(&mut verify);
    assert_eq!(verified.lines().filter(|line| line.contains(words)).count(), 1, "{verified}");
}
