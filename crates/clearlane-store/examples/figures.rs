//! What a register costs: `cargo run --release -p clearlane-store --example figures -- FILE [COUNT] [DIMENSION]`.
//!
//! Makes a register of `COUNT` subjects (1,000,000) with one random template of `DIMENSION` values (512) each, or fills one
//! up that is there already, and prints how long opening, loading and the single operations take.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use clearlane_store::{Direction, Enrolment, Key, Keyring, NewRecord, Outcome, Register};
use clearlane_template::{ModelId, SubjectId, Template};
use jiff::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: figures FILE [COUNT] [DIMENSION]")?;
    let count: u64 = arguments.next().map_or(Ok(1_000_000), |count| count.parse())?;
    let dimension: usize = arguments.next().map_or(Ok(512), |dimension| dimension.parse())?;
    // A key for figures, not for people.
    let keys = Keyring::new(Key::from_bytes([7; 32]));
    let model = ModelId::digest([b"random".as_slice()]);
    let register = if Path::new(&path).exists() {
        Register::open(&path, keys.clone())?
    } else {
        Register::create(&path, keys.clone())?
    };
    fill(&register, model, count, dimension)?;
    drop(register);

    let start = Instant::now();
    let register = Register::open(&path, keys)?;
    println!("opened in {:.1?}", start.elapsed());
    // What a gallery does at least with each value: takes it over.
    let mut gallery: Vec<f32> = Vec::new();
    let start = Instant::now();
    register.load(model, |batch, total| {
        gallery.reserve_exact((total as usize * dimension).saturating_sub(gallery.capacity()));
        for stored in &batch {
            gallery.extend_from_slice(stored.template.as_slice());
        }
    })?;
    let taken = start.elapsed();
    let loaded = gallery.len() / dimension;
    let rate = loaded as f64 / taken.as_secs_f64();
    println!("loaded {loaded} templates in {taken:.2?} on {} threads: {rate:.0}/s", rayon::current_num_threads());

    let start = Instant::now();
    let report = register.check(|_, _| ())?;
    println!("checked, with {} problems, in {:.2?}", report.problems.len(), start.elapsed());

    let protection = register.protection(model)?;
    let probe = random(model, 3, dimension)?;
    each("protection of a probe", 2000, |_| protection.apply(&probe).map(drop))?;
    each("look at the register's position", 2000, |_| register.position().map(drop))?;
    each("subject by id", 2000, |at| register.subject_by_id(SubjectId(at * (count / 2000).max(1) + 1)).map(drop))?;
    each("crossing record", 200, |_| register.append_record(&passage()).map(drop))?;
    each("64 crossing records", 50, |_| register.append_records(&vec![passage(); 64]).map(drop))?;
    let mut one = Vec::new();
    each("enrolment", 100, |at| {
        let new = Enrolment::new(format!("{:?}-{at}", Timestamp::now())).with_template(probe.clone());
        register.enrol(&new).map(|(id, _)| one.push(id))
    })?;
    each("revocation", 100, |at| register.revoke(one[at as usize], "figures").map(drop))?;
    Ok(())
}

fn fill(register: &Register, model: ModelId, count: u64, dimension: usize) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let present = register.stats()?.subjects;
    for first in (present..count).step_by(5000) {
        let batch: Result<Vec<Enrolment>, Box<dyn Error>> = (first..count.min(first + 5000))
            .map(|number| Ok(Enrolment::new(number.to_string()).with_template(random(model, number, dimension)?)))
            .collect();
        register.enrol_all(&batch?)?.into_iter().try_for_each(|result| result.map(drop))?;
    }
    println!("enrolled {} subjects in {:.1?}", count.saturating_sub(present), start.elapsed());
    println!("the file has {} bytes", register.stats()?.bytes);
    Ok(())
}

fn each<E: Error + 'static>(what: &str, count: u64, mut work: impl FnMut(u64) -> Result<(), E>) -> Result<(), E> {
    let mut times: Vec<Duration> = Vec::new();
    for at in 0..count {
        let start = Instant::now();
        work(at)?;
        times.push(start.elapsed());
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what}: median {:.1?}, p99 {:.1?} of {count}", at(0.5), at(0.99));
    Ok(())
}

fn random(model: ModelId, seed: u64, dimension: usize) -> Result<Template, Box<dyn Error>> {
    let mut state = seed;
    let mut values = Vec::with_capacity(dimension);
    while values.len() < dimension {
        // splitmix64; two uniform numbers of 32 bits, which is random enough for figures of time.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        values.push(((z >> 32) as f32 - (z & 0xffff_ffff) as f32) / 4_294_967_296.0);
    }
    Ok(Template::normalised(model, values)?)
}

fn passage() -> NewRecord {
    NewRecord {
        time: Timestamp::now(),
        port: "shenzhen-bay".to_owned(),
        lane: "lane-1".to_owned(),
        direction: Direction::Exit,
        outcome: Outcome::Admit,
        subject: Some(SubjectId(1)),
        score: Some(0.7),
        threshold: Some(0.4),
        margin: Some(0.3),
        model: None,
        reasons: String::new(),
        voids: None,
    }
}
