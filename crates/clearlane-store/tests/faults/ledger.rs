//! What a register should hold, by what its callers were told: a naive model, and the comparison with the files.
//!
//! All that these tests know of the store's interface is here.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clearlane_store::{
    Consent, ConsentScope, Details, Document, DocumentKind, Enrolment, Keyring, RecordQuery, Register, Result,
    StoreError, SweepPlan,
};
use clearlane_template::SubjectId;
use jiff::Timestamp;
use jiff::civil::date;

use crate::support::{key, model, passage, template};

/// The register under test, in its folder.
pub const MAIN: &str = "port.register";

/// The newest key that an operation takes.
const KEYS: u8 = 9;

/// Something that a caller asks of a register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    Create,
    /// One subject by itself, or several in one transaction.
    Enrol(Vec<u64>),
    /// Crossing records: likewise.
    Append(Vec<i64>),
    Move(u64),
    Withdraw(u64),
    Revoke(Vec<u64>),
    Sweep,
    Rekey(u8),
    Erase,
    Check,
    Read,
    /// Closes the register; the next operation opens it again.
    Close,
    Backup(&'static str),
    Restore {
        from: &'static str,
        to: &'static str,
    },
}

impl Operation {
    /// Whether it surely writes to the register.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Enrol(_) | Self::Append(_))
    }
}

/// A subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// How many templates: the first is `template(n)` of person-n, the second `template(n + 10)`, and so on.
    pub templates: usize,
    pub place: String,
    pub withdrawn: bool,
}

/// All that a register holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    pub people: BTreeMap<u64, Person>,
    pub revoked: BTreeSet<u64>,
    pub records: Vec<i64>,
    pub key: u8,
}

impl State {
    pub fn empty() -> Self {
        Self { people: BTreeMap::new(), revoked: BTreeSet::new(), records: Vec::new(), key: 1 }
    }

    /// `tests/data/1.register` and `2.register`, as `tests/versions.rs` has them.
    pub fn stored(version: u32) -> Self {
        let person = |templates, place: &str| Person { templates, place: place.to_owned(), withdrawn: false };
        Self {
            people: BTreeMap::from([(1, person(2, "Shenzhen Bay, hall 2")), (3, person(1, ""))]),
            revoked: BTreeSet::from([2]),
            records: if version == 1 { vec![] } else { vec![1, 2, 3] },
            key: 1,
        }
    }

    /// The state after an operation that was done.
    fn after(mut self, operation: &Operation) -> Self {
        match operation {
            Operation::Enrol(people) => {
                let person = Person { templates: 1, place: FIRST_PLACE.to_owned(), withdrawn: false };
                self.people.extend(people.iter().map(|&number| (number, person.clone())));
            }
            Operation::Append(numbers) => self.records.extend(numbers),
            Operation::Move(number) => {
                if let Some(person) = self.people.get_mut(number) {
                    NEXT_PLACE.clone_into(&mut person.place);
                }
            }
            Operation::Withdraw(number) => {
                if let Some(person) = self.people.get_mut(number) {
                    person.withdrawn = true;
                }
            }
            Operation::Revoke(people) => {
                self.revoked.extend(people.iter().filter(|number| self.people.remove(number).is_some()));
            }
            Operation::Sweep => {
                self.revoked.extend(self.people.extract_if(.., |_, person| person.withdrawn).map(|(number, _)| number));
            }
            Operation::Rekey(byte) => self.key = *byte,
            _ => {}
        }
        self
    }

    /// What a register holds. Each template is compared with what it was made from.
    pub fn read(register: &Register) -> Result<Self> {
        let mut state = Self::empty();
        let protection = match register.protection(model()) {
            Err(StoreError::OtherModel { .. }) => None,
            protection => Some(protection?),
        };
        for subject in register.subjects() {
            let subject = subject?;
            let number = number(&subject.key);
            let templates = match &protection {
                Some(protection) => register.templates(subject.id, protection.model())?,
                None => Vec::new(),
            };
            for (seed, stored) in (number..).step_by(10).zip(&templates) {
                let original = protection.as_ref().unwrap().apply(&template(seed))?;
                assert!(original.score(&stored.template)? > 0.999_99, "a template of person {number} is another");
            }
            let withdrawn = subject.details.consent.is_some_and(|consent| consent.withdrawn.is_some());
            let place = subject.details.place.unwrap_or_default();
            state.people.insert(number, Person { templates: templates.len(), place, withdrawn });
        }
        for subject in register.revoked_subjects() {
            state.revoked.insert(number(&subject?.key));
        }
        for (record, seq) in register.records(RecordQuery::default()).zip(1..) {
            let record = record?;
            let number = (record.passage.time.as_second() - passage(0).time.as_second()) / 10;
            assert_eq!((record.seq, &record.passage), (seq, &passage(number)));
            state.records.push(number);
        }
        let newest = register.stats()?.keys.last().unwrap().id;
        state.key = (1..=KEYS).find(|&byte| key(byte).id() == newest).unwrap();
        Ok(state)
    }
}

const FIRST_PLACE: &str = "Shenzhen Bay, hall 2";
const NEXT_PLACE: &str = "Gongbei, hall 1";

pub fn ring() -> Keyring {
    (2..=KEYS).fold(Keyring::new(key(1)), |ring, byte| ring.with_older(key(byte)))
}

/// A stored register of an earlier version: one with a rollback journal, as `VACUUM INTO` leaves it.
pub fn stored_bytes(version: u32) -> Vec<u8> {
    fs::read(format!("{}/tests/data/{version}.register", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub fn open(path: &Path) -> Result<Register> {
    Register::open(path, ring())
}

fn number(key: &str) -> u64 {
    key.strip_prefix("person-").unwrap().parse().unwrap()
}

fn enrolment(register: &Register, number: u64) -> Result<Enrolment> {
    let kind = DocumentKind::Passport;
    let number_digest = register.number_digest(kind, &format!("C{number}"))?;
    let document = Document { kind, number_digest, valid_from: None, expires: date(2034, 1, 1), endorsements: vec![] };
    let consent = Consent {
        given: Timestamp::UNIX_EPOCH,
        scope: ConsentScope { face: true, fingerprint: true },
        withdrawn: None,
    };
    let details = Details {
        documents: vec![document],
        consent: Some(consent),
        place: Some(FIRST_PLACE.to_owned()),
        ..Details::default()
    };
    Ok(Enrolment::new(format!("person-{number}")).with_template(template(number)).with_details(details))
}

/// For each file of a register what it may hold; `None` is no file.
#[derive(Clone, Debug)]
pub struct Ledger {
    files: BTreeMap<&'static str, Vec<Option<State>>>,
    /// All that the register held at some time.
    history: Vec<Option<State>>,
    /// A change of keys was begun and not finished.
    between_keys: bool,
}

impl Ledger {
    pub fn new(main: Option<State>) -> Self {
        Self { files: BTreeMap::from([(MAIN, vec![main.clone()])]), history: vec![main], between_keys: false }
    }

    fn may_hold(&self, name: &str) -> Vec<Option<State>> {
        self.files.get(name).cloned().unwrap_or_else(|| vec![None])
    }

    /// The file that an operation changes, and what it may hold once the operation is done.
    fn outcome(&self, operation: &Operation) -> (&'static str, Vec<Option<State>>) {
        match operation {
            Operation::Create => (MAIN, vec![Some(State::empty())]),
            Operation::Backup(to) => (to, self.may_hold(MAIN)),
            Operation::Restore { from, to } => (to, self.may_hold(from)),
            other => {
                let states = self.may_hold(MAIN).into_iter();
                (MAIN, states.map(|state| state.map(|state| state.after(other))).collect())
            }
        }
    }

    /// An operation was acknowledged.
    pub fn done(&mut self, operation: &Operation) {
        let (name, states) = self.outcome(operation);
        self.note(name, states);
        self.between_keys &= !matches!(operation, Operation::Rekey(_));
    }

    /// An operation failed, or was cut short: all of it is there, or nothing.
    pub fn begun(&mut self, operation: &Operation) {
        let (name, states) = self.outcome(operation);
        let mut all = self.may_hold(name);
        for state in states {
            if !all.contains(&state) {
                all.push(state);
            }
        }
        self.note(name, all);
        self.between_keys |= matches!(operation, Operation::Rekey(_));
    }

    fn note(&mut self, name: &'static str, states: Vec<Option<State>>) {
        if name == MAIN {
            self.history.extend(states.iter().cloned());
        }
        self.files.insert(name, states);
    }

    /// What may be there on a disk that lied: of each file what it held at some time, or no file.
    pub fn at_some_time(&self) -> Self {
        let mut states = self.history.clone();
        states.push(None);
        let files = self.files.keys().map(|&name| (name, states.clone())).collect();
        Self { files, history: states, between_keys: true }
    }

    /// Looks at the register on a disk that lied: it holds what it may, or it is refused.
    pub fn found(&self, folder: &Path) -> Found {
        let path = folder.join(MAIN);
        if !path.exists() {
            assert!(self.files[MAIN].contains(&None), "it is lost");
            return Found::Older;
        }
        let look = || -> Result<_> {
            let register = open(&path)?;
            let report = register.check(|_, _| ())?;
            Ok((report.is_sound(), State::read(&register)?))
        };
        match look() {
            Ok((true, state)) => {
                self.saw(&state);
                Found::Older
            }
            _ => Found::Refused,
        }
    }

    /// Whether more than one state is possible.
    pub fn is_unsure(&self) -> bool {
        self.files[MAIN].len() > 1
    }

    /// The register was read, and holds this.
    pub fn saw(&self, state: &State) {
        let found = Some(state.clone());
        assert!(self.files[MAIN].contains(&found), "found {found:#?}\nexpected {:#?}", self.files[MAIN]);
    }

    /// No other state is possible any more.
    pub fn settle(&mut self, state: State) {
        self.saw(&state);
        self.files.insert(MAIN, vec![Some(state)]);
    }

    /// Looks at all files in a folder, as a process that comes later: they are sound, hold what they may hold and nothing
    /// else is there; and the register can be written to.
    pub fn verify(&self, folder: &Path) {
        for name in names(folder) {
            let known = self.files.keys().any(|known| name == *known || is_companion(&name, known));
            assert!(known || name.starts_with(".clearlane-"), "what is {name}?");
        }
        for (name, states) in &self.files {
            let path = folder.join(name);
            if !path.exists() {
                assert!(states.contains(&None), "{name} is lost");
                continue;
            }
            let register = open(&path).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let mut state = self.sound(name, &register);
            assert!(states.contains(&Some(state.clone())), "{name}: found {state:#?}\nexpected {states:#?}");
            if *name != MAIN {
                continue;
            }
            for operation in [Operation::Enrol(vec![900]), Operation::Append(vec![901]), Operation::Erase] {
                act(&register, folder, &operation).unwrap();
                state = state.after(&operation);
            }
            drop(register);
            let register = open(&path).unwrap();
            assert_eq!(self.sound(name, &register), state, "{name}, written to again");
        }
    }

    /// Checks a register and reads it. A change of keys that was cut short is brought to its end.
    fn sound(&self, name: &str, register: &Register) -> State {
        let report = register.check(|_, _| ()).unwrap();
        assert!(report.is_sound(), "{name}: {:?}", report.problems);
        let keys = register.stats().unwrap().keys;
        if keys.len() > 1 {
            assert!(self.between_keys || name != MAIN, "{name}: a finished change of keys is not finished");
            let newest = (1..=KEYS).map(key).find(|key| key.id() == keys.last().unwrap().id).unwrap();
            let done = register.rekey(&newest, |_, _| ()).unwrap();
            assert!(done.problems.is_empty(), "{name}: {:?}", done.problems);
        }
        State::read(register).unwrap()
    }
}

/// What became of a register on a disk that lied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// It is as it was at some time.
    Older,
    /// It is refused, as a whole or by the check.
    Refused,
}

/// Names in a folder.
fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn is_companion(name: &str, known: &str) -> bool {
    name.strip_prefix(known).is_some_and(|rest| ["-wal", "-shm", "-journal"].contains(&rest))
}

/// Does an operation, with the register that is open or is opened for it.
pub fn perform(register: &mut Option<Register>, folder: &Path, operation: &Operation) -> Result<()> {
    let main = folder.join(MAIN);
    match operation {
        Operation::Create => *register = Some(Register::create(main, ring())?),
        Operation::Close => *register = None,
        // Neither needs the register to be open.
        Operation::Restore { from, to } => {
            drop(Register::restore(folder.join(from), folder.join(to), ring(), |_, _| ())?);
        }
        other => {
            let register = match register {
                Some(register) => register,
                none => none.insert(open(&main)?),
            };
            act(register, folder, other)?;
        }
    }
    Ok(())
}

fn act(register: &Register, folder: &Path, operation: &Operation) -> Result<()> {
    let found = |number: u64| register.subject(&format!("person-{number}"));
    match operation {
        Operation::Enrol(people) => {
            if let [one] = people[..] {
                _ = register.enrol(&enrolment(register, one)?)?;
            } else {
                let people = people.iter().map(|&number| enrolment(register, number)).collect::<Result<Vec<_>>>()?;
                for enrolled in register.enrol_all(&people)? {
                    enrolled?;
                }
            }
        }
        Operation::Append(numbers) => match numbers[..] {
            [one] => _ = register.append_record(&passage(one))?,
            _ => _ = register.append_records(&numbers.iter().copied().map(passage).collect::<Vec<_>>())?,
        },
        Operation::Move(number) => {
            if let Some(subject) = found(*number)? {
                let mut details = subject.details;
                details.place = Some(NEXT_PLACE.to_owned());
                register.update(subject.id, details)?;
            }
        }
        Operation::Withdraw(number) => {
            if let Some(subject) = found(*number)? {
                register.withdraw_consent(subject.id, Timestamp::UNIX_EPOCH)?;
            }
        }
        Operation::Revoke(people) => {
            let ids = people.iter().map(|&number| Ok(found(number)?.map(|subject| subject.id)));
            let ids: Vec<SubjectId> = ids.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
            _ = register.revoke_all(&ids, "chosen")?;
        }
        Operation::Sweep => {
            let plan = SweepPlan {
                forget: Timestamp::UNIX_EPOCH,
                confirmed: true,
                ..SweepPlan::new(date(2025, 1, 1), Timestamp::now())
            };
            _ = register.sweep(&plan)?;
        }
        Operation::Rekey(byte) => {
            let done = register.rekey(&key(*byte), |_, _| ())?;
            assert!(done.problems.is_empty(), "{:?}", done.problems);
        }
        Operation::Erase => _ = register.erase()?,
        Operation::Check => {
            let report = register.check(|_, _| ())?;
            assert!(report.is_sound(), "{:?}", report.problems);
        }
        Operation::Backup(to) => register.backup(folder.join(to), |_, _| ())?,
        // The one is done by whoever compares it, the others without a register that is open.
        Operation::Read | Operation::Create | Operation::Close | Operation::Restore { .. } => unreachable!(),
    }
    Ok(())
}
