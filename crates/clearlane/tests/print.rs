//! What a traveller takes along on paper: the last passage at a port, in two languages, to be checked by its code.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane::{Capture, Direction, Policy, PortId, PrintedRecord};
use clearlane_store::{CheckingCode, NewRecord, Outcome};
use common::{Port, capture_of, face, finger, now, policy};

/// Traveller 3 goes out by Shenzhen Bay, comes in by Gongbei, and is then referred at Shenzhen Bay.
fn travelled() -> Port {
    let port = Port::with(20);
    let subject = port.subject(3);
    for (place, direction, name) in
        [("shenzhen-bay", Direction::Exit, "lane 1"), ("gongbei", Direction::Entry, "<lane> & \"2\"")]
    {
        let lane = port.builder_at(place, policy("")).build().unwrap().lane(name, direction).unwrap();
        assert!(lane.pass_capture(&capture_of(3, 0.8), &finger(subject), None).decision.is_admission());
    }
    assert!(!port.lane().pass_capture(&capture_of(3, 0.8), &[], None).decision.is_admission());
    assert!(!port.lane().pass_capture(&Capture::new(face(999), Some(1.0)), &[], None).decision.is_admission());
    port
}

fn printed(
    port: &Port,
    policy: &Policy,
    n: u64,
    place: Option<&str>,
    direction: Option<Direction>,
) -> Option<PrintedRecord> {
    let subject = port.register.subject_by_id(port.subject(n)).unwrap().unwrap();
    let place: Option<PortId> = place.map(|place| place.parse().unwrap());
    PrintedRecord::last(&port.register, policy, &subject, place.as_ref(), direction, now()).unwrap()
}

#[test]
fn the_last_passage_that_was_admitted_is_printed_whatever_was_referred_since() {
    let port = travelled();
    let policy = policy("");
    let print = |place, direction| printed(&port, &policy, 3, place, direction).map(|printed| printed.record);
    assert_eq!(print(None, None), Some(2));
    assert_eq!(print(Some("shenzhen-bay"), None), Some(1));
    assert_eq!(print(None, Some(Direction::Exit)), Some(1));
    assert_eq!(print(Some("gongbei"), Some(Direction::Exit)), None);
    assert_eq!(printed(&port, &policy, 4, None, None), None);
    // No two passages have one checking code, and a code finds its record.
    let [first, second] =
        [Some("shenzhen-bay"), Some("gongbei")].map(|place| printed(&port, &policy, 3, place, None).unwrap());
    assert_ne!(first.code, second.code);
    assert_eq!(port.register.record(first.code.seq()).unwrap().unwrap().code(), first.code);
}

#[test]
fn text_and_json_say_who_passed_where_when_and_how_to_check_it() {
    let port = travelled();
    let printed = printed(&port, &policy(""), 3, Some("shenzhen-bay"), None).unwrap();
    let text = printed.to_string();
    // 04:00 UTC is noon in Shenzhen.
    for part in ["出境 exit", "深圳湾口岸 Shenzhen Bay Port", "lane 1", "2025-03-10 12:00:00 +08:00", "traveller 3"]
    {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let code = text.lines().find_map(|line| line.strip_prefix("校验码 Checking code: ")).unwrap();
    assert_eq!(code.parse::<CheckingCode>().unwrap(), printed.code);

    let json = serde_json::to_value(&printed).unwrap();
    assert_eq!((&json["record"], &json["direction"], &json["code"]), (&1.into(), &"exit".into(), &code.into()));
    assert_eq!((&json["port"]["id"], &json["port"]["zh"]), (&"shenzhen-bay".into(), &"深圳湾口岸".into()));
    for hidden in ["score", "threshold", "template", "document"] {
        assert!(!json.to_string().contains(hidden), "{json}");
    }
}

#[test]
fn the_page_is_whole_by_itself_in_both_languages_and_takes_no_markup_from_names() {
    let port = travelled();
    let printed = printed(&port, &policy(""), 3, None, None).unwrap();
    let page = printed.to_html();
    for part in [
        "出入境通行记录",
        "Record of a border crossing",
        "入境 entry",
        "拱北口岸 Gongbei Port",
        "&lt;lane&gt; &amp; &quot;2&quot;",
    ] {
        assert!(page.contains(part), "`{part}` is not in:\n{page}");
    }
    assert!(page.contains(&printed.code.to_string()) && page.contains("size: A4"));
    for foreign in ["http", "src=", "href=", "url(", "@import", "<script", "<img", "<lane>"] {
        assert!(!page.contains(foreign), "`{foreign}` is in:\n{page}");
    }
    // Every element that is opened is closed.
    for element in ["html", "head", "body", "table", "tr", "th", "td", "span", "p", "h1", "style", "title"] {
        let opened = page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
}

#[test]
fn a_port_that_the_policy_does_not_name_has_its_id() {
    let port = Port::with(5);
    let record = NewRecord {
        time: now(),
        port: "lo-wu".into(),
        lane: "9".into(),
        direction: Direction::Entry,
        outcome: Outcome::Admit,
        subject: Some(port.subject(2)),
        score: None,
        threshold: None,
        margin: None,
        model: None,
        reasons: String::new(),
        voids: None,
    };
    port.register.append_record(&record).unwrap();
    let printed = printed(&port, &policy(""), 2, None, None).unwrap();
    assert_eq!((printed.port.zh.as_str(), printed.port.en.as_str()), ("lo-wu", "lo-wu"));
}
