//! Nothing acknowledged is lost, and nothing else is kept: through `kill -9` and on a full disk.
//!
//! A program of its own, since it runs itself as the process that is killed. `CLEARLANE_KILLS` sets how often (160, a
//! quarter each at work on enrolment, revocation, a change of keys and a change of models; 40 more kills of a lane at work
//! are in the tests of `clearlane`).
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

use clearlane_store::{Enrolment, Erasure, Keyring, NewTemplate, RecordQuery, Register, Result, StoreError};
use clearlane_template::{ModelId, SubjectId};
use support::{Random, key, model, passage, person, template_of};

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

/// What a writer does most of the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Work {
    Enrol,
    Revoke,
    Rekey,
    Reembed,
    /// What a lane writes: crossing records and spent claims.
    Pass,
}

impl Work {
    const KILLED: [Self; 4] = [Self::Enrol, Self::Revoke, Self::Rekey, Self::Reembed];

    /// Mostly what the round is about, so that the kill comes in the middle of it.
    fn choose(seed: u64, random: &mut Random) -> Self {
        let all = [Self::Enrol, Self::Revoke, Self::Rekey, Self::Reembed, Self::Pass];
        if random.below(4) > 0 { Self::KILLED[(seed % 4) as usize] } else { all[random.below(5) as usize] }
    }
}

/// So many people a register has at most here: what takes the time is the kills.
const CROWD: usize = 200;

/// What the register should hold, by what its writers said.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Known {
    /// Enrolled subjects: their number, and how many templates they have of each model.
    people: BTreeMap<u64, (usize, usize)>,
    records: u64,
    claims: BTreeSet<u64>,
}

impl Known {
    /// The state after one line of what a writer does: a word, and the numbers that it is about.
    fn after(mut self, line: &str) -> Self {
        let mut words = line.split(' ');
        let what = words.next().unwrap();
        for number in words.map(|number| number.parse().unwrap()) {
            match what {
                "enrol" => _ = self.people.insert(number, (1, 0)),
                "reembed" => self.people.get_mut(&number).unwrap().1 = 1,
                "remove-model" => self.people.values_mut().for_each(|counts| counts.1 = 0),
                "revoke" => _ = self.people.remove(&number),
                "record" => self.records += 1,
                "claim" => _ = self.claims.insert(number),
                other => assert_eq!(other, "rekey"),
            }
        }
        self
    }

    /// What the register holds, every template compared with what it was made from.
    fn read(register: &Register) -> Self {
        let mut known = Self::default();
        let protections = [model(), next_model()].map(|model| register.protection(model).ok());
        for subject in register.subjects() {
            let subject = subject.unwrap();
            let number = number(&subject.key);
            let counts = protections.each_ref().map(|protection| {
                let Some(protection) = protection else { return 0 };
                let stored = register.templates(subject.id, protection.model()).unwrap();
                for stored in &stored {
                    let dimension = stored.template.dimension();
                    let original = protection.apply(&template_of(protection.model(), number, dimension)).unwrap();
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
    let kills: u64 = env::var("CLEARLANE_KILLS").ok().map_or(160, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.register");
    drop(Register::create(&path, ring()).unwrap());
    let mut random = Random(kills);
    let mut known = Known::default();
    let (mut acknowledged, mut kept) = (0, 0);
    let mut cut: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..kills {
        let mut process = child("work", &path).env("CLEARLANE_CRASH_SEED", round.to_string()).spawn().unwrap();
        let words = 1 + random.below(12) as usize;
        let (done, begun) = kill_after(&mut process, words, Duration::from_micros(random.below(10_000)));
        acknowledged += done.len();
        known = done.iter().fold(known, |known, line| known.after(line));

        let register = Register::open(&path, ring()).unwrap();
        let report = register.check(|_, _| ()).unwrap();
        assert!(report.is_sound(), "round {round}: {:?}", report.problems);
        let mut found = Known::read(&register);
        found.claims.clone_from(&known.claims);
        if let Some(begun) = begun {
            *cut.entry(begun.split(' ').next().unwrap().to_owned()).or_default() += 1;
            // What was begun and not acknowledged is there whole or not at all.
            if found != known {
                known = known.after(&begun);
                kept += 1;
            }
        }
        found.claims.clone_from(&known.claims);
        assert_eq!(found, known, "round {round}");
        for &claim in &known.claims {
            assert!(!register.spend_claim(nonce(claim), jiff::Timestamp::MAX).unwrap(), "claim {claim} was forgotten");
        }
    }
    assert!(acknowledged > kills as usize, "the writers got little done");
    println!(
        "test {kills} kills, in the middle of {cut:?}; {acknowledged} operations acknowledged and none lost, {kept} kept whole unacknowledged ... ok"
    );
}

/// Kills a writer so long after so many words of it. Returns what it acknowledged, and what it had begun then.
fn kill_after(process: &mut Child, words: usize, time: Duration) -> (Vec<String>, Option<String>) {
    let stdout = process.stdout.take().unwrap();
    let (heard, awaited) = mpsc::channel();
    let reader = thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map(Result::unwrap);
        lines.inspect(|_| _ = heard.send(())).collect::<Vec<_>>()
    });
    assert_eq!(awaited.iter().take(words).count(), words, "the writer ended by itself");
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

/// The writer: does one thing most of the time and others now and then, for ever, and says each before and after.
fn work(path: &Path, seed: u64) {
    let register = Register::open(path, ring()).unwrap();
    let mut random = Random(seed);
    let mut people: Vec<(u64, SubjectId)> =
        register.subjects().map(|subject| subject.map(|subject| (number(&subject.key), subject.id)).unwrap()).collect();
    let mut next = 1_000_000 * (seed + 1);
    let mut records = register.last_record(&RecordQuery::default()).unwrap().map_or(0, |record| record.seq);
    let keys = register.stats().unwrap().keys;
    if keys.len() > 1 {
        // A change of keys that was cut short: the same key goes on with it.
        let half_way = (1..=255).map(key).find(|key| Some(key.id()) == keys.last().map(|key| key.id)).unwrap();
        say("begin: rekey 0");
        register.rekey(&half_way, |_, _| ()).unwrap();
        say("done: it");
    }
    loop {
        let mut work = Work::choose(seed, &mut random);
        if matches!(work, Work::Revoke | Work::Reembed) && people.is_empty() {
            work = Work::Enrol;
        } else if work == Work::Enrol && people.len() >= CROWD {
            work = Work::Revoke;
        }
        match work {
            Work::Enrol => {
                let count = if random.below(3) == 0 { 10 } else { 1 };
                let new: Vec<Enrolment> = (next..next + count).map(person).collect();
                say(&format!("begin: enrol {}", listed(next..next + count)));
                let enrolled = match &new[..] {
                    [one] => vec![register.enrol(one)],
                    all => register.enrol_all(all).unwrap(),
                };
                people.extend(enrolled.into_iter().zip(next..).map(|(result, number)| (number, result.unwrap().0)));
                next += count;
            }
            Work::Revoke => {
                let count = (1 + random.below(3) as usize).min(people.len());
                let gone: Vec<_> =
                    (0..count).map(|_| people.swap_remove(random.below(people.len() as u64) as usize)).collect();
                say(&format!("begin: revoke {}", listed(gone.iter().map(|(number, _)| *number))));
                let gone: Vec<SubjectId> = gone.iter().map(|(_, id)| *id).collect();
                assert_eq!(register.revoke_all(&gone, "chosen").unwrap(), Erasure::Complete);
            }
            Work::Rekey => {
                let used = register.stats().unwrap().keys[0].id;
                let other = loop {
                    let key = key(1 + random.below(255) as u8);
                    if key.id() != used {
                        break key;
                    }
                };
                say("begin: rekey 0");
                register.rekey(&other, |_, _| ()).unwrap();
            }
            Work::Reembed => reembed(&register, &people),
            Work::Pass if random.below(4) == 0 => {
                let claim = random.next() >> 1;
                say(&format!("begin: claim {claim}"));
                assert!(register.spend_claim(nonce(claim), jiff::Timestamp::MAX).unwrap());
            }
            Work::Pass => {
                records += 1;
                say(&format!("begin: record {records}"));
                assert_eq!(register.append_record(&passage(records as i64)).unwrap(), records);
            }
        }
        say("done: it");
    }
}

/// As `register reembed` goes: some of those who have no template of the new model get one. Once nobody is left, all of
/// that model's templates go, and it begins again.
fn reembed(register: &Register, people: &[(u64, SubjectId)]) {
    let missing = register.without_template(next_model(), SubjectId(0), 8).unwrap();
    if missing.is_empty() {
        say("begin: remove-model 0");
        assert_eq!(register.remove_model(next_model()).unwrap().1, Erasure::Complete);
        return;
    }
    let number = |id: &SubjectId| people.iter().find(|(_, known)| known == id).unwrap().0;
    say(&format!("begin: reembed {}", listed(missing.iter().map(number))));
    let new = |id: &SubjectId| (*id, vec![NewTemplate::from(template_of(next_model(), number(id), 32))]);
    let new: Vec<_> = missing.iter().map(new).collect();
    let added = register.add_missing_templates(next_model(), &new).unwrap();
    assert!(added.into_iter().all(|added| added.is_ok_and(|added| added.len() == 1)));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

fn listed(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}

/// The number of [`person`].
fn number(key: &str) -> u64 {
    key.strip_prefix("person-").unwrap().parse().unwrap()
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

/// Enrols until the disk is full, tries all else there, and goes on once there is room.
fn fill(folder: &Path) {
    assert!(folder.join("mounted").exists());
    println!("test on a full disk,");
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let path = folder.join("port.register");
    let register = Register::create(&path, ring()).unwrap();
    let mut known = Known::default();
    let mut ids = Vec::new();
    let error = loop {
        let number = ids.len() as u64;
        match register.enrol(&person(number)) {
            Ok((id, _)) => ids.push(id),
            Err(error) => break error,
        }
        known = known.after(&format!("enrol {number}"));
    };
    assert!(matches!(&error, StoreError::DiskFull { path: full } if *full == path), "{error:?}");
    assert_eq!(Known::read(&register), known);

    // Each is done, or told that there is no room and not done at all.
    let mut refused = 0;
    let mut tried = |line: &str, result: Result<()>| match result {
        Ok(()) => known = std::mem::take(&mut known).after(line),
        Err(StoreError::DiskFull { .. }) => refused += 1,
        Err(other) => panic!("{line}: {other:?}"),
    };
    for (number, &id) in (0_u64..).zip(&ids) {
        let new = (id, vec![NewTemplate::from(template_of(next_model(), number, 32))]);
        let reembedded = register.add_missing_templates(next_model(), &[new]).map(|added| assert!(added[0].is_ok()));
        tried(&format!("reembed {number}"), reembedded);
        tried(&format!("record {number}"), register.append_record(&passage(number as i64)).map(drop));
        tried(&format!("claim {number}"), register.spend_claim(nonce(number), jiff::Timestamp::MAX).map(drop));
        if number % 8 == 0 {
            tried(&format!("revoke {number}"), register.revoke(id, "on a full disk").map(drop));
        }
    }
    let rekeyed = register.rekey(&key(2), |_, _| ());
    assert!(matches!(rekeyed, Err(StoreError::DiskFull { .. })), "{rekeyed:?}");
    assert!(refused > 0, "the disk was not full");
    assert!(matches!(register.backup(folder.join("copy"), |_, _| ()), Err(StoreError::DiskFull { .. })));
    assert!(matches!(Register::create(folder.join("other"), ring()), Err(StoreError::DiskFull { .. })));
    assert_eq!(fs::read_dir(folder).unwrap().filter(|file| file.as_ref().unwrap().path().ends_with("copy")).count(), 0);

    // Opened on the full disk, by another process as it were, and again once there is room: all is there.
    let holds = |register: &Register| {
        let found = Known::read(register);
        assert_eq!((found.people, found.records), (known.people.clone(), known.records));
    };
    holds(&Register::open(&path, ring()).unwrap());
    drop(register);
    fs::remove_file(ballast).unwrap();
    let register = Register::open(&path, ring()).unwrap();
    holds(&register);
    register.rekey(&key(2), |_, _| ()).unwrap();
    register.enrol(&person(999_999)).unwrap();
    let report = register.check(|_, _| ()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    for &claim in &known.claims {
        assert!(!register.spend_claim(nonce(claim), jiff::Timestamp::MAX).unwrap(), "claim {claim} was forgotten");
    }
    println!(
        "{} subjects and {} records are kept, {refused} operations were told, and all goes on once there is room ... ok",
        known.people.len(),
        known.records
    );
}
