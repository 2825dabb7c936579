//! The command line: every argument that is a file, every option that is a number, and what is in files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap::Arg;

use crate::common::calls::{call, commands, documented, takes_path};
use crate::common::{clearlane, page};
use crate::kinds::KINDS;
use crate::port::Port;

/// Options that many commands share: each is tried in one of them.
const SHARED: [&str; 4] = ["models", "register", "key-file", "witness"];

/// What takes the place of a file.
const FILES: [(&str, &str); 4] =
    [("missing", "nowhere/missing"), ("empty", "empty"), ("a folder", "folder"), ("a letter", "letter")];

/// Arguments that name what is to be made: what is there already is written over, or is the folder that is asked for.
const MADE: [&str; 9] = ["out", "report", "keep", "templates-out", "det", "scores", "plot", "within", "dir"];

/// Commands whose file is to be made.
const MAKERS: [&str; 5] = ["register keygen", "claim keygen", "register backup", "register export", "records export"];

const NUMBERS: [(&str, &str); 4] =
    [("no number", "nan"), ("negative", "-1"), ("beyond all bounds", "1e999"), ("a word", "some")];

/// A good file for an argument that is not the one tried.
fn good(arg: &Arg) -> OsString {
    let name = match arg.get_id().as_str() {
        "register" | "path" => "port.register",
        "key_file" => "port.key",
        "policy" => "policy.toml",
        "pictures" | "picture" | "a" => "face.jpg",
        "b" => "live.jpg",
        "queue" => "queue.txt",
        "issuer" | "claim_issuer" => "issuer.pem",
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
    let words = first.or_else(|| told.lines().next().map(str::to_owned)).unwrap_or_default();
    let words = help.map_or(words.clone(), |help| format!("{words} — {help}"));
    (code, words.replace(&folder.display().to_string(), "DIR"))
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
}

impl Table {
    fn new() -> Self {
        let rows = vec![["input", "command", "exit", "it says"].map(str::to_owned).to_vec()];
        Self { port: Port::new(), documented: documented(), rows }
    }

    /// Tries a call, which is refused, and names what was wrong.
    fn refused(&mut self, input: String, words: &[OsString], folder: &Path, names: &[&str]) {
        let (code, said) = answer(words, folder);
        let what = format!("{input}, {}: {code}, {said}", shown(words));
        assert!(self.documented.contains(&code) && code != 0, "{what}");
        assert!(said.len() > 10, "{what}");
        assert!(names.is_empty() || names.iter().any(|name| said.contains(name)), "it does not say where: {what}");
        self.rows.push(vec![input, shown(words), code.to_string(), said]);
    }
}

#[test]
fn whatever_is_wrong_on_the_command_line_gets_what_the_page_says() {
    let mut table = Table::new();
    let mut once = BTreeSet::new();
    for (words, command) in commands() {
        let name = words.join(" ");
        for arg in command.get_arguments() {
            let id = arg.get_long().unwrap_or(arg.get_id().as_str());
            if SHARED.contains(&id) && !(once.insert(id.to_owned()) && name != "bench search") {
                continue;
            }
            let made = MADE.contains(&id) || MAKERS.contains(&name.as_str()) && id == "file";
            let as_word = arg.get_long().map_or(id.to_owned(), |long| format!("--{long}"));
            if takes_path(arg) {
                for (what, value) in FILES {
                    if made && what != "missing" {
                        continue;
                    }
                    let folder = table.port.copy();
                    let mut words = call(&words, &command, arg, value.as_ref(), good);
                    let keyed = command.get_arguments().any(|arg| arg.get_id() == "key_file");
                    if keyed
                        && !words.iter().any(|word| word == "--key-file")
                        && words.iter().any(|word| word == "--register")
                    {
                        words.extend(["--key-file", "port.key"].map(OsString::from));
                    }
                    table.refused(format!("{name} {as_word}: {what}"), &words, folder.path(), &[value, "--key-file"]);
                }
            }
            let number = arg.get_value_names().and_then(|names| names.first()).is_some_and(|name| {
                ["N", "RATE", "SCORE", "SHARE", "SECONDS", "DAYS", "PIXELS", "SIZE", "TIME", "TIMES"]
                    .contains(&name.as_str())
            });
            if number && arg.get_long().is_some() && once.insert(id.to_owned()) {
                for (what, value) in NUMBERS {
                    let folder = table.port.copy();
                    let words = call(&words, &command, arg, value.as_ref(), good);
                    table.refused(format!("{name} {as_word}: {what}"), &words, folder.path(), &[&as_word, value]);
                }
            }
        }
    }
    for kind in KINDS {
        let folder = table.port.copy();
        (kind.spoil)(folder.path());
        let words: Vec<OsString> = kind.words.split(' ').map(OsString::from).collect();
        table.refused(kind.input.to_owned(), &words, folder.path(), &[kind.names]);
    }
    assert!(table.rows.len() > 120, "{}", table.rows.len());
    page::hold("docs/bad-inputs.md", "Command line", &table.rows);
}
