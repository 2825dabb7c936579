//! `lane run --metrics`: what it answers is Prometheus' text format, on loopback, and nothing that a client sends disturbs it.
#![cfg(all(unix, feature = "builtin"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::fictional;
use common::port::Port;

/// A lane whose second passenger does not come for as long as nobody writes the picture into the pipe.
struct Waiting {
    lane: Child,
    address: String,
    pipe: std::path::PathBuf,
    _said: BufReader<std::process::ChildStderr>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.lane.kill();
        let _ = self.lane.wait();
    }
}

impl Waiting {
    fn start(port: &Port, name: &str) -> Self {
        let pipe = port.path(&format!("{name}.jpg"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let queue = port.path(&format!("{name}.txt"));
        let unknown = fictional("unknown/u2093/plain-1.jpg");
        let first = fictional("enrolled/f0000/plain-1.jpg");
        let lines = [&first, &unknown, &pipe].map(|path| path.display().to_string()).join("\n");
        std::fs::write(&queue, lines).unwrap();
        let run = port.run_lanes(&queue, &["--metrics", "0"]);
        let mut command = Command::new(run.get_program());
        command.args(run.get_args());
        for setting in common::SETTINGS {
            command.env_remove(setting);
        }
        let mut lane = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(lane.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("metrics are at ") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended: {:?}", lane.try_wait());
        }
        let address = line.trim().rsplit_once("http://").unwrap().1.strip_suffix("/metrics").unwrap().to_owned();
        let mut out = BufReader::new(lane.stdout.take().unwrap());
        for _ in 0..2 {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            assert!(line.starts_with("admit") || line.starts_with("refer"), "{line}");
        }
        // What it prints later has a place to go.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Self { lane, address, pipe, _said: said }
    }

    fn send(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        // A request that is refused may find its connection closed before all of it is sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str) -> (String, String) {
        let answer = self.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

/// One sample: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Reads the text format by its rules, as the description of version 0.0.4 has them, and refuses everything else.
fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Sample>) {
    let is_name = |name: &str| {
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == ':');
        first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    assert!(text.ends_with('\n'), "the last line ends");
    let (mut types, mut helped, mut samples) = (BTreeMap::new(), BTreeSet::new(), Vec::<Sample>::new());
    let (mut current, mut closed) = (String::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !words.trim().is_empty(), "{line}");
            assert!(helped.insert(name.to_owned()), "one HELP a family: {line}");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind), "{line}");
            assert!(helped.contains(name), "HELP stands before TYPE here: {line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "one TYPE a family: {line}");
            // All lines of a family stand together.
            closed.insert(std::mem::replace(&mut current, name.to_owned()));
            assert!(!closed.contains(name), "{line}");
            continue;
        }
        assert!(!line.starts_with('#') && !line.trim().is_empty(), "{line}");
        let (name_and_labels, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match name_and_labels.split_once('{') {
            None => (name_and_labels, BTreeMap::new()),
            Some((name, labels)) => {
                let labels = labels.strip_suffix('}').unwrap().split(',').map(|label| {
                    let (label, value) = label.split_once('=').unwrap();
                    let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                    assert!(is_name(label) && !value.contains(['"', '\\']), "{line}");
                    (label.to_owned(), value.to_owned())
                });
                (name, labels.collect())
            }
        };
        assert!(is_name(name), "{line}");
        let family = match types.get(&current).map(String::as_str) {
            Some("histogram") => {
                let part = name.strip_prefix(&current).unwrap();
                assert!(["_bucket", "_sum", "_count"].contains(&part), "{line}");
                &current
            }
            Some(_) => name,
            None => panic!("no TYPE before {line}"),
        };
        assert_eq!(family, current, "all lines of a family stand together: {line}");
        let value: f64 = value.parse().unwrap();
        assert!(
            !samples.iter().any(|(other, with, _)| other == name && *with == labels),
            "no sample stands there twice: {line}"
        );
        samples.push((name.to_owned(), labels, value));
    }
    assert!(types.keys().all(|name| helped.contains(name)));
    (types, samples)
}

#[test]
fn what_it_answers_keeps_to_the_formats_rules_and_counts_the_passages() {
    let port = Port::shared();
    let waiting = Waiting::start(&port, "metrics-format");
    let (head, body) = waiting.get("/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    let (types, samples) = parse(&body);
    for (name, kind) in &types {
        // Prometheus' conventions: a prefix of our own, base units, and totals that say so.
        assert!(name.starts_with("clearlane_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert_eq!(kind == "histogram", name.ends_with("_seconds"), "{name}");
    }
    let value = |name: &str, label: Option<(&str, &str)>| {
        let found = samples.iter().find(|(sample, labels, _)| {
            sample == name && label.is_none_or(|(label, value)| labels.get(label).is_some_and(|is| is == value))
        });
        found.unwrap_or_else(|| panic!("{name} {label:?} in {body}")).2
    };
    let outcome = |outcome| value("clearlane_passages_total", Some(("outcome", outcome)));
    assert_eq!((outcome("admit"), outcome("refer")), (1.0, 1.0));
    assert_eq!(value("clearlane_referral_reasons_total", Some(("reason", "no-candidate"))), 1.0);
    assert_eq!(value("clearlane_register_sound", None), 1.0);
    assert_eq!(value("clearlane_gallery_templates", None), common::port::GALLERY as f64);
    // Histograms: cumulative, the last bucket infinite and the count.
    let stages: BTreeSet<_> = samples.iter().filter_map(|(_, labels, _)| labels.get("stage")).collect();
    assert!(stages.len() >= 10 && stages.iter().any(|stage| *stage == "search"), "{stages:?}");
    let histogram = "clearlane_stage_duration_seconds";
    for stage in stages {
        let of = |part: &str| {
            let name = format!("{histogram}{part}");
            samples.iter().filter(move |(sample, labels, _)| *sample == name && labels["stage"] == *stage)
        };
        let buckets: Vec<(f64, f64)> = of("_bucket")
            .map(|(_, labels, count)| (labels["le"].replace("+Inf", "inf").parse().unwrap(), *count))
            .collect();
        assert!(buckets.len() > 10 && buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{stage}: {buckets:?}");
        let (last, count) = (buckets.last().unwrap(), of("_count").next().unwrap().2);
        assert!(last.0.is_infinite() && last.1 == count, "{stage}: {buckets:?}");
        let sum = of("_sum").next().unwrap().2;
        assert!(sum >= 0.0 && (count > 0.0 || sum == 0.0), "{stage}: {sum}");
        if stage == "total" {
            // Both passages took longer than 64 µs and together as long as their sum says.
            assert_eq!((count, buckets[0].1), (2.0, 0.0));
            assert!(sum > 0.000_1, "{sum}");
        }
    }
}

#[test]
fn nothing_that_a_client_sends_disturbs_the_lanes() {
    let port = Port::shared();
    let mut waiting = Waiting::start(&port, "metrics-clients");
    let status = |answer: &str| answer.split(' ').nth(1).unwrap_or("none").to_owned();
    assert_eq!(status(&waiting.get("/").0), "404");
    assert_eq!(status(&waiting.get("/metrics/../metrics").0), "404");
    assert_eq!(status(&waiting.get("/metrics?name=all").0), "200");
    assert_eq!(status(&waiting.send(b"POST /metrics HTTP/1.1\r\n\r\n")), "405");
    let head = waiting.send(b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(status(&waiting.send(b"\x16\x03\x01 hello \xff\r\n\r\n")), "400");
    assert_eq!(status(&waiting.send(b"GET /metrics\r\n\r\n")), "400");
    // A header without end is not read to its end. (Where the connection closes with bytes on the way, no answer may be seen.)
    let long = [b"GET /metrics HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat();
    assert!(["431", "none"].contains(&status(&waiting.send(&long)).as_str()));
    // Clients that connect and say nothing are given up, and the next is answered.
    let silent: Vec<_> = (0..2).map(|_| TcpStream::connect(&waiting.address).unwrap()).collect();
    let (head, body) = waiting.get("/metrics");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    parse(&body);
    drop(silent);
    // The last passenger comes after all, and the run ends as it would have.
    let picture = std::fs::read(fictional("enrolled/f0001/plain-1.jpg")).unwrap();
    OpenOptions::new().write(true).open(&waiting.pipe).unwrap().write_all(&picture).unwrap();
    assert_eq!(waiting.lane.wait().unwrap().code(), Some(1), "somebody was referred");
}

#[test]
fn it_listens_on_loopback_and_says_where_a_port_is_taken() {
    let port = Port::shared();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let number = taken.local_addr().unwrap().port().to_string();
    let queue = port.queue("metrics-taken.txt", &["enrolled/f0003/plain-1.jpg".to_owned()]);
    let run = port.run_lanes(&queue, &["--metrics", &number]).assert().code(6).stdout("");
    run.stderr(predicates::str::contains(format!("metrics cannot be served on 127.0.0.1:{number}")));
    let waiting = Waiting::start(&port, "metrics-loopback");
    assert!(waiting.address.starts_with("127.0.0.1:"), "{}", waiting.address);
}
