//! Passages while another process changes the register: `cargo run --release -p clearlane-simulate --example contested -- FOLDER
//! [PASSAGES]`.
//!
//! Four lanes decide on passages of synthetic templates (10,000) while a second process revokes subjects, lets enrolments expire,
//! withdraws consents, gives the register new keys and steps the lanes' clock back and forth. Both write down what they did
//! and when, as JSON Lines; `contested.py` beside this file reads these and the exported records, and says whether anybody was
//! admitted who should not have been.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clearlane::{Capture, Direction, Evidence, Policy, Port, References};
use clearlane_simulate::vectors::template;
use clearlane_simulate::{calibration, eligible, enrol};
use clearlane_store::{Enrolment, Format, Key, KeyFile, Keyring, RecordQuery, Register};
use clearlane_template::{ModelId, SubjectId, Template, TemplateError};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PEOPLE: u64 = 4_000;
const DIMENSION: usize = 128;
/// So short that some passages run out of it while the other process holds the register.
const BUDGET: Duration = Duration::from_millis(25);

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: contested FOLDER [PASSAGES]")?);
    match arguments.next().as_deref() {
        Some("changes") => changes(&folder),
        passages => lanes(&folder, passages.map_or(Ok(10_000), str::parse)?),
    }
}

fn lanes(folder: &Path, passages: u64) -> Outcome<()> {
    fs::create_dir_all(folder)?;
    write_keys(folder, &[&Key::random()?])?;
    fs::write(folder.join("clock"), "0")?;
    let register = Register::create(folder.join("port.register"), KeyFile::open(folder.join("keys"))?)?;
    let policy = Arc::new(Policy::from_toml(include_str!("../policies/shenzhen-bay-and-gongbei.toml"))?.face_only());
    let details = eligible(policy.opening());
    let person = |n: u64| Ok(Enrolment::new(format!("{n}")).with_details(details.clone()).with_template(face(n)?));
    enrol(&register, PEOPLE, person, |_| {})?;
    let references = Arc::new(References::load(Arc::new(register), model(), |_, _| {})?);
    references.check(|_, _| {})?;
    let calibration = calibration(model(), DIMENSION, policy.populations())?;
    let answers = Mutex::new(File::create(folder.join("answers.jsonl"))?);
    let (next, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut other = Command::new(std::env::current_exe()?).arg(folder).arg("changes").stdin(Stdio::piped()).spawn()?;
    let work = |number: usize| -> Outcome<()> {
        let clock_file = folder.join("clock");
        let offset =
            move || fs::read_to_string(&clock_file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let lane = Port::builder(references.clone())
            .policy(policy.clone())
            .port("shenzhen-bay".parse()?)
            .calibration(calibration.clone())
            .clock(move || Timestamp::now() + SignedDuration::from_secs(offset()))
            .build()?
            .lane(format!("lane {number}"), Direction::Exit)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= passages {
                return Ok(());
            }
            if at % 16 == 0 {
                references.refresh()?;
            }
            let traveller = StdRng::seed_from_u64(at).random_range(0..PEOPLE);
            let capture = Capture::new(face(traveller)?, Some(1.0));
            let (began, started) = (microseconds(), std::time::Instant::now());
            let passage = lane.pass_capture(&capture, &[] as &[Evidence], Some(BUDGET));
            let took = started.elapsed().as_micros() as u64;
            let subject = passage.comparison.map(|comparison| comparison.subject);
            let reasons: Vec<_> = passage.decision.reasons().iter().map(clearlane::Reason::code).collect();
            let line = json!({
                "began_us": began, "took_us": took, "budget_us": BUDGET.as_micros() as u64, "record": passage.record,
                "admitted": passage.decision.is_admission(), "subject": subject, "reasons": reasons,
            });
            writeln!(answers.lock().map_err(|_| "poisoned")?, "{line}")?;
            // Travellers come one after another, and leave the other process its turn.
            thread::sleep(Duration::from_micros(StdRng::seed_from_u64(!at).random_range(0..10_000)));
        }
    };
    let worked = thread::scope(|scope| {
        let threads: Vec<_> = (1..=4).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a lane panicked")?)
    });
    done.store(true, Ordering::Release);
    drop(other.stdin.take());
    other.wait()?;
    worked?;
    references.refresh()?;
    let report = references.check(|_, _| {})?;
    println!("{} records; sound: {}", report.records, report.is_sound());
    let mut records = File::create(folder.join("records.jsonl"))?;
    references.register().export_records(&mut records, Format::JsonLines, RecordQuery::default(), |_| {})?;
    Ok(())
}

/// The other process: changes until its standard input ends.
fn changes(folder: &Path) -> Outcome<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&stop);
    thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        ended.store(true, Ordering::Release);
    });
    let mut log = File::create(folder.join("changes.jsonl"))?;
    let mut key = Keyring::from_file(folder.join("keys"))?.current().ok_or("no key")?.clone();
    let register = Register::open(folder.join("port.register"), KeyFile::open(folder.join("keys"))?)?;
    let mut random = StdRng::seed_from_u64(7);
    let mut round = 0_u64;
    while !stop.load(Ordering::Acquire) {
        round += 1;
        let subject = SubjectId(random.random_range(1..=PEOPLE));
        let enrolled = register.subject_by_id(subject)?.filter(|subject| subject.revoked.is_none());
        let what = match (round % 16, enrolled) {
            (0, _) if round.is_multiple_of(160) => {
                let new = Key::random()?;
                write_keys(folder, &[&new, &key])?;
                register.rekey(&new, |_, _| {})?;
                key = new;
                "rekey"
            }
            (8, _) => {
                let step = [0, 0, -30, -300, -86_400 * 40, 86_400 * 400][random.random_range(0..6)];
                fs::write(folder.join("clock"), step.to_string())?;
                thread::sleep(Duration::from_millis(20));
                // Set right again, so that most passages are decided on.
                fs::write(folder.join("clock"), "0")?;
                "clock"
            }
            (1..=5, Some(_)) => {
                _ = register.revoke(subject, "contested")?;
                "revoke"
            }
            (6 | 7 | 9, Some(subject)) => {
                let mut details = subject.details;
                details.expires = Some(jiff::civil::date(2025, 1, 1));
                register.update(subject.id, details)?;
                "expire"
            }
            (10..=12, Some(_)) => {
                register.withdraw_consent(subject, Timestamp::UNIX_EPOCH)?;
                "withdraw"
            }
            _ => continue,
        };
        let acknowledged = microseconds();
        let newest = register.last_record(&RecordQuery::default())?.map_or(0, |record| record.seq);
        writeln!(
            log,
            "{}",
            json!({ "what": what, "subject": subject, "acknowledged_us": acknowledged, "newest_record": newest })
        )?;
        thread::sleep(Duration::from_micros(random.random_range(0..8000)));
    }
    Ok(())
}

fn write_keys(folder: &Path, keys: &[&Key]) -> Outcome<()> {
    let text = keys.iter().map(|key| key.to_hex().to_string()).collect::<Vec<_>>().join("\n");
    let new = folder.join("keys.new");
    fs::write(&new, text)?;
    #[cfg(unix)]
    fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(fs::rename(new, folder.join("keys"))?)
}

fn microseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

fn model() -> ModelId {
    ModelId::digest([b"contested".as_slice()])
}

fn face(traveller: u64) -> Result<Template, TemplateError> {
    template(model(), DIMENSION, traveller.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
