//! No key of a policy can be left out, misspelt or given a senseless value unnoticed. Tried on every key of the shipped
//! policies, and of policies with the other rules of fusion, as it stands there: a key that is added is tried as well.
#![allow(clippy::unwrap_used)]

use clearlane::Policy;
use toml::{Table, Value};

/// Keys that may be absent, and what that means.
const MAY_BE_ABSENT: [(&str, &str); 3] = [
    ("capture.quality.*", "a floor that is not listed is not asked for"),
    ("enrolment.quality.*", "a floor that is not listed is not asked for"),
    ("comparison.gallery-age-ms", "no port of the policy has a gallery that is kept elsewhere"),
];

/// Numbers that may be negative, and why.
const MAY_BE_NEGATIVE: [(&str, &str); 5] = [
    ("evidence.threshold", "on the matcher's own scale"),
    ("evidence.likelihood.intercept", "in nats"),
    ("fusion.face.intercept", "in nats"),
    ("fusion.face-floor", "a cosine"),
    ("fusion.threshold", "in nats"),
];

/// Texts that nothing reads but people, or the names that hosts give.
const FREE_TEXT: [&str; 5] = ["name", "source", "zh", "en", "matcher"];

/// Where a value stands: keys of tables and places in lists, from the outermost.
type Path = Vec<Step>;

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Place(usize),
}

#[test]
fn a_key_that_is_left_out_is_missed_by_its_name() {
    every_key(|policy, path, key, name| {
        let mut without = policy.clone();
        parent(&mut without, path).remove(key);
        if let Err(message) = read(&without) {
            assert!(message.contains(key), "without `{name}`: {message}");
        } else {
            assert!(listed(&MAY_BE_ABSENT, name), "`{name}` is not missed");
        }
    });
}

#[test]
fn a_misspelt_key_is_refused_by_its_name() {
    every_key(|policy, path, key, name| {
        let mut twin = policy.clone();
        let misspelt = format!("{key}x");
        let value = parent(&mut twin, path)[key].clone();
        parent(&mut twin, path).insert(misspelt.clone(), value);
        let message = read(&twin).expect_err(name);
        assert!(message.contains(&misspelt), "`{misspelt}` beside `{name}`: {message}");
    });
}

#[test]
fn a_number_that_is_none_or_infinite_or_senseless_is_refused() {
    let mut numbers = 0;
    every_value(|policy, path, name| {
        if !matches!(at(policy, path), Value::Float(_) | Value::Integer(_)) {
            return;
        }
        numbers += 1;
        let huge = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1e30, -1e30, 1e10, -1e10];
        let integers = [i64::MAX, i64::MIN, 1 << 32];
        for value in huge.map(Value::Float).into_iter().chain(integers.map(Value::Integer)) {
            refused(policy, path, &value, name);
        }
        if !listed(&MAY_BE_NEGATIVE, name) {
            for value in [Value::Float(-1.0), Value::Float(-1e-3), Value::Integer(-1)] {
                refused(policy, path, &value, name);
            }
        }
    });
    assert!(numbers > 80, "{numbers} numbers are too few: the walk is broken");
}

#[test]
fn a_value_of_another_type_or_an_unknown_word_is_refused() {
    every_value(|policy, path, name| {
        let value = at(policy, path);
        let others = [
            Value::Boolean(true),
            Value::Integer(1),
            Value::Float(0.5),
            Value::String("no such word".to_owned()),
            Value::Array(vec![Value::Boolean(true)]),
            Value::Table(Table::from_iter([("no such key".to_owned(), Value::Integer(1))])),
        ];
        let number = |value: &Value| matches!(value, Value::Integer(_) | Value::Float(_));
        let free = FREE_TEXT.iter().any(|free| name.rsplit('.').next() == Some(free));
        for other in others {
            let alike = match value {
                // Whole numbers are read as numbers with a fraction where one is asked for; an integer's own test is above.
                Value::Integer(_) | Value::Float(_) => number(&other),
                Value::Boolean(_) => matches!(other, Value::Boolean(_)),
                Value::String(_) => free && matches!(other, Value::String(_)),
                _ => false,
            };
            if !alike {
                refused(policy, path, &other, name);
            }
        }
    });
}

/// The shipped policies as they are, and the pilot's with each rule of fusion.
fn policies() -> Vec<Table> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    let file = |name: &str| std::fs::read_to_string(format!("{folder}/{name}.toml")).unwrap();
    let (pilot, demonstration) = (file("shenzhen-bay-and-gongbei"), file("demonstration"));
    let with = |changes: &[(&str, &str)]| {
        changes.iter().fold(pilot.clone(), |text, (from, to)| {
            assert!(text.contains(from), "the shipped policy has no `{from}`");
            text.replacen(from, to, 1)
        })
    };
    let either = with(&[("rule = \"both\"", "rule = \"either\"\nface-floor = 0.3")]);
    let weighted = with(&[
        (
            "rule = \"both\"",
            "rule = \"weighted\"\nface-floor = 0.4\nthreshold = 10.0\nface = { slope = 40.0, intercept = -16.0, weight = 1.0 }",
        ),
        ("threshold = 0.5\nsource", "likelihood = { slope = 10.0, intercept = -5.0, weight = 2.0 }\nsource"),
    ]);
    let policies = [pilot.clone(), demonstration, either, weighted].map(|text| text.parse::<Table>().unwrap());
    for policy in &policies {
        read(policy).unwrap();
    }
    policies.to_vec()
}

/// Calls `with` the policy, the path of the table, the key and its name, for every key of every table.
fn every_key(mut with: impl FnMut(&Table, &[Step], &str, &str)) {
    every_value(|policy, path, name| {
        if let Some((Step::Key(key), table)) = path.split_last() {
            with(policy, table, key, name);
        }
    });
}

/// Calls `with` the policy, the path and the name of every value, lists and tables included.
fn every_value(mut with: impl FnMut(&Table, &[Step], &str)) {
    for policy in policies() {
        let mut paths = Vec::new();
        walk(&Value::Table(policy.clone()), &mut Vec::new(), &mut paths);
        for path in paths {
            let keys = path.iter().filter_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Place(_) => None,
            });
            with(&policy, &path, &keys.collect::<Vec<_>>().join("."));
        }
    }
}

fn walk(value: &Value, path: &mut Path, paths: &mut Vec<Path>) {
    let inner: Vec<(Step, &Value)> = match value {
        Value::Table(table) => table.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(place, value)| (Step::Place(place), value)).collect(),
        _ => Vec::new(),
    };
    for (step, value) in inner {
        path.push(step);
        paths.push(path.clone());
        walk(value, path, paths);
        path.pop();
    }
}

fn at<'p>(policy: &'p Table, path: &[Step]) -> &'p Value {
    let (Step::Key(first), rest) = path.split_first().unwrap() else { panic!("a policy is a table") };
    rest.iter().fold(&policy[first], |value, step| match step {
        Step::Key(key) => &value[key],
        Step::Place(place) => &value[*place],
    })
}

fn at_mut<'p>(policy: &'p mut Table, path: &[Step]) -> &'p mut Value {
    let (Step::Key(first), rest) = path.split_first().unwrap() else { panic!("a policy is a table") };
    rest.iter().fold(&mut policy[first], |value, step| match step {
        Step::Key(key) => &mut value[key],
        Step::Place(place) => &mut value[*place],
    })
}

fn parent<'p>(policy: &'p mut Table, path: &[Step]) -> &'p mut Table {
    if path.is_empty() { policy } else { at_mut(policy, path).as_table_mut().unwrap() }
}

fn refused(policy: &Table, path: &[Step], value: &Value, name: &str) {
    let mut changed = policy.clone();
    *at_mut(&mut changed, path) = value.clone();
    let found = read(&changed);
    assert!(found.is_err(), "`{name} = {value}` is taken");
}

fn read(policy: &Table) -> Result<Policy, String> {
    Policy::from_toml(&toml::to_string(policy).unwrap()).map_err(|error| error.to_string())
}

/// Whether a list of exceptions has the name, itself or by its table.
fn listed(exceptions: &[(&str, &str)], name: &str) -> bool {
    let table = name.rsplit_once('.').map(|(table, _)| format!("{table}.*"));
    exceptions.iter().any(|(exception, _)| *exception == name || table.as_deref() == Some(*exception))
}
