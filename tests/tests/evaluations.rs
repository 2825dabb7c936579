//! What `clearlane eval` says beside a protocol's own figures: quality, thresholds checked on other people, galleries of IJB, attacks.
#![allow(clippy::unwrap_used, clippy::format_push_string)]

mod common;

use std::fs;
use std::path::Path;

use common::pairs::{PEOPLE, eval, faces, labelled, picture};
use common::{clearlane, file, json};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

#[test]
fn quality_says_what_discarding_the_poorest_captures_leaves_in_each_protocol() {
    let folder = tempfile::tempdir().unwrap();
    faces(folder.path());
    let list = file(folder.path(), "list.txt", labelled().as_bytes());
    let report = folder.path().join("report.html");
    let mut of_pairs =
        eval(&["pairs", "--quality", "--quality-fmr", "0.25", "--keep"], &[&folder.path().join("kept"), &list]);
    let first = json(of_pairs.arg("--report").arg(&report));
    let points = first["quality"]["error_versus_discard"].as_array().unwrap();
    let of = |component: &str, target: f64| {
        let found = points.iter().find(|point| point["component"] == component && point["target"] == target);
        found.unwrap_or_else(|| panic!("no {component} at {target}: {first}")).clone()
    };
    for component in ["Sharpness", "HeadPoseYaw", "InterEyeDistance", "LowestOfAll"] {
        assert_eq!(of(component, 0.0)["fnmr"]["trials"], 4);
        assert!(of(component, 0.2)["lowest_quality"].as_f64().unwrap() <= 100.0);
    }
    assert!(fs::read_to_string(&report).unwrap().contains("Error versus discard"));
    // The same of kept ones.
    let again = json(&mut eval(
        &["pairs", "--quality", "--quality-fmr", "0.25", "--keep"],
        &[&folder.path().join("kept"), &list],
    ));
    assert_eq!((&again["models"]["kept"], &again["quality"]), (&8.into(), &first["quality"]));

    // All captures against all.
    let set = tempfile::tempdir().unwrap();
    faces(set.path());
    let mut of_folder = eval(&["folder", "--quality"], &[set.path()]);
    of_folder.assert().success().stdout(contains("Error versus discard")).stdout(contains("LowestOfAll"));
    // Without, there is none; and of faces that were aligned before there cannot be any.
    assert_eq!(json(&mut eval(&["pairs"], &[&list]))["quality"], Value::Null);
    eval(&["pairs", "--quality", "--aligned"], &[&list]).assert().code(2).stderr(contains("no quality is assessed"));
}

#[test]
fn thresholds_are_checked_on_the_people_whom_they_were_not_fitted_to() {
    let folder = tempfile::tempdir().unwrap();
    faces(folder.path());
    let run = json(&mut eval(&["folder", "--halves"], &[folder.path()]));
    let points = run["halves"]["points"].as_array().unwrap();
    let sizes: Vec<_> = points.iter().map(|point| point["gallery"].as_u64().unwrap()).collect();
    assert_eq!((sizes[0], *sizes.last().unwrap()), (1_000, 10_000_000));
    // Two people of two pictures each on both sides.
    for point in points {
        assert_eq!((&point["fitted_to"], &point["fmr"]["trials"]), (&4.into(), &4.into()));
        assert_eq!(point["extrapolated"], true);
    }
}

#[test]
fn a_test_of_attacks_needs_a_model_labels_and_both_kinds() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "bona-fide/1.jpg", &picture(PEOPLE[0], 1));
    file(folder.path(), "print/1.jpg", &picture(PEOPLE[1], 1));
    eval(&["pad"], &[folder.path()]).assert().code(4).stderr(contains("pad"));
    let table = file(folder.path(), "table.csv", b"picture,subject,kind\nprint/1.jpg,,print\nbona-fide/1.jpg,,\n");
    eval(&["pad"], &[&table]).assert().code(3).stderr(contains("no column `label`, got kind"));
    eval(&["pad", "--label", "kind"], &[&table]).assert().code(3).stderr(contains("has no label"));
}

#[test]
fn attacks_are_told_by_kind_with_research_models() {
    let Some((models, datasets)) = common::research() else { return };
    let samples = datasets.join("pad-samples");
    let folder = tempfile::tempdir().unwrap();
    for (name, sample) in
        [("live/1.jpg", "image_T1.jpg"), ("print/1.jpg", "image_F1.jpg"), ("screen/1.jpg", "image_F2.jpg")]
    {
        file(folder.path(), name, &fs::read(samples.join(sample)).unwrap());
    }
    // A presentation without a face.
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(64, 64).write_to(&mut png, image::ImageFormat::Png).unwrap();
    file(folder.path(), "mask/1.png", &png.into_inner());
    let table = "picture,subject,label\nlive/1.jpg,,live\nprint/1.jpg,,print\nscreen/1.jpg,,screen\nmask/1.png,,mask\n";
    let table = file(folder.path(), "table.csv", table.as_bytes());
    let run = |source: &Path| json(eval(&["pad", "--bona-fide", "live"], &[source]).arg("--models").arg(&models));
    let of_table = run(&table);
    let point = &of_table["figures"][0];
    assert_eq!((&point["worst_apcer"], &point["bpcer"]["events"]), (&0.0.into(), &0.into()), "{of_table}");
    let species: Vec<_> =
        point["apcer"].as_array().unwrap().iter().map(|apcer| apcer["species"].as_str().unwrap()).collect();
    assert_eq!(species, ["print", "screen"]);
    let masks = &of_table["presentations"].as_array().unwrap()[1];
    assert_eq!((&masks["label"], &masks["non_response"]["events"]), (&"mask".into(), &1.into()));
    assert!(of_table["warnings"][0].as_str().unwrap().contains("not a certified PAD test"));
    fs::remove_file(table).unwrap();
    assert_eq!(run(folder.path())["figures"], of_table["figures"]);
}

#[test]
fn each_gallery_of_ijb_is_searched_with_all_probes() {
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::new();
    let [mut first, mut second, mut probes] = std::array::from_fn(|_| "TEMPLATE_ID,SUBJECT_ID,FILENAME\n".to_owned());
    for (at, person) in PEOPLE.iter().enumerate() {
        for number in 1..=3 {
            file(folder.path(), &format!("crop/{at}{number}.jpg"), &picture(person, number));
        }
        list += &format!("{at}1.jpg {at}0 1\n{at}2.jpg {at}1 2\n{at}3.jpg {at}1 3\n");
        let gallery = if at < 3 { &mut first } else { &mut second };
        *gallery += &format!("{at}0,{at},{at}1.jpg\n");
        probes += &format!("{at}1,{at},{at}2.jpg\n{at}1,{at},{at}3.jpg\n");
    }
    let [list, first, second, probes] =
        [("list.txt", list), ("g1.csv", first), ("g2.csv", second), ("probes.csv", probes)]
            .map(|(name, text)| file(folder.path(), name, text.as_bytes()));
    let mut search = eval(&["search"], &[&probes]);
    search.arg("--gallery").arg(&first).arg("--gallery").arg(&second);
    search.arg("--list").arg(&list).arg("--pictures").arg(folder.path().join("crop"));
    let run = json(&mut search);
    let counts = |at: usize| ["gallery", "mated", "non_mated"].map(|name| run["figures"][at][name].as_u64().unwrap());
    assert_eq!([counts(0), counts(1), counts(2)], [[3, 3, 1], [1, 1, 3], [4, 4, 4]], "{run}");
    for figures in run["figures"].as_array().unwrap() {
        // Everybody is found first, and nobody who is not there.
        assert_eq!(
            (&figures["ranks"][0]["rate"], &figures["operating_points"][0]["fnir"]["events"]),
            (&1.0.into(), &0.into())
        );
    }
    // A gallery names a template that the list of pictures does not have.
    let unknown = file(folder.path(), "unknown.csv", b"TEMPLATE_ID,SUBJECT_ID\n77,1\n");
    let mut search = eval(&["search"], &[&probes]);
    search.arg("--gallery").arg(&unknown).arg("--list").arg(&list).arg("--pictures").arg(folder.path().join("crop"));
    search.assert().code(3).stderr(contains("line 2: template 77 is not in the list"));
}

#[test]
fn an_option_for_captures_without_roles_is_refused_where_they_have_roles() {
    let folder = tempfile::tempdir().unwrap();
    let table = file(folder.path(), "table.csv", b"picture,subject,role\na.jpg,ada,enrol\nb.jpg,ada,probe\n");
    for option in ["--quality", "--halves", "--group-by=sex", "--templates-out=out.csv"] {
        let name = option.split('=').next().unwrap();
        let mut command = clearlane();
        command
            .args(["eval", "table", option])
            .arg(&table)
            .assert()
            .code(2)
            .stderr(contains(name).and(contains("role")));
    }
}

#[test]
fn an_option_for_all_pairs_of_lfw_is_refused_where_not_all_are_compared() {
    for option in ["--halves", "--templates-out=out.csv"] {
        let name = option.split('=').next().unwrap();
        for test in [None, Some("--identification")] {
            let mut command = clearlane();
            command.args(["eval", "lfw", option, "nowhere"]).args(test).assert().code(2).stderr(contains(name));
        }
    }
}
