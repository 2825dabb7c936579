//! Policies are validated when they are read, and an error says where.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use clearlane::{Policy, PolicyError, PolicyProblem};

#[test]
fn the_shipped_policy_is_valid_and_names_both_pilot_ports() {
    let policy = Policy::open(shipped()).unwrap();
    let ports: Vec<_> = policy.ports().iter().map(|(id, port)| (id.as_str(), port.zh.as_str())).collect();
    assert_eq!(ports, [("gongbei", "拱北口岸"), ("shenzhen-bay", "深圳湾口岸")]);
}

#[test]
fn every_table_of_rules_must_name_its_source() {
    let text = fs::read_to_string(shipped()).unwrap();
    let sources: Vec<_> = text.lines().enumerate().filter(|(_, line)| line.starts_with("source = ")).collect();
    assert_eq!(sources.len(), text.lines().filter(|line| line.starts_with('[')).count());
    for (number, line) in sources {
        let unsourced = text.replacen(line, &" ".repeat(line.len()), 1);
        let found = Policy::from_toml(&unsourced);
        assert!(
            matches!(&found, Err(PolicyError::Syntax { message, .. }) if message.contains("source")),
            "without line {}: {found:?}",
            number + 1
        );
    }
}

#[test]
fn an_error_names_file_line_column_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.toml");
    fs::write(&path, changed("minimum = 14", "minimum = 140")).unwrap();
    let line = 1 + fs::read_to_string(&path).unwrap().lines().position(|line| line == "minimum = 140").unwrap();
    let error = Policy::open(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("{}:{line}:11: `age.minimum`: 140 is not in [0, 120]", path.display()));
}

#[test]
fn values_that_a_policy_may_not_have_are_refused_where_they_stand() {
    type Is = fn(&PolicyProblem) -> bool;
    let range: Is = |problem| matches!(problem, PolicyProblem::OutOfRange { .. });
    let empty: Is = |problem| matches!(problem, PolicyProblem::Empty);
    let duplicate: Is = |problem| matches!(problem, PolicyProblem::Duplicate { .. });
    let missing: Is = |problem| matches!(problem, PolicyProblem::Missing);
    let unused: Is = |problem| matches!(problem, PolicyProblem::Unused);
    let faceless: Is = |problem| matches!(problem, PolicyProblem::WithoutFace);
    let serves = "populations = [\"east-asian-adults\"]";
    let scope = "scope = [\"face\", \"fingerprint\"]";
    let cases: [(&str, &str, &str, Is); 35] = [
        ("fpir = 1e-5", "fpir = 0.0", "comparison.fpir", range),
        ("fpir = 1e-5", "fpir = nan", "comparison.fpir", range),
        ("fpir = 1e-5", "fpir = 0.6", "comparison.fpir", range),
        ("fmr = 1e-6", "fmr = -1e-6", "comparison.fmr", range),
        ("margin = 0.05", "margin = -0.1", "comparison.margin", range),
        ("budget-ms = 1000", "budget-ms = 0", "comparison.budget-ms", range),
        ("gallery-age-ms = 5000", "gallery-age-ms = 0", "comparison.gallery-age-ms", range),
        ("gallery-age-ms = 5000", "gallery-age-ms = 86400001", "comparison.gallery-age-ms", range),
        ("coverage = 0.999", "coverage = 0.0", "model-upgrade.coverage", range),
        ("coverage = 0.999", "coverage = 1.001", "model-upgrade.coverage", range),
        ("coverage = 0.999", "coverage = nan", "model-upgrade.coverage", range),
        ("best-frames = 3", "best-frames = 0", "capture.best-frames", range),
        ("pad-threshold = 0.5", "pad-threshold = 1.5", "capture.pad-threshold", range),
        ("second-face = 0.5", "second-face = 1.0", "capture.second-face", range),
        ("second-face = 0.5", "second-face = nan", "capture.second-face", range),
        ("Sharpness = 20", "Sharpness = nan", "capture.quality", range),
        ("Sharpness = 40", "Sharpness = inf", "enrolment.quality", range),
        ("threshold = 0.5\nsource", "threshold = -1.1e9\nsource", "evidence.threshold", range),
        ("threshold = 0.5\nsource", "threshold = inf\nsource", "evidence.threshold", range),
        ("directions = [\"entry\", \"exit\"]", "directions = []", "ports.directions", empty),
        (scope, "scope = []", "consent.scope", faceless),
        (scope, "scope = [\"fingerprint\"]", "consent.scope", faceless),
        ("documents = [\"exit-entry-permit-hk-macao\"]", "documents = []", "eligible.documents", empty),
        ("id = \"gongbei\"", "id = \"shenzhen-bay\"", "ports.id", duplicate),
        ("[fusion]", "[[evidence]]\nmatcher = \"fingerprint\"\nsource = \"\"\n[fusion]", "evidence.matcher", duplicate),
        (serves, "populations = []", "travellers.populations", empty),
        (serves, "populations = [\"a\", \"b\", \"a\"]", "travellers.populations", duplicate),
        ("multiple-entry = true\n", "", "eligible.multiple-entry", missing),
        ("endorsements = []", "endorsements = []\nmultiple-entry = false", "eligible.multiple-entry", |problem| {
            matches!(problem, PolicyProblem::WithoutEndorsements)
        }),
        ("rule = \"both\"", "rule = \"either\"", "fusion.face-floor", missing),
        ("rule = \"both\"", "rule = \"weighted\"", "fusion.threshold", missing),
        ("threshold = 0.5\nsource", "source", "evidence.threshold", missing),
        ("rule = \"both\"", "rule = \"both\"\nface-floor = 0.2", "fusion.face-floor", unused),
        ("rule = \"both\"", "rule = \"both\"\nthreshold = 1.0", "fusion.threshold", unused),
        ("time-zone = \"Asia/Shanghai\"", "time-zone = \"Asia/Gongbei\"", "time-zone", |problem| {
            matches!(problem, PolicyProblem::UnknownTimeZone { .. })
        }),
    ];
    for (from, to, wanted, is) in cases {
        let text = changed(from, to);
        match Policy::from_toml(&text) {
            Err(PolicyError::Invalid { place, key, problem }) => {
                assert_eq!(key, wanted, "{to}");
                assert!(is(&problem), "{to}: {problem}");
                let first = before(from).lines().count();
                let last = first + to.lines().count();
                // What is missing is missed at the key above it.
                assert!((first - 3..=last + 1).contains(&place.line), "{to}: {place}, stands at {first}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn a_rule_that_fuses_matchers_needs_one_and_the_face_alone_is_a_rule_of_its_own() {
    let text = fs::read_to_string(shipped()).unwrap();
    let (start, end) = (text.find("[[evidence]]").unwrap(), text.find("[fusion]").unwrap());
    let without = format!("{}{}", &text[..start], &text[end..]);
    let with_rule = |rule: &str| Policy::from_toml(&without.replace("rule = \"both\"", rule));
    for rule in ["rule = \"both\"", "rule = \"either\"\nface-floor = 0.3", "rule = \"weighted\"\nface-floor = 0.3"] {
        match with_rule(rule) {
            Err(PolicyError::Invalid { key: "fusion.rule", problem: PolicyProblem::WithoutMatchers, .. }) => {}
            other => panic!("{rule}: {other:?}"),
        }
    }
    assert!(with_rule("rule = \"face-only\"").is_ok());
    match Policy::from_toml(&changed("rule = \"both\"", "rule = \"face-only\"")) {
        Err(PolicyError::Invalid { place, key: "evidence", problem: PolicyProblem::Unused }) => {
            assert_eq!(place.line, 2 + text[..start].lines().count());
        }
        other => panic!("a matcher beside the face alone: {other:?}"),
    }
    for key in ["face-floor = 0.3", "threshold = 1.0", "face = { slope = 1.0, intercept = 0.0, weight = 1.0 }"] {
        match with_rule(&format!("rule = \"face-only\"\n{key}")) {
            Err(PolicyError::Invalid { problem: PolicyProblem::Unused, .. }) => {}
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[test]
fn the_key_for_pad_of_an_earlier_version_is_refused_with_what_to_write_now() {
    for (old, new) in [("true", "pad = \"required\""), ("false", "pad = \"if-assessed\"")] {
        for key in [format!("pad-required = {old}"), format!("pad = \"off\"\npad-required = {old}")] {
            let text = changed("pad = \"required\"", &key);
            let line = text.lines().position(|line| line.starts_with("pad-required")).unwrap() + 1;
            match Policy::from_toml(&text) {
                Err(error @ PolicyError::Invalid { key: "capture.pad-required", .. }) => {
                    let message = error.to_string();
                    assert!(message.starts_with(&format!("line {line},")) && message.contains(new), "{message}");
                }
                other => panic!("{key}: {other:?}"),
            }
        }
    }
}

#[test]
fn unknown_words_and_keys_are_refused_where_they_stand() {
    for (from, to) in [
        ("category = \"macao-resident\"", "category = \"macau-resident\""),
        ("\"talent\"", "\"talents\""),
        ("multiple-entry = true", "multi-entry = true"),
        ("pad = \"required\"", "pad = \"sometimes\""),
        ("[age]", "[ages]"),
        ("rule = \"both\"", "rule = \"neither\""),
        ("id = \"gongbei\"", "id = \"Gong Bei\""),
        ("\"east-asian-adults\"", "\"East Asian adults\""),
        ("\"east-asian-adults\"", "\"\""),
        ("in-force-from = \"2024-11-20\"", "in-force-from = \"2024-11-31\""),
        ("minimum = 14", "minimum = fourteen"),
        ("minimum = 14", "minimum = 14\nminimum = 14"),
    ] {
        let text = changed(from, to);
        let line = before(from).lines().count();
        match Policy::from_toml(&text) {
            Err(PolicyError::Syntax { place, .. }) => {
                assert!((line..=line + 2).contains(&place.line), "{to}: at {place}, stands at {line}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn a_policy_cut_anywhere_is_an_error_and_never_a_panic() {
    let text = fs::read_to_string(shipped()).unwrap();
    let whole = text.find("[fusion]").unwrap();
    for end in (0..whole).filter(|&end| text.is_char_boundary(end)) {
        assert!(Policy::from_toml(&text[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_policy_that_is_missing_or_huge_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    assert!(matches!(Policy::open(&path), Err(PolicyError::Read { path: found, .. }) if found == path));
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(matches!(Policy::open(&path), Err(PolicyError::TooLarge { path: found }) if found == path));
}

fn changed(from: &str, to: &str) -> String {
    let text = fs::read_to_string(shipped()).unwrap();
    assert!(text.contains(from), "the shipped policy has no `{from}`");
    text.replacen(from, to, 1)
}

/// The shipped policy up to the first `part`.
fn before(part: &str) -> String {
    let text = fs::read_to_string(shipped()).unwrap();
    text[..text.find(part).unwrap()].to_owned()
}

fn shipped() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/shenzhen-bay-and-gongbei.toml")
}

#[test]
fn an_unknown_key_is_refused_in_every_table_of_every_policy() {
    fn tables(value: &mut toml::Value, change: &mut impl FnMut(&mut toml::Table)) {
        match value {
            toml::Value::Table(table) => {
                change(table);
                table.iter_mut().for_each(|(_, value)| tables(value, change));
            }
            toml::Value::Array(list) => list.iter_mut().for_each(|value| tables(value, change)),
            _ => {}
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    for file in fs::read_dir(folder).unwrap() {
        let policy: toml::Value =
            fs::read_to_string(file.unwrap().path()).unwrap().parse::<toml::Table>().unwrap().into();
        let mut count = 0;
        tables(&mut policy.clone(), &mut |_| count += 1);
        assert!(count > 10, "{count}");
        for changed in 0..count {
            let (mut text, mut at) = (policy.clone(), 0);
            tables(&mut text, &mut |table| {
                if at == changed {
                    table.insert("unknown".into(), 1.into());
                }
                at += 1;
            });
            let error = Policy::from_toml(&toml::to_string(&text).unwrap()).unwrap_err();
            assert!(
                matches!(error, PolicyError::Syntax { .. } | PolicyError::Invalid { .. }),
                "table {changed}: {error}"
            );
        }
    }
}
