//! The demonstration, on the built-in models and a part of the fictional faces.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use common::clearlane;
use common::port::{ENROLLED, GALLERY, Port};
use serde_json::Value;

#[test]
fn the_demonstration_admits_those_it_enrolled_and_nobody_else() {
    let port = Port::shared();
    let (totals, walks) = port.demonstration.split_last().unwrap();
    assert_eq!((&totals["gallery"], &totals["wrongly_admitted"]), (&GALLERY.into(), &0.into()));
    assert_eq!(totals["passages"], walks.len());
    let mut plain = 0;
    for walk in walks {
        let (person, enrolled) = (walk["person"].as_str().unwrap(), walk["enrolled"].as_bool().unwrap());
        assert_eq!(enrolled, ENROLLED.contains(&person));
        if let Some(name) = walk["admitted_as"].as_str() {
            assert!(enrolled && name == person, "{walk}");
            assert_eq!(walk["decision"], "admit");
            let comparison = &walk["comparison"];
            assert!(comparison["score"].as_f64() >= comparison["threshold"].as_f64(), "{walk}");
            plain += i64::from(walk["kind"] == "plain");
        } else {
            assert_eq!(walk["decision"], "refer");
            let reasons = walk["reasons"].as_array().unwrap();
            assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason["reason"].is_string()), "{walk}");
        }
        assert!(walk["record"].as_u64().unwrap() > 0 && walk["times"]["total"].as_u64().unwrap() > 0, "{walk}");
    }
    // The least that a model fit for a demonstration does.
    assert_eq!(totals["plain"]["of"], 3 * ENROLLED.len());
    assert!(plain >= 2 * ENROLLED.len() as i64, "{totals}");
    assert_eq!(totals["plain"]["admitted"], plain);
    let non_enrolled = walks.iter().filter(|walk| walk["enrolled"] == Value::Bool(false)).count();
    assert!(non_enrolled >= 9);
    assert_eq!((&totals["non_enrolled"]["admitted"], &totals["non_enrolled"]["of"]), (&0.into(), &non_enrolled.into()));
}

#[test]
fn its_report_is_one_page_with_every_picture_in_it() {
    let port = Port::shared();
    let page = std::fs::read_to_string(port.path("demo.html")).unwrap();
    assert!(page.to_lowercase().starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    let walks = port.demonstration.len() - 1;
    assert_eq!(page.matches("<tr>").count(), walks + 1);
    // Each capture has its picture, and whoever was admitted that of their enrolment.
    let pictures = page.matches("class=\"face\"").count();
    assert!(pictures >= walks, "{pictures} of {walks}");
    // All pictures are on one sheet, and nothing is fetched from elsewhere.
    assert_eq!((page.matches("url(").count(), page.matches("url(data:image/jpeg;base64,").count()), (1, 1));
    for foreign in ["http:", "https:", "src=", "<script", "@import"] {
        assert!(!page.contains(foreign), "`{foreign}` is in the page");
    }
    assert_eq!((page.matches("<link").count(), page.matches("<link rel=\"icon\" href=\"data:,\">").count()), (1, 1));
}

#[test]
fn what_it_keeps_is_a_register_that_the_other_commands_open() {
    let port = Port::shared();
    let checked = common::json(&mut port.on_register(&["register", "check"]));
    assert_eq!((&checked["sound"], &checked["templates"]), (&true.into(), &GALLERY.into()));
    assert_eq!(checked["records"], port.demonstration.len() - 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(port.path("port/demo.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // What is there already is not overwritten.
    let again = clearlane().args(["demo", "--gallery", "10", "--keep"]).arg(port.path("port")).assert().code(6);
    assert!(String::from_utf8_lossy(&again.get_output().stderr).contains("demo.key"));
}
