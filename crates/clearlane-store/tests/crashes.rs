//! Nothing acknowledged is lost, and nothing else is kept: through `kill -9` and on a full disk.
//!
//! A program of its own, since it runs itself as the process that is killed. `CLEARLANE_KILLS` sets how often (12).
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

use clearlane_store::{Enrolment, Erasure, Keyring, RecordQuery, Register, StoreError};
use clearlane_template::{ModelId, SubjectId};
use support::{Random, key, model, passage, person, template, template_of};

fn main() {
    match env::var("CLEARLANE_CRASH_CHILD").as_deref() {
        Ok("work") => work(&path_from_env(), env::var("CLEARLANE_CRASH_SEED").unwrap().parse().unwrap()),
        Ok("fill") => fill(&path_from_env()),
        _ => {
            what_was_acknowledged_survives_kill_9_and_nothing_else_is_there();
            a_full_disk_is_told_and_loses_nothing();
        }
    }
}

fn path_from_env() -> PathBuf {
    env::var_os("CLEARLANE_CRASH_PATH").unwrap().into()
}

fn child(mode: &str, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env("CLEARLANE_CRASH_CHILD", mode).env("CLEARLANE_CRASH_PATH", path).stdout(Stdio::piped());
    command
}

fn ring() -> Keyring {
    (2..=255).fold(Keyring::new(key(1)), |ring, byte| ring.with_older(key(byte)))
}

fn next_model() -> ModelId {
    ModelId::digest([b"the next model".as_slice()])
}

/// What the register should hold, by what its writers said.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Known {
    /// Enrolled subjects: their number, and how many templates they have of each model.
    people: BTreeMap<u64, (usize, usize)>,
    records: u64,
    claims: BTreeSet<u64>,
}

impl Known {
    /// The state after one line of what a writer does.
    fn after(mut self, line: &str) -> Self {
        let (what, number) = line.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        match what {
            "enrol" => _ = self.people.insert(number, (1, 0)),
            "enrol-ten" => self.people.extend((number..number + 10).map(|number| (number, (1, 0)))),
            "embed" => self.people.get_mut(&number).unwrap().1 += 1,
            "revoke" => _ = self.people.remove(&number),
            "record" => self.records += 1,
            "claim" => _ = self.claims.insert(number),
            "rekey" => {}
            other => panic!("{other}"),
        }
        self
    }

    /// What the register holds, every template compared with what it was made from.
    fn read(register: &Register) -> Self {
        let mut known = Self::default();
        let turns = [model(), next_model()].map(|model| register.turn(model).ok());
        for subject in register.subjects() {
            let subject = subject.unwrap();
            let number: u64 = subject.key.strip_prefix("person-").unwrap().parse().unwrap();
            let counts = turns.each_ref().map(|turn| {
                let Some(turn) = turn else { return 0 };
                let stored = register.templates(subject.id, turn.model()).unwrap();
                for stored in &stored {
                    let dimension = stored.template.dimension();
                    let original = turn.apply(&template_of(turn.model(), number, dimension)).unwrap();
                    assert!(original.score(&stored.template).unwrap() > 0.999_99);
                }
                stored.len()
            });
            known.people.insert(number, (counts[0], counts[1]));
        }
        known.records = register.records(RecordQuery::default()).map(|record| record.unwrap().seq).max().unwrap_or(0);
        known
    }
}

fn what_was_acknowledged_survives_kill_9_and_nothing_else_is_there() {
    let kills: u64 = env::var("CLEARLANE_KILLS").ok().map_or(12, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.register");
    drop(Register::create(&path, ring()).unwrap());
    let mut random = Random(kills);
    let mut known = Known::default();
    let (mut acknowledged, mut in_flight) = (0, 0);
    for round in 0..kills {
        let mut process = child("work", &path).env("CLEARLANE_CRASH_SEED", round.to_string()).spawn().unwrap();
        let (done, begun) = kill_after(&mut process, Duration::from_millis(20 + random.below(180)));
        acknowledged += done.len();
        known = done.iter().fold(known, |known, line| known.after(line));

        let register = Register::open(&path, ring()).unwrap();
        let report = register.check(|_, _| ()).unwrap();
        assert!(report.is_sound(), "round {round}: {:?}", report.problems);
        let mut found = Known::read(&register);
        found.claims.clone_from(&known.claims);
        if let Some(begun) = begun
            && found != known
        {
            // What was begun and not acknowledged is there whole or not at all.
            known = known.after(&begun);
            in_flight += 1;
        }
        found.claims.clone_from(&known.claims);
        assert_eq!(found, known, "round {round}");
        for &claim in &known.claims {
            assert!(!register.spend_claim(nonce(claim), jiff::Timestamp::MAX).unwrap(), "claim {claim} was forgotten");
        }
    }
    assert!(acknowledged > 0, "no writer got anything done");
    println!(
        "test {kills} kills, {acknowledged} operations acknowledged, {in_flight} kept unacknowledged, none lost ... ok"
    );
}

/// Kills a writer so long after its first word. Returns what it acknowledged, and what it had begun then.
fn kill_after(process: &mut Child, time: Duration) -> (Vec<String>, Option<String>) {
    let stdout = process.stdout.take().unwrap();
    let (first, awaited) = mpsc::channel();
    let reader = thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map(Result::unwrap);
        lines.inspect(|_| _ = first.send(())).collect::<Vec<_>>()
    });
    awaited.recv().unwrap();
    thread::sleep(time);
    process.kill().unwrap();
    assert!(!process.wait().unwrap().success(), "the writer ended by itself");
    let (mut done, mut begun) = (Vec::new(), None);
    for line in reader.join().unwrap() {
        match line.split_once(": ") {
            Some(("begin", what)) => begun = Some(what.to_owned()),
            Some(("done", _)) => done.extend(begun.take()),
            // The line itself was cut off.
            _ => {}
        }
    }
    (done, begun)
}

/// The writer: does this and that for ever, and says each thing before and after.
fn work(path: &Path, seed: u64) {
    let register = Register::open(path, ring()).unwrap();
    let mut random = Random(seed);
    let mut people: Vec<(u64, SubjectId)> = register
        .subjects()
        .map(|subject| subject.map(|subject| (subject.key["person-".len()..].parse().unwrap(), subject.id)).unwrap())
        .collect();
    let mut next = 1_000_000 * (seed + 1);
    let mut records = register.last_record(&RecordQuery::default()).unwrap().map_or(0, |record| record.seq);
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
    };
    if register.stats().unwrap().keys.len() > 1 {
        say("begin: rekey 0".to_owned());
        let current = register.stats().unwrap().keys.last().unwrap().id;
        let current = (1..=255).map(key).find(|key| key.id() == current).unwrap();
        register.rekey(&current, |_, _| ()).unwrap();
        say("done: rekey".to_owned());
    }
    loop {
        let chosen = (!people.is_empty()).then(|| random.below(people.len() as u64) as usize);
        match (random.below(12), chosen) {
            (0..4, _) => {
                say(format!("begin: enrol {next}"));
                people.push((next, register.enrol(&person(next)).unwrap().0));
                next += 1;
            }
            (4, _) => {
                say(format!("begin: enrol-ten {next}"));
                let ten: Vec<Enrolment> = (next..next + 10).map(person).collect();
                let results = register.enrol_all(&ten).unwrap().into_iter();
                people.extend(results.zip(next..).map(|(result, number)| (number, result.unwrap().0)));
                next += 10;
            }
            (5 | 6, Some(chosen)) => {
                let (number, id) = people.swap_remove(chosen);
                say(format!("begin: revoke {number}"));
                assert_eq!(register.revoke(id, "chosen").unwrap(), Erasure::Complete);
            }
            (7, Some(chosen)) => {
                let (number, id) = people[chosen];
                say(format!("begin: embed {number}"));
                register.add_templates(id, &[template_of(next_model(), number, 32).into()]).unwrap();
            }
            (8, _) if random.below(2) == 0 => {
                let used = register.stats().unwrap().keys[0].id;
                let other = loop {
                    let key = key(1 + random.below(255) as u8);
                    if key.id() != used {
                        break key;
                    }
                };
                say("begin: rekey 0".to_owned());
                register.rekey(&other, |_, _| ()).unwrap();
            }
            (9, _) => {
                let claim = random.next() >> 1;
                say(format!("begin: claim {claim}"));
                assert!(register.spend_claim(nonce(claim), jiff::Timestamp::MAX).unwrap());
            }
            _ => {
                records += 1;
                say(format!("begin: record {records}"));
                assert_eq!(register.append_record(&passage(records as i64)).unwrap(), records);
            }
        }
        say("done: it".to_owned());
    }
}

fn nonce(claim: u64) -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&claim.to_le_bytes());
    nonce
}

/// Runs [`fill`] on a file system of 4 MiB, in a mount namespace of its own.
fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=4m clearlane \"$CLEARLANE_CRASH_PATH\" && touch \"$CLEARLANE_CRASH_PATH/mounted\" && exec \"$0\"";
    let run = |flags: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(flags).args(["sh", "-c", mount]).arg(env::current_exe().unwrap());
        command.env("CLEARLANE_CRASH_CHILD", "fill").env("CLEARLANE_CRASH_PATH", folder.path());
        command.stderr(Stdio::piped()).output()
    };
    for flags in [["--mount", "--propagation=private"].as_slice(), &["--mount", "--user", "--map-root-user"]] {
        if let Ok(output) = run(flags) {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if said.contains("on a full disk") {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                print!("{said}");
                return;
            }
        }
    }
    println!("test a full disk is told and loses nothing ... skipped: no small file system can be mounted here");
}

/// Enrols until the disk is full, and then goes on once there is room.
fn fill(folder: &Path) {
    assert!(folder.join("mounted").exists());
    println!("test on a full disk,");
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let path = folder.join("port.register");
    let register = Register::create(&path, ring()).unwrap();
    let mut enrolled = BTreeSet::new();
    let error = loop {
        let number = enrolled.len() as u64;
        match register.enrol(&Enrolment::new(format!("person-{number}")).with_template(template(number))) {
            Ok(_) => enrolled.insert(number),
            Err(error) => break error,
        };
    };
    assert!(matches!(&error, StoreError::DiskFull { path: full } if *full == path), "{error:?}");
    let keys = |register: &Register| -> BTreeSet<u64> {
        register.subjects().map(|subject| subject.unwrap().key["person-".len()..].parse().unwrap()).collect()
    };
    assert_eq!(keys(&register), enrolled);
    assert!(matches!(register.append_record(&passage(1)), Err(StoreError::DiskFull { .. }) | Ok(1)));
    assert!(matches!(register.backup(folder.join("copy"), |_, _| ()), Err(StoreError::DiskFull { .. })));
    assert!(matches!(Register::create(folder.join("other"), ring()), Err(StoreError::DiskFull { .. })));
    assert_eq!(fs::read_dir(folder).unwrap().filter(|file| file.as_ref().unwrap().path().ends_with("copy")).count(), 0);
    // Opened on the full disk, by another process as it were: all is there.
    let again = Register::open(&path, ring()).unwrap();
    assert_eq!(keys(&again), enrolled);
    drop((register, again));
    fs::remove_file(ballast).unwrap();
    let register = Register::open(&path, ring()).unwrap();
    assert_eq!(keys(&register), enrolled);
    register.enrol(&person(999_999)).unwrap();
    assert!(register.check(|_, _| ()).unwrap().is_sound());
    println!("{} subjects are enrolled and kept, and the next once there is room ... ok", enrolled.len());
}
