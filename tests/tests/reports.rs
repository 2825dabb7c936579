//! `clearlane eval --report` and `eval compare`: pages that hold what the document holds, whatever files are called.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{clearlane, fictional, file, json};
use predicates::str::contains;
use serde_json::Value;

/// Folders SUBJECT/IMAGE of three people, one of whom has a name that would be a tag.
fn captures(folder: &Path) {
    for (person, name) in [("f0000", "f0000"), ("f0001", "<script>alert(1)<&\"'"), ("f0003", "f0003")] {
        for picture in ["plain-1.jpg", "plain-2.jpg"] {
            let bytes = fs::read(fictional(&format!("enrolled/{person}/{picture}"))).unwrap();
            file(folder, &format!("{name}/{picture}"), &bytes);
        }
    }
}

/// The numbers of a document that are not drawn as charts.
fn numbers(value: &Value, found: &mut Vec<f64>) {
    match value {
        Value::Number(number) => found.extend(number.as_f64()),
        Value::Array(items) if items.len() <= 24 => items.iter().for_each(|item| numbers(item, found)),
        Value::Object(fields) => {
            let plain = fields.iter().filter(|(key, _)| *key != "det" && !key.ends_with("_histogram"));
            plain.for_each(|(_, item)| numbers(item, found));
        }
        _ => {}
    }
}

#[test]
fn a_report_is_one_page_that_shows_every_number_of_its_document() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    captures(&folder.path().join("captures"));
    for language in ["en", "zh"] {
        let mut command = clearlane();
        command.args(["eval", "folder"]).arg(folder.path().join("captures"));
        let document = json(command.arg("--report").arg(&page).args(["--language", language]));
        let html = fs::read_to_string(&page).unwrap();
        assert!(html.to_lowercase().starts_with("<!doctype html>") && html.contains("</svg>"), "{html}");
        for foreign in ["http:", "<script", "src=", "url(", "@import", "onerror"] {
            // An SVG names its language by an address that nothing is fetched from.
            let html = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!html.contains(foreign), "`{foreign}` is in the page");
        }
        let mut found = Vec::new();
        numbers(&document, &mut found);
        assert!(found.len() > 40, "{document}");
        for number in found {
            // As a whole number, with four digits after the point, as percent, or as a power of ten.
            let shown = [
                format!("{number:.0}"),
                format!("{number:.4}"),
                format!("{:.2} %", 100.0 * number),
                format!("{number:.2e}"),
                format!("{number:.1e}"),
            ];
            assert!(shown.iter().any(|shown| html.contains(shown)), "{number} is not in the page");
        }
        let run = &document["run"];
        assert_eq!(run["version"], env!("CARGO_PKG_VERSION"));
        assert!(run["command"].as_array().unwrap().iter().any(|word| word == "folder"));
        assert_eq!(document["models"]["pictures_sha256"].as_str().unwrap().len(), 64);
        assert_eq!(html.contains("人脸比对评估报告"), language == "zh");
    }
}

#[test]
fn pictures_are_in_a_report_only_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    captures(folder.path());
    // As many as give ten folds.
    let pairs = "1 f0000/plain-1.jpg f0000/plain-2.jpg\n0 f0000/plain-1.jpg f0003/plain-1.jpg\n".repeat(10);
    let list = file(folder.path(), "pairs.txt", pairs.as_bytes());
    let page = folder.path().join("report.html");
    for thumbnails in [false, true] {
        let mut command = clearlane();
        command.args(["eval", "pairs"]).arg(&list).arg("--report").arg(&page);
        let document = json(if thumbnails { command.arg("--thumbnails") } else { &mut command });
        assert_eq!(document["worst"]["missed"][0]["left"], "f0000/plain-1.jpg");
        let html = fs::read_to_string(&page).unwrap();
        assert_eq!(html.contains("data:image/jpeg;base64,"), thumbnails);
        assert_eq!(html.matches("class=\"face\"").count(), if thumbnails { 40 } else { 0 });
    }
    clearlane().args(["eval", "pairs"]).arg(&list).arg("--thumbnails").assert().code(2).stderr(contains("--report"));
}

#[test]
fn two_runs_are_compared_on_what_both_compared() {
    let folder = tempfile::tempdir().unwrap();
    let line = |at: usize, mated: bool, score: f64| format!("l{at},r{at},{},{mated},{score}\n", at / 2 % 2);
    let run = |name: &str, scores: &[(bool, f64)]| {
        let lines: String = scores.iter().enumerate().map(|(at, &(mated, score))| line(at, mated, score)).collect();
        file(folder.path(), name, format!("left,right,fold,mated,score\n{lines}").as_bytes())
    };
    let mut scores: Vec<(bool, f64)> = (0..800).map(|at| (at % 2 == 0, if at % 2 == 0 { 0.9 } else { 0.1 })).collect();
    let good = run("good.csv", &scores);
    // Ten mates that only the other run misses, and a comparison that it does not have.
    scores.iter_mut().filter(|(mated, _)| *mated).take(10).for_each(|(_, score)| *score = 0.0);
    scores.pop();
    let poor = run("poor.csv", &scores);
    let report = json(clearlane().args(["eval", "compare"]).args([&good, &poor]));
    assert_eq!((&report["only_in_a"], &report["only_in_b"]), (&1.into(), &0.into()), "{report}");
    let point = &report["figures"]["points"][0];
    assert_eq!((&point["missed_by_a_alone"], &point["missed_by_b_alone"]), (&0.into(), &10.into()), "{report}");
    // Twice one half to the tenth.
    assert!((point["p"].as_f64().unwrap() - 2.0 / 1024.0).abs() < 1e-9, "{report}");
    assert!(report["figures"]["accuracy_less"]["mean"].as_f64().unwrap() > 0.0);

    let other = file(folder.path(), "other.csv", b"left,right,fold,mated,score\nx,y,0,true,0.5\n");
    clearlane()
        .args(["eval", "compare"])
        .args([&good, &other])
        .assert()
        .code(3)
        .stderr(contains("no comparison in common"));
    let wrong = file(folder.path(), "wrong.csv", b"left,right,fold,mated,score\nx,y,0,perhaps,0.5\n");
    clearlane().args(["eval", "compare"]).args([&good, &wrong]).assert().code(3).stderr(contains("wrong.csv"));
}
