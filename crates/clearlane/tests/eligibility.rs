//! The eligibility rules, against a table of cases that is written as a specification: `eligibility.table`.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use clearlane::{Direction, Policy, PortId, Reason};
use clearlane_store::{
    Category, Consent, ConsentScope, Details, Document, DocumentKind, Endorsement, EndorsementKind, Entries,
    NumberDigest,
};
use jiff::Timestamp;
use jiff::civil::Date;

#[test]
fn every_case_of_the_table_has_its_outcome() {
    let table = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/eligibility.table")).unwrap();
    let policy = pilot_policy();
    let cases = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in cases {
        let (case, expected) = line.split_once('|').unwrap();
        let case = Case::read(case);
        let reasons = policy.ineligibility(&case.details, &case.port, case.direction, case.time);
        let found = match reasons.iter().map(Reason::code).collect::<Vec<_>>() {
            codes if codes.is_empty() => "eligible".to_owned(),
            codes => codes.join(", "),
        };
        if found != expected.trim() {
            wrong.push(format!("{line}\n    but the policy says: {found}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} cases of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 200, "the table is cut: {count} cases");
}

#[test]
fn a_policy_may_let_those_born_on_29_february_pass_on_28_february() {
    let text = std::fs::read_to_string(pilot_policy_path()).unwrap().replace("\"03-01\"", "\"02-28\"");
    let policy = Policy::from_toml(&text).unwrap();
    for (day, eligible) in [("2026-02-27", false), ("2026-02-28", true), ("2026-03-01", true)] {
        let case = Case::read(&format!("hong-kong; born 2012-02-29; on {day}"));
        let reasons = policy.ineligibility(&case.details, &case.port, case.direction, case.time);
        assert_eq!(reasons.is_empty(), eligible, "{day}: {reasons:?}");
    }
}

#[test]
fn a_referral_says_which_rule_and_which_day() {
    let refused = |case: &str| {
        let case = Case::read(case);
        pilot_policy().ineligibility(&case.details, &case.port, case.direction, case.time)
    };
    assert_eq!(refused("mainland; born 2011-03-11"), [Reason::UnderAge { age: 13, minimum: 14 }]);
    let expired = Reason::DocumentExpired {
        document: DocumentKind::ExitEntryPermitHkMacao,
        expired: "2025-03-09".parse().unwrap(),
    };
    assert_eq!(refused("mainland; valid 2020-01-01..2025-03-09"), [expired]);
    let json = serde_json::to_value(refused("mainland; entries double")).unwrap();
    assert_eq!(json, serde_json::json!([{ "reason": "not-multiple-entry", "endorsement": "business" }]));
}

struct Case {
    details: Details,
    port: PortId,
    direction: Direction,
    time: Timestamp,
}

impl Case {
    fn read(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let category = match parts.next().unwrap() {
            "mainland" => Some(Category::MainlandResident),
            "hong-kong" => Some(Category::HongKongResident),
            "macao" => Some(Category::MacaoResident),
            "other" => Some(Category::Other),
            "unknown" => None,
            other => panic!("no category: {other}"),
        };
        let mainland = category == Some(Category::MainlandResident);
        let mut birth = Some(date("1990-06-15"));
        let mut document = Some(if mainland {
            DocumentKind::ExitEntryPermitHkMacao
        } else {
            DocumentKind::MainlandTravelPermitHkMacao
        });
        let mut valid = validity("2020-01-01..2029-12-31");
        let mut endorsement = mainland.then_some(EndorsementKind::Business);
        let (mut entries, mut endorsed) = (Entries::Multiple, valid);
        let mut consent = Some(Consent {
            given: "2024-11-25T00:00:00Z".parse().unwrap(),
            scope: ConsentScope { face: true, fingerprint: true },
            withdrawn: None,
        });
        let (mut port, mut direction, mut time) = ("shenzhen-bay", Direction::Exit, noon("2025-03-10"));
        let mut documents = Vec::new();
        for part in parts {
            let (key, value) = part.split_once(' ').unwrap();
            match key {
                "born" => birth = (value != "unknown").then(|| date(value)),
                "document" => document = (value != "none").then(|| value.parse().unwrap()),
                "valid" => valid = validity(value),
                "endorsement" => endorsement = (value != "none").then(|| value.parse().unwrap()),
                "entries" => entries = value.parse().unwrap(),
                "endorsed" => endorsed = validity(value),
                "consent" => consent = changed(consent, value),
                "also" => documents.push(second_document(value)),
                "at" => port = value,
                "direction" if value == "entry" => direction = Direction::Entry,
                "direction" => assert_eq!(value, "exit"),
                "on" => time = value.parse().unwrap_or_else(|_| noon(value)),
                other => panic!("no such key: {other}"),
            }
        }
        let endorsements =
            endorsement.map(|kind| Endorsement { kind, entries, valid_from: endorsed.0, expires: endorsed.1 });
        let first = document.map(|kind| paper(kind, valid, endorsements.into_iter().collect()));
        documents.splice(0..0, first);
        let details = Details { category, birth, documents, consent, ..Details::default() };
        Self { details, port: port.parse().unwrap(), direction, time }
    }
}

fn changed(consent: Option<Consent>, value: &str) -> Option<Consent> {
    let mut consent = consent?;
    match value.split_once(' ').unwrap_or((value, "")) {
        ("none", _) => return None,
        ("face", _) => consent.scope.fingerprint = false,
        ("fingerprint", _) => consent.scope.face = false,
        ("nothing", _) => consent.scope = ConsentScope { face: false, fingerprint: false },
        ("given", time) => consent.given = time.parse().unwrap(),
        ("withdrawn", time) => consent.withdrawn = Some(time.parse().unwrap()),
        other => panic!("no consent: {other:?}"),
    }
    Some(consent)
}

fn second_document(text: &str) -> Document {
    let words: Vec<_> = text.split(' ').collect();
    let (valid_from, expires) = validity(words[1]);
    let endorsements = words.get(2).map(|kind| Endorsement {
        kind: kind.parse().unwrap(),
        entries: words[3].parse().unwrap(),
        valid_from,
        expires,
    });
    paper(words[0].parse().unwrap(), (valid_from, expires), endorsements.into_iter().collect())
}

fn paper(kind: DocumentKind, (valid_from, expires): (Option<Date>, Date), endorsements: Vec<Endorsement>) -> Document {
    Document { kind, number_digest: NumberDigest([0; 32]), valid_from, expires, endorsements }
}

fn validity(text: &str) -> (Option<Date>, Date) {
    let (from, until) = text.split_once("..").unwrap();
    ((!from.is_empty()).then(|| date(from)), date(until))
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn noon(day: &str) -> Timestamp {
    format!("{day}T12:00:00+08:00").parse().unwrap()
}

fn pilot_policy() -> Policy {
    Policy::open(pilot_policy_path()).unwrap()
}

fn pilot_policy_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/shenzhen-bay-and-gongbei.toml")
}
