//! The manifest of public data sets: whole, strict, and without an address that somebody between could change.
#![allow(clippy::unwrap_used)]

use clearlane_eval::datasets::{Datasets, DatasetsError, may_be_fetched};

#[test]
fn every_known_set_says_where_to_get_it_under_which_conditions_and_which_command_reads_it() {
    let datasets = Datasets::known().unwrap();
    assert!(datasets.iter().count() >= 11);
    for set in datasets.iter() {
        for text in [&set.title, &set.purpose, &set.licence, &set.limits, &set.obtain] {
            assert!(!text.trim().is_empty(), "{}", set.name);
        }
        assert!(set.page.starts_with("http"), "{}", set.name);
        assert!(set.command.starts_with("clearlane eval "), "{}", set.name);
        assert!(!set.layout.is_empty(), "{}", set.name);
    }
    assert!(datasets.get("no-such-set").is_none());
}

const SET: &str = r#"
[[dataset]]
name = "mine"
title = "Mine"
purpose = "tests"
page = "https://example.org/"
licence = "mine"
limits = "none"
obtain = "fetch it"
command = "clearlane eval pairs DIR/list.txt"
fetch = [{ path = "a/list.txt", url = "https://example.org/list.txt", at_most = 10 }]
layout = [{ path = "a/list.txt", pairs = 1, pictures_in = "." }]
"#;

#[test]
fn what_a_manifest_may_not_say_is_refused_with_the_sets_name() {
    assert_eq!(Datasets::parse(SET).unwrap().get("mine").unwrap().fetch[0].sha256, None);
    let value = |from: &str, to: &str| {
        assert!(SET.contains(from));
        match Datasets::parse(&SET.replace(from, to)).unwrap_err() {
            DatasetsError::Value { name, value, .. } => (name, value),
            other => panic!("{other}"),
        }
    };
    for (from, to, got) in [
        ("a/list.txt\", url", "../list.txt\", url", "../list.txt"),
        ("a/list.txt\", url", "/list.txt\", url", "/list.txt"),
        ("a/list.txt\", url", "SHA256SUMS\", url", "SHA256SUMS"),
        ("https://example.org/list.txt", "http://example.org/list.txt", "http://example.org/list.txt"),
        ("at_most = 10", "at_most = 0", "0"),
        ("at_most = 10", "at_most = 10, sha256 = \"AB\"", "AB"),
        ("pictures_in = \".\"", "pictures_in = \"..\"", ".."),
    ] {
        assert_eq!(value(from, to), ("mine".to_owned(), got.to_owned()));
    }
    let twice = [SET, SET].concat();
    assert!(Datasets::parse(&twice).unwrap_err().to_string().contains("expected each name once"));
    for (from, to) in
        [("licence = \"mine\"", ""), ("pairs = 1", "pears = 1"), ("limits", "limit"), ("= \"tests\"", "= 3")]
    {
        let error = Datasets::parse(&SET.replace(from, to)).unwrap_err();
        assert!(matches!(error, DatasetsError::Syntax { .. }), "{error}");
        assert!(error.to_string().contains("line"), "{error}");
    }
}

#[test]
fn files_come_over_tls_or_from_this_machine() {
    for url in [
        "https://example.org/a",
        "http://localhost/a",
        "http://127.0.0.1:80/a",
        "http://127.9.9.9",
        "http://[::1]:8080/a",
    ] {
        assert!(may_be_fetched(url), "{url}");
    }
    for url in [
        "http://example.org/a",
        "http://127.0.0.1.example.org/",
        "http://localhost@example.org/",
        "http://128.0.0.1/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://",
        "https:///a",
        "https://a b/",
        "http://[::2]/",
        "",
        "HTTP://example.org",
        "https://a@b/",
    ] {
        assert!(!may_be_fetched(url), "{url}");
    }
}
