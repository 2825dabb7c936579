//! Sessions of fictional people before a made-up camera: how many frames until the decision, what each frame costs, and
//! whether anybody was admitted who should not be.
//!
//! `cargo run --release --example sessions -- [PEOPLE]`

mod scene;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearlane::embed::Models;
use clearlane::store::{Category, Consent, ConsentScope, Details, Document, DocumentKind, Enrolment, NumberDigest};
use clearlane::{
    Calibration, Decision, DecodeLimits, Direction, Extractor, Frame, Guidance, Key, Keyring, Passage, PassageStep,
    Policy, Port, References, Register, Selection,
};
use jiff::Timestamp;
use scene::{Portrait, Stand};

/// Frames a second of the made-up camera.
const RATE: f64 = 10.0;

/// A way to come before the camera: who is seen in frame `number`.
struct Scenario {
    name: &'static str,
    /// Which of the two may be admitted, if enrolled: whoever stands there alone in the end.
    may_pass: Option<usize>,
    draw: for<'p> fn(&'p [Portrait; 2], usize) -> Vec<Stand<'p>>,
}

const FRAMES: usize = 40;

/// The first of the two is the traveller.
const SCENARIOS: [Scenario; 6] = [
    Scenario { name: "stands still", may_pass: Some(0), draw: |people, _| vec![Stand::before_camera(&people[0])] },
    Scenario {
        name: "walks up",
        may_pass: Some(0),
        draw: |people, number| {
            let near = (number as f32 / 20.0).min(1.0);
            let height = 0.12 + 0.68 * near;
            vec![Stand { height, at: (0.35 + 0.15 * near, 0.5), ..Stand::before_camera(&people[0]) }]
        },
    },
    Scenario {
        name: "turns to the camera",
        may_pass: Some(0),
        draw: |people, number| {
            let turn = 0.45 + 0.55 * (number as f32 / 12.0).min(1.0);
            vec![Stand { turn, ..Stand::before_camera(&people[0]) }]
        },
    },
    Scenario {
        name: "moves",
        may_pass: Some(0),
        draw: |people, number| {
            let blur = if number % 4 == 3 { 0 } else { 24 };
            vec![Stand { blur, ..Stand::before_camera(&people[0]) }]
        },
    },
    Scenario {
        name: "another stands beside",
        may_pass: None,
        draw: |people, number| {
            let traveller = Stand { at: (0.3, 0.5), height: 0.6, ..Stand::before_camera(&people[0]) };
            let other = Stand { at: (0.72, 0.5), height: 0.55, ..Stand::before_camera(&people[1]) };
            if number < 1 { vec![traveller] } else { vec![other, traveller] }
        },
    },
    Scenario {
        name: "another takes the place",
        may_pass: Some(1),
        draw: |people, number| vec![Stand::before_camera(&people[usize::from(number >= 1)])],
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(20), |text| text.parse::<usize>())?;
    let folder = tempfile::tempdir()?;
    let port = port(&folder.path().join("port.register"), count)?;
    let lane = port.lane("lane 1", Direction::Exit)?;
    println!("{:<26} {:>9} {:>8} {:>9} {:>9} {:>7}", "", "admitted", "frames", "seconds", "ms/frame", "wrong");
    for enrolled in [true, false] {
        for scenario in &SCENARIOS {
            let mut totals = Totals::default();
            for person in people(if enrolled { "enrolled" } else { "unknown" })?.iter().take(count) {
                let other = if person.ends_with("f0001") { "enrolled/f0000" } else { "enrolled/f0001" };
                let pictures = [Portrait::open(person, "plain-1"), Portrait::open(other, "plain-2")];
                let run = run(&lane, &pictures, scenario.draw);
                let may_pass = scenario.may_pass.map(|at| [person.as_str(), other][at]);
                let may_pass = may_pass.map(|name| port.register().subject(name)).transpose()?.flatten();
                totals.add(&run, |passage| match passage.decision {
                    Decision::Admit { subject } => may_pass.as_ref().is_some_and(|may_pass| may_pass.id == subject),
                    Decision::Refer { .. } => true,
                });
            }
            totals.print(&format!("{} {}", if enrolled { "enrolled" } else { "unknown" }, scenario.name));
        }
    }
    Ok(())
}

/// A session with the frames of a scenario, until it has decided.
struct Run {
    passage: Passage,
    frames: usize,
    spent: Duration,
    guidance: BTreeMap<&'static str, usize>,
}

fn run<'p>(
    lane: &clearlane::Lane,
    pictures: &'p [Portrait; 2],
    draw: fn(&'p [Portrait; 2], usize) -> Vec<Stand<'p>>,
) -> Run {
    let mut session = lane.passage().with_patience(Duration::from_mins(5));
    let (mut spent, mut guidance) = (Duration::ZERO, BTreeMap::new());
    for number in 0..FRAMES {
        let frame: Frame<'_> = scene::frame(&draw(pictures, number));
        let start = Instant::now();
        let step = session.frame(&frame);
        spent += start.elapsed();
        match step {
            PassageStep::Decided(passage) => return Run { passage: *passage, frames: number + 1, spent, guidance },
            PassageStep::Continue(said) => *guidance.entry(Guidance::code(said)).or_default() += 1,
        }
    }
    Run { passage: session.finish(), frames: FRAMES, spent, guidance }
}

#[derive(Default)]
struct Totals {
    passages: usize,
    admitted: usize,
    wrong: usize,
    frames: usize,
    spent: Duration,
    said: BTreeMap<&'static str, usize>,
}

impl Totals {
    fn add(&mut self, run: &Run, right: impl FnOnce(&Passage) -> bool) {
        self.passages += 1;
        self.admitted += usize::from(run.passage.decision.is_admission());
        self.wrong += usize::from(!right(&run.passage));
        self.frames += run.frames;
        self.spent += run.spent;
        let reasons = run.passage.decision.reasons().iter().map(|reason| (reason.code(), 1));
        for (code, count) in run.guidance.iter().map(|(code, count)| (*code, *count)).chain(reasons) {
            *self.said.entry(code).or_default() += count;
        }
    }

    fn print(&self, name: &str) {
        let frames = self.frames as f64 / self.passages as f64;
        let ms = 1e3 * self.spent.as_secs_f64() / self.frames as f64;
        let said: Vec<_> = self.said.iter().map(|(code, count)| format!("{code} {count}")).collect();
        println!(
            "{name:<32} {:>3}/{:<3} {frames:>6.1} {:>8.2} {ms:>9.2} {:>6}   {}",
            self.admitted,
            self.passages,
            frames / RATE,
            self.wrong,
            said.join(", ")
        );
    }
}

/// A port with the first fictional people enrolled, each fit to pass.
fn port(register: &std::path::Path, count: usize) -> Result<Port, Box<dyn Error>> {
    let models = Models::builtin()?;
    let embedder = models.embedder(models.default_embedder()?)?;
    let calibration = Calibration::from_manifest(embedder.model_id(), embedder.calibrations())?;
    let mut extractor = Extractor::new(models.detector(models.default_detector()?)?, embedder);
    if let Some(occlusion) = models.any_occlusion()? {
        extractor = extractor.with_occlusion(occlusion);
    }
    let register = Arc::new(Register::create(register, Keyring::new(Key::random()?))?);
    for person in people("enrolled")?.iter().take(count) {
        let picture = scene::folder().join(person).join("enrol.jpg");
        let template = extractor.extract(&Frame::open(picture, &DecodeLimits::default())?)?.template;
        register.enrol(&Enrolment::new(person).with_details(details()).with_template(template))?;
    }
    let extractor = extractor.with_selection(Selection::Largest);
    let references = References::load(register, extractor.embedder().model_id(), |_, _| {})?;
    references.check(|_, _| {})?;
    // Three good frames make a probe, as in the pilot's policy.
    let policy = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/demonstration.toml"),
    )?;
    let policy = policy
        .replace("best-frames = 1", "best-frames = 3")
        .replace("quality = { InterEyeDistance = 20 }", "quality = { InterEyeDistance = 30, Sharpness = 67 }");
    Ok(Port::builder(references)
        .policy(Policy::from_toml(&policy)?)
        .port("shenzhen-bay".parse()?)
        .calibration(calibration)
        .extractor(extractor)
        .build()?)
}

fn people(group: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut people = Vec::new();
    for entry in std::fs::read_dir(scene::folder().join(group))? {
        people.push(format!("{group}/{}", entry?.file_name().to_string_lossy()));
    }
    people.sort();
    Ok(people)
}

fn details() -> Details {
    Details {
        category: Some(Category::HongKongResident),
        birth: Some(jiff::civil::date(1990, 6, 15)),
        documents: vec![Document {
            kind: DocumentKind::MainlandTravelPermitHkMacao,
            number_digest: NumberDigest([7; 32]),
            valid_from: None,
            expires: jiff::civil::date(2199, 12, 31),
            endorsements: Vec::new(),
        }],
        consent: Some(Consent {
            given: Timestamp::UNIX_EPOCH,
            scope: ConsentScope { face: true, fingerprint: true },
            withdrawn: None,
        }),
        ..Details::default()
    }
}
