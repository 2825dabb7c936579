//! Nothing acknowledged is lost, and nothing else is there: on a disk that fails at any call, in a power cut at any call,
//! and on a disk that lies about what it has written.
//!
//! Every run does a list of operations on a register whose SQLite sits on a layer that fails on purpose (`vfs.rs`), over a
//! model of what a disk keeps (`disk.rs`). Afterwards a naive model of the register (`ledger.rs`) is compared with what is
//! found by whoever opens it next: what was acknowledged is there, what failed or was cut short is there whole or not at
//! all, all else is as it was, the check finds nothing wrong, and the register can be written to.
//!
//! `CLEARLANE_FAULTS` sets at how many calls of each scenario something goes wrong (40), or `all`; `CLEARLANE_FAULT_SEED`
//! draws others. A failure names its run.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, unreachable_pub)]

mod disk;
mod ledger;
#[path = "../support/mod.rs"]
mod support;
mod vfs;

use std::cell::RefCell;
use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::OnceLock;
use std::{env, fs, panic};

use clearlane_store::{Register, StoreError};
use disk::{Call, Disk, Honesty, Image, Plan, lay_out};
use ledger::{Found, Ledger, MAIN, Operation, State, perform};
use support::Random;

/// What is there, and what is done with it.
#[derive(Clone, Debug)]
struct Scenario {
    name: &'static str,
    start: Start,
    operations: Vec<Operation>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    Nothing,
    /// A register with some subjects and records.
    Filled,
    /// A register that an earlier version made.
    Stored(u32),
}

impl Start {
    fn files(self) -> (Image, Option<State>) {
        static FILLED: OnceLock<(Image, State)> = OnceLock::new();
        match self {
            Self::Nothing => (Image::new(), None),
            Self::Filled => {
                let (image, state) = FILLED.get_or_init(fill);
                (image.clone(), Some(state.clone()))
            }
            Self::Stored(version) => {
                let image = Image::from([(OsString::from(MAIN), ledger::stored_bytes(version))]);
                (image, Some(State::stored(version)))
            }
        }
    }
}

/// Makes a register on a disk that does not fail.
fn fill() -> (Image, State) {
    let folder = tempfile::tempdir().unwrap();
    let _disk = Disk::new(folder.path(), 0);
    let mut register = None;
    for operation in [Operation::Create, Operation::Enrol((20..26).collect()), Operation::Append((1..9).collect())] {
        perform(&mut register, folder.path(), &operation).unwrap();
    }
    let state = State::read(register.as_ref().unwrap()).unwrap();
    drop(register);
    let bytes = fs::read(folder.path().join(MAIN)).unwrap();
    (Image::from([(OsString::from(MAIN), bytes)]), state)
}

fn creation() -> Scenario {
    use Operation::{Append, Close, Create, Enrol, Read};
    let operations = vec![Create, Enrol(vec![1]), Append(vec![1]), Close, Read];
    Scenario { name: "creation", start: Start::Nothing, operations }
}

fn migration(version: u32) -> Scenario {
    use Operation::{Append, Check, Close, Enrol, Read};
    let operations = vec![Read, Append(vec![11]), Enrol(vec![12]), Close, Check, Read];
    Scenario { name: "migration", start: Start::Stored(version), operations }
}

fn change_of_keys() -> Scenario {
    use Operation::{Append, Close, Enrol, Read, Rekey, Revoke};
    let operations =
        vec![Rekey(2), Enrol(vec![1]), Revoke(vec![20, 21]), Close, Rekey(3), Append(vec![9]), Read, Rekey(4)];
    Scenario { name: "change of keys", start: Start::Filled, operations }
}

fn copies() -> Scenario {
    use Operation::{Append, Backup, Enrol, Restore};
    let operations = vec![
        Enrol(vec![1]),
        Backup("copy.register"),
        Append(vec![9, 10]),
        Restore { from: "copy.register", to: "restored.register" },
        Append(vec![11]),
    ];
    Scenario { name: "copies", start: Start::Filled, operations }
}

/// A bit of everything, more than a thousand calls of it.
fn a_long_day() -> Scenario {
    use Operation::{
        Append, Backup, Check, Close, Create, Enrol, Erase, Move, Read, Rekey, Restore, Revoke, Sweep, Withdraw,
    };
    let operations = vec![
        Create,
        Enrol(vec![1]),
        Enrol((2..8).collect()),
        Append(vec![1]),
        Read,
        Append((2..6).collect()),
        Withdraw(2),
        Move(3),
        Sweep,
        Append(vec![6]),
        Backup("copy.register"),
        Revoke(vec![4]),
        Close,
        Append(vec![7]),
        Rekey(2),
        Enrol(vec![11]),
        Restore { from: "copy.register", to: "restored.register" },
        Check,
        Read,
        Erase,
        Revoke(vec![1, 5]),
        Append(vec![8]),
        Append(vec![9]),
    ];
    Scenario { name: "a long day", start: Start::Nothing, operations }
}

fn scenarios() -> [Scenario; 6] {
    [creation(), migration(1), migration(2), change_of_keys(), copies(), a_long_day()]
}

/// The runs that failed. All are done before a test fails, so that one sees what they have in common.
#[derive(Default)]
struct Runs {
    done: u64,
    failed: Vec<String>,
}

impl Runs {
    fn attempt<T>(&mut self, name: String, run: impl FnOnce() -> T) -> Option<T> {
        self.done += 1;
        let result = panic::catch_unwind(AssertUnwindSafe(run));
        result.inspect_err(|_| self.failed.push(name)).ok()
    }

    fn all_passed(self) {
        assert!(self.failed.is_empty(), "{} of {} failed:\n{}", self.failed.len(), self.done, self.failed.join("\n"));
    }
}

/// What one run came to.
struct Outcome {
    calls: u64,
    /// The call that went wrong, if there were so many.
    fired: Option<Call>,
}

/// Does what a scenario says while the disk does what is planned, and compares what is there afterwards.
fn run(scenario: &Scenario, plan: Plan, seed: u64) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let (image, state) = scenario.start.files();
    lay_out(&image, folder.path());
    let disk = Disk::new(folder.path(), seed);
    disk.plan(plan);
    let mut ledger = Ledger::new(state);
    let mut register = None;
    let mut failures = 0;
    for operation in &scenario.operations {
        failures += u64::from(!step(operation, &mut register, &disk, &mut ledger));
        if *operation == Operation::Create && !disk.folder().join(MAIN).exists() {
            step(operation, &mut register, &disk, &mut ledger);
        }
        // Enough: each failure doubles what may be there.
        if disk.is_cut() || failures > 3 {
            break;
        }
    }
    let outcome = Outcome { calls: disk.calls(), fired: disk.fired() };
    // A power cut after an error finds what the error left.
    if outcome.fired.is_some() && Random(seed).below(2) == 0 {
        disk.cut();
    }
    disk.plan(Plan::Nothing);
    drop(register);
    if disk.is_cut() {
        recover(&ledger, &disk.remains(), seed);
    } else {
        ledger.verify(folder.path());
    }
    outcome
}

/// One operation, and what its caller is told: whether it was done.
fn step(operation: &Operation, register: &mut Option<Register>, disk: &Disk, ledger: &mut Ledger) -> bool {
    let result = match operation {
        Operation::Read => read(register, disk.folder()).map(|state| ledger.saw(&state)),
        other => perform(register, disk.folder(), other),
    };
    if disk.is_cut() {
        // What is told after a power cut, nobody hears.
        ledger.begun(operation);
        return false;
    }
    if let Err(error) = result {
        assert!(disk.fired().is_some(), "{operation:?}: {error:?}");
        // A change of keys goes step by step; of all else nothing is to be seen.
        if !matches!(operation, Operation::Rekey(_))
            && let Some(register) = register
            && let Ok(state) = State::read(register)
        {
            ledger.saw(&state);
        }
        ledger.begun(operation);
        return false;
    }
    ledger.done(operation);
    // What was written since lies where the remains of a failed operation were.
    if ledger.is_unsure()
        && operation.writes()
        && let Some(register) = register
        && let Ok(state) = State::read(register)
    {
        ledger.settle(state);
    }
    true
}

fn read(register: &mut Option<Register>, folder: &Path) -> Result<State, StoreError> {
    match register {
        Some(register) => State::read(register),
        none => State::read(none.insert(ledger::open(&folder.join(MAIN))?)),
    }
}

/// Opens what a power cut left, now and then with another power cut while it is put right.
fn recover(ledger: &Ledger, remains: &Image, seed: u64) {
    let mut random = Random(!seed);
    let folder = tempfile::tempdir().unwrap();
    lay_out(remains, folder.path());
    let disk = Disk::new(folder.path(), random.next());
    if random.below(4) > 0 {
        return ledger.verify(folder.path());
    }
    disk.plan(Plan::Cut { at: 1 + random.below(80) });
    drop(ledger::open(&folder.path().join(MAIN)));
    disk.cut();
    recover(ledger, &disk.remains(), random.next());
}

fn seed() -> u64 {
    env::var("CLEARLANE_FAULT_SEED").map_or(1, |seed| seed.parse().unwrap())
}

/// So many calls out of all, one from each stretch of the same length.
fn some_of(calls: u64, random: &mut Random) -> Vec<u64> {
    let wanted = match env::var("CLEARLANE_FAULTS").as_deref() {
        Ok("all") => calls,
        Ok(number) => number.parse().unwrap(),
        Err(_) => 40,
    };
    let wanted = wanted.min(calls);
    let edge = |place: u64| place * calls / wanted;
    (0..wanted).map(|place| 1 + edge(place) + random.below(edge(place + 1) - edge(place))).collect()
}

/// Runs scenarios with something going wrong at some of their calls.
fn at_some_calls(scenarios: [Scenario; 6], what: &str, wrong: impl Fn(&Scenario, u64, u64)) {
    let (mut runs, mut random) = (Runs::default(), Random(seed()));
    for scenario in scenarios {
        let calls = run(&scenario, Plan::Nothing, 0).calls;
        for at in some_of(calls, &mut random) {
            let seed = random.next();
            let name = format!("{}, {:?}, {what} at {at} of {calls} calls, seed {seed}", scenario.name, scenario.start);
            runs.attempt(name, || wrong(&scenario, at, seed));
        }
    }
    runs.all_passed();
}

#[test]
fn an_error_at_each_of_the_first_thousand_calls_loses_nothing_and_leaves_nothing_else() {
    let (mut runs, mut random) = (Runs::default(), Random(seed()));
    let scenario = a_long_day();
    for at in 1..=1000 {
        let seed = random.next();
        let outcome =
            runs.attempt(format!("an error at {at}, seed {seed}"), || run(&scenario, Plan::Error { at }, seed));
        assert!(outcome.is_none_or(|outcome| outcome.fired.is_some()), "there are fewer calls than {at}");
    }
    runs.all_passed();
}

#[test]
fn an_error_at_any_call_loses_nothing_and_leaves_nothing_else() {
    at_some_calls(scenarios(), "an error", |scenario, at, seed| _ = run(scenario, Plan::Error { at }, seed));
}

#[test]
fn a_disk_that_fails_for_good_loses_nothing_and_leaves_nothing_else() {
    at_some_calls(scenarios(), "errors", |scenario, from, seed| _ = run(scenario, Plan::Errors { from }, seed));
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_and_leaves_nothing_else() {
    at_some_calls(scenarios(), "a power cut", |scenario, at, seed| _ = run(scenario, Plan::Cut { at }, seed));
}

/// Such a disk makes no promise that a register could keep; what it takes back is the end, and all that is there is whole.
#[test]
fn a_disk_that_lies_and_keeps_the_order_leaves_the_register_as_it_was_at_some_time() {
    at_some_calls(scenarios(), "lies in order, a power cut", |scenario, at, seed| {
        let (remains, ledger) = lied_to(scenario, Honesty::LiesInOrder, at, seed);
        recover(&ledger, &remains, seed);
    });
}

/// Never a mixture of two times: the register's root is one value over all that it holds.
#[test]
fn a_disk_that_lies_and_keeps_no_order_leaves_the_register_as_it_was_at_some_time_or_it_is_refused() {
    let results = RefCell::new(Vec::new());
    at_some_calls(scenarios(), "lies, a power cut", |scenario, at, seed| {
        let (remains, ledger) = lied_to(scenario, Honesty::Lies, at, seed);
        let folder = tempfile::tempdir().unwrap();
        lay_out(&remains, folder.path());
        let _disk = Disk::new(folder.path(), 0);
        results.borrow_mut().push(ledger.found(folder.path()));
    });
    for found in [Found::Older, Found::Refused] {
        println!("{found:?}: {}", results.borrow().iter().filter(|result| **result == found).count());
    }
}

/// Does what a scenario says on a disk that lies, until the power goes. Returns what is left, and what may be.
fn lied_to(scenario: &Scenario, honesty: Honesty, at: u64, seed: u64) -> (Image, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let (image, state) = scenario.start.files();
    lay_out(&image, folder.path());
    let disk = Disk::new(folder.path(), seed);
    disk.sync_with(honesty);
    disk.plan(Plan::Cut { at });
    let mut ledger = Ledger::new(state);
    let mut register = None;
    for operation in &scenario.operations {
        step(operation, &mut register, &disk, &mut ledger);
        if disk.is_cut() {
            break;
        }
    }
    disk.cut();
    drop(register);
    (disk.remains(), ledger.at_some_time())
}
