//! The command line: every argument that is a file, every option that is a number, and what is in files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap::{Arg, Command};

use crate::common::calls::{call, commands, documented, takes_path};
use crate::common::{clearlane, page};
use crate::kinds::KINDS;
use crate::port::{Port, steady};

/// Options that many commands share, each with the one that it is tried in.
const SHARED: [(&str, &str); 9] = [
    ("models", "inspect"),
    ("register", "identify"),
    ("key-file", "identify"),
    ("witness", "identify"),
    ("cluster-key", "cluster status"),
    ("nkey", "cluster status"),
    ("tls-ca", "cluster status"),
    ("tls-certificate", "cluster status"),
    ("tls-key", "cluster status"),
];

/// What may stand there: a score of -1, an export of nobody, pictures for a run that looks at none, a folder that is made, a
/// witness that is, since it has seen nothing yet, and a cache that is, or is done without.
const TAKEN: [(&str, &str); 17] = [
    ("--gallery-file", "missing"),
    ("--gallery-file", "empty"),
    ("--keep", "missing"),
    ("--witness", "missing"),
    ("--witness", "empty"),
    ("--threshold", "negative"),
    ("--near-copies", "negative"),
    ("--snapshots", "missing"),
    ("--snapshots", "a folder"),
    ("--outbox", "missing"),
    ("--outbox", "a folder"),
    ("cluster collect folder", "missing"),
    ("cluster collect folder", "a folder"),
    ("register import file", "empty"),
    ("bench soak --faces", ""),
    ("models list --models", "a folder"),
    ("inspect --models", "a folder"),
];

/// What takes the place of a file.
const FILES: [(&str, &str); 4] =
    [("missing", "nowhere/missing"), ("empty", "empty"), ("a folder", "folder"), ("a letter", "letter")];

/// Options that name a file to be made: what is there already is written over, and what cannot be made is refused before the work.
const MADE_FILES: [&str; 6] = ["out", "report", "templates-out", "det", "scores", "plot"];

/// Arguments that name a folder to be made, or to be added to.
const MADE_FOLDERS: [&str; 3] = ["keep", "within", "dir"];

/// Commands whose file is to be made.
const MAKERS: [&str; 5] = ["register keygen", "claim keygen", "register backup", "register export", "records export"];

const KINDS_OF_NUMBERS: [&str; 10] =
    ["N", "RATE", "SCORE", "SHARE", "SECONDS", "DAYS", "PIXELS", "SIZE", "TIME", "TIMES"];

const NUMBERS: [(&str, &str); 4] =
    [("no number", "nan"), ("negative", "-1"), ("beyond all bounds", "1e999"), ("a word", "some")];

/// A good file for an argument that is not the one tried.
fn good(words: &[String], arg: &Arg) -> OsString {
    let name = match arg.get_id().as_str() {
        // What is signed with one key is believed by the other.
        "issuer" if words == ["claim", "read"] => "issuer.pem.pub",
        "register" | "path" => "port.register",
        "key_file" | "cluster_key" => "port.key",
        "policy" => "policy.toml",
        "pictures" | "picture" | "a" => "face.jpg",
        "b" => "live.jpg",
        "queue" => "queue.txt",
        "issuer" => "issuer.pem",
        "claim_issuer" => "issuer.pem.pub",
        "source" => "list.csv",
        "dirs" | "dir" => "people",
        _ => "letter",
    };
    name.into()
}

/// What a call came to: its exit code and the first line that it says, with what to do.
fn answer(words: &[OsString], folder: &Path) -> (i32, String) {
    let mut run = clearlane();
    run.args(words).current_dir(folder).timeout(Duration::from_mins(2));
    let output = run.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("panicked"), "{run:?}: {said}");
    let code = output.status.code().unwrap_or_else(|| panic!("{run:?}: {:?}, {said}", output.status));
    let first = said.lines().find_map(|line| line.strip_prefix("error: "));
    // A line that clap breaks goes on below.
    let first = first.map(|line| {
        let rest = said.lines().skip_while(|other| !other.ends_with(line)).skip(1);
        let rest = rest.take_while(|line| line.starts_with("  ") && !line.trim().is_empty());
        rest.fold(line.to_owned(), |text, line| format!("{text} {}", line.trim()))
    });
    let help = said.lines().find_map(|line| line.strip_prefix("help: "));
    // A command that went through says in its answer what it could not use.
    let words = first.unwrap_or_else(|| told.lines().take(4).map(str::trim).collect::<Vec<_>>().join("; "));
    let words = help.map_or(words.clone(), |help| format!("{words} — {help}"));
    (code, steady(&words))
}

fn shown(words: &[OsString]) -> String {
    let words: Vec<_> = words
        .iter()
        .map(|word| {
            let word = word.to_str().unwrap();
            if word.is_empty() || word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
        })
        .collect();
    format!("`clearlane {}`", words.join(" "))
}

struct Table {
    port: Port,
    documented: BTreeSet<i32>,
    rows: Vec<Vec<String>>,
    /// Answers that are no refusal, or leave open what was wrong.
    unclear: Vec<String>,
}

impl Table {
    fn new() -> Self {
        let rows = vec![["input", "command", "exit", "it says"].map(str::to_owned).to_vec()];
        Self { port: Port::new(), documented: documented(), rows, unclear: Vec::new() }
    }

    /// Tries a call, which is refused, and says which input it is: by one of these names.
    fn refused(&mut self, input: &str, words: &[OsString], folder: &Path, names: &[&str]) {
        let (code, said) = answer(words, folder);
        let what = format!("{input}, {}: {code}, {said}", shown(words));
        let named = names.iter().any(|name| said.contains(name));
        // What stands for the other arguments may be no better: then it is that which is said, and nothing is learned of this one.
        let other = words.iter().filter_map(|word| word.to_str()).any(|word| {
            let stands_in = word == "nothing" || word.starts_with('/') || folder.join(word).exists();
            !names.contains(&word) && word.len() > 1 && stands_in && said.contains(word)
        });
        if !named && other && code != 0 {
            return;
        }
        if !self.documented.contains(&code) || code == 0 || said.len() <= 10 || !named {
            self.unclear.push(what);
        }
        self.rows.push(vec![input.to_owned(), shown(words), code.to_string(), said]);
    }

    /// Tries what may stand for a value of an argument.
    fn values(&mut self, (words, command): &(Vec<String>, Command), arg: &Arg, values: &[(&str, &str)]) {
        let name = words.join(" ");
        let long = arg.get_long().map_or(arg.get_id().to_string(), |long| format!("--{long}"));
        let keyed = command.get_arguments().any(|arg| arg.get_id() == "key_file");
        for (what, value) in values {
            let input = format!("{name} {long}: {what}");
            if TAKEN.iter().any(|(taken, how)| input.contains(taken) && input.ends_with(how)) {
                continue;
            }
            let mut words = call(words, command, arg, value.as_ref(), |arg| good(words, arg));
            let has = |words: &[OsString], option: &str| words.iter().any(|word| word == option);
            if keyed && has(&words, "--register") && !has(&words, "--key-file") {
                words.extend(["--key-file", "port.key"].map(OsString::from));
            }
            let folder = self.port.copy();
            self.refused(&input, &words, folder.path(), &[value, &long]);
        }
    }
}

#[test]
fn whatever_is_wrong_on_the_command_line_gets_what_the_page_says() {
    let mut table = Table::new();
    let mut once = BTreeSet::new();
    for called in commands() {
        let name = called.0.join(" ");
        for arg in called.1.get_arguments() {
            let id = arg.get_long().unwrap_or(arg.get_id().as_str());
            let elsewhere = SHARED.iter().any(|(option, tried)| *option == id && *tried != name);
            if takes_path(arg) && !elsewhere {
                let made = MADE_FOLDERS.contains(&id) || id == "out" || MAKERS.contains(&name.as_str()) && id == "file";
                let before = table.rows.len();
                if MADE_FILES.contains(&id) && name != "bench soak" {
                    table.values(&called, arg, &[FILES[0], FILES[2]]);
                    let late = |row: &&Vec<String>| row[2] != "2";
                    let late: Vec<_> = table.rows[before..].iter().filter(late).collect();
                    assert!(late.is_empty(), "noticed after the work: {late:?}");
                } else {
                    table.values(&called, arg, &FILES[..if made { 1 } else { FILES.len() }]);
                }
            }
            let kind = arg.get_value_names().and_then(|names| names.first());
            if kind.is_some_and(|kind| KINDS_OF_NUMBERS.contains(&kind.as_str())) && once.insert(id.to_owned()) {
                table.values(&called, arg, &NUMBERS);
            }
        }
    }
    for kind in KINDS {
        let folder = table.port.copy();
        (kind.spoil)(folder.path());
        let words: Vec<OsString> = kind.words.split(' ').map(OsString::from).collect();
        let before = table.rows.len();
        table.refused(kind.input, &words, folder.path(), &[kind.names]);
        assert!(table.rows.len() > before, "{}: another input was refused", kind.input);
    }
    assert!(table.unclear.is_empty(), "{}", table.unclear.join("\n"));
    assert!(table.rows.len() > 120, "{}", table.rows.len());
    page::hold("docs/bad-inputs.md", "Command line", &table.rows);
}
