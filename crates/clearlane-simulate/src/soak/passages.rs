//! The lanes' part: travellers at an even pace, and pictures between them.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clearlane::{Capture, Decision, Template};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};

use super::ledger::Answer;
use super::site::{Person, Site, model, sleep_until};
use super::{Camera, SoakFault};
use crate::SimulationError;
use crate::vectors::{at_score, normal};

/// Mean and standard deviation of mated comparison scores, as on a simulated day.
const MATED: (f32, f32) = (0.75, 0.07);

/// Who comes.
#[derive(Clone, Copy)]
enum Traveller {
    Enrolled(Person),
    /// It was acknowledged that they left.
    Left(Person),
    NonEnrolled,
}

/// The template that each picture gave at first.
pub(super) struct Pictures(Vec<OnceLock<Option<Template>>>);

impl Pictures {
    pub(super) fn of(camera: Option<&Camera<'_>>) -> Self {
        Self(camera.iter().flat_map(|camera| &camera.pictures).map(|_| OnceLock::new()).collect())
    }
}

/// Lets travellers through one lane until it is over.
pub(super) fn staff(
    site: &Site<'_>,
    lane: usize,
    camera: Option<(&Camera<'_>, &Pictures)>,
    begun: Instant,
    over: &dyn Fn() -> bool,
) -> Result<(), SimulationError> {
    loop {
        let number = site.next.fetch_add(1, Ordering::Relaxed);
        sleep_until(begun + Duration::from_secs_f64(number as f64 / site.plan.rate), over);
        if over() {
            return Ok(());
        }
        pass(site, lane, number)?;
        if let Some((camera, pictures)) = camera.filter(|(camera, _)| number.is_multiple_of(camera.every.max(1))) {
            look(site, camera, pictures, number / camera.every.max(1));
        }
    }
}

fn pass(site: &Site<'_>, lane: usize, number: u64) -> Result<(), SimulationError> {
    let mut random = StdRng::seed_from_u64(site.plan.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let open_port = site.open_port();
    let comer = who_comes(site, &mut random);
    let probe = match comer {
        Traveller::Enrolled(person) | Traveller::Left(person) => {
            let reference = site.plan.reference(open_port.generation, person.number);
            let (mean, deviation) = MATED;
            let drawn: f32 = StandardNormal.sample(&mut random);
            let score = (mean + deviation * drawn).clamp(-1.0, 1.0);
            at_score(&reference, &normal(&mut random, site.plan.dimension), score)
        }
        Traveller::NonEnrolled => normal(&mut random, site.plan.dimension),
    };
    let capture = Capture::new(Template::normalised(model(open_port.generation), probe)?, Some(1.0));
    let lane = &open_port.lanes[lane];
    let passage = lane.pass_capture(&capture, &[], None);
    site.latencies.passage(passage.times.total);
    let subject = match passage.decision {
        Decision::Admit { subject } => Some(subject),
        Decision::Refer { subject, .. } => subject,
    };
    let admitted = passage.decision.is_admission();
    if let Some(record) = passage.record {
        site.acknowledged(record);
        site.ledger.answered(Answer { record, admitted, subject })?;
    }
    let mut tally = site.tally();
    tally.done.passages += 1;
    tally.done.not_recorded += u64::from(passage.record.is_none());
    if admitted && passage.record.is_none() {
        tally.fault(SoakFault::AdmittedUnrecorded { lane: lane.name().to_owned() });
    }
    match (comer, admitted) {
        (Traveller::Enrolled(person), true) if subject == Some(person.subject) => tally.done.admitted += 1,
        (Traveller::Left(person), true) if subject == Some(person.subject) => {
            tally.fault(SoakFault::AdmittedAfterLeaving { subject: person.subject, record: passage.record });
        }
        (_, true) => tally.wrong_admissions += 1,
        (Traveller::Enrolled(_), false) => tally.done.enrolled_referred += 1,
        (Traveller::Left(_), false) => tally.done.left_referred += 1,
        (Traveller::NonEnrolled, false) => {}
    }
    Ok(())
}

fn who_comes(site: &Site<'_>, random: &mut StdRng) -> Traveller {
    let share: f64 = random.random();
    let people = site.people();
    let mut one_of = |from: &[Person]| (!from.is_empty()).then(|| from[random.random_range(0..from.len())]);
    let unknown = site.plan.non_enrolled;
    if share < unknown {
        return Traveller::NonEnrolled;
    }
    if share < 2.0 * unknown
        && let Some(person) = one_of(&people.left)
    {
        return Traveller::Left(person);
    }
    one_of(&people.enrolled).map_or(Traveller::NonEnrolled, Traveller::Enrolled)
}

/// A picture goes from detection to template, and gives what it gave at first.
fn look(site: &Site<'_>, camera: &Camera<'_>, pictures: &Pictures, number: u64) {
    if camera.pictures.is_empty() {
        return;
    }
    let picture = (number % camera.pictures.len() as u64) as usize;
    let begun = Instant::now();
    let template = camera.extractor.extract(&camera.pictures[picture]).ok().map(|extraction| extraction.template);
    site.latencies.picture(begun.elapsed());
    let first = pictures.0[picture].get_or_init(|| template.clone());
    let mut tally = site.tally();
    tally.done.pictures += u64::from(template.is_some());
    if template != *first {
        tally.fault(SoakFault::PictureDiffers { picture });
    }
}
