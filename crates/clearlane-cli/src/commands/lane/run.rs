//! `clearlane lane run`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use clap::Args;
use clearlane::{
    ChoiceReason, Direction, Lane, LaneError, Metrics, MetricsSnapshot, ModelChoice, Passage, Policy, PortId,
    References,
};
use clearlane_embed::{Embedder, Extractor, Frame};
use serde::Serialize;

use super::queue::{self, Passenger};
use super::{LATENCIES, latency, live};
use crate::commands::claim::trusted;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::models::ModelArgs;
use crate::output::{Output, shown, table};
use crate::pictures::{self, Face};
use crate::reasons;
use crate::registers::RegisterArgs;
use crate::thresholds;

/// Let a queue of passengers through one lane or several
///
/// QUEUE is a folder, in which a picture is a passenger and a folder of pictures is one with several frames, or a text file
/// with such paths. Each passage is decided by the policy, recorded in the register, and printed. The register is checked
/// first: no lane opens on an unsound one. What other processes change in it meanwhile is taken up. Where the policy asks
/// for more of the enrolled to have a template of the embedder than have one, the lanes use the embedder at hand that covers
/// most of them. Ctrl-C stops after the passages under way.
///
/// There is no other matcher here: a policy that asks for a fingerprint refers everybody. With --claim-issuer the lanes
/// compare 1:1: each passenger shows a claim, a QR code, in one of their frames.
///
/// Exit code 0 where everybody was admitted, 1 where somebody was referred to an officer.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// The queue: a folder of pictures, or a list of paths
    queue: PathBuf,
    /// The rules of the port (TOML)
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The port, by its id in the policy
    #[arg(long, value_name = "ID")]
    port: PortId,
    /// Seen from the mainland: entry or exit
    #[arg(long, default_value = "exit")]
    direction: Direction,
    /// How many lanes work at once; they share register and gallery
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    lanes: u8,
    /// Which face to take where a frame has several
    #[arg(long, value_enum, default_value = "largest")]
    face: Face,
    /// Compare each passenger with the one whom their claim names, and believe this issuer (public key, PEM)
    #[arg(long, value_name = "FILE")]
    claim_issuer: Option<PathBuf>,
    /// The models for presentation attack detection, by name [default: all at hand]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Models")]
    liveness: Vec<String>,
    #[command(flatten)]
    register: RegisterArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Example:
  clearlane lane run queue/ --lanes 4 --policy policies/port.toml --port shenzhen-bay --register port.db --key-file port.key";

/// One passage, as it is printed.
#[derive(Debug, Serialize)]
struct Passed<'a> {
    passenger: &'a str,
    lane: usize,
    #[serde(flatten)]
    passage: Passage,
}

/// All passages together.
#[derive(Debug, Serialize)]
struct Report {
    passages: u64,
    seconds: f64,
    passages_a_minute: f64,
    interrupted: bool,
    model: ModelChoice,
    metrics: MetricsSnapshot,
}

pub(super) fn run(args: &RunArgs, output: &Output) -> Result<Exit> {
    let passengers = queue::read(&args.queue)?;
    let policy = Policy::open(&args.policy).map_err(|error| Failure::of(Exit::Input, &error))?;
    let register = Arc::new(args.register.open()?);
    let (embedder, model) =
        ModelChoice::make(args.models.load_embedder()?, &args.models.at_hand()?, &register, &policy)?;
    if model.reason != ChoiceReason::Covers {
        output.note(&format!("the lanes use {model}"));
    }
    let extractor = extractor(args, embedder.with_flip(args.models.flip))?;
    register.protection(extractor.embedder().model_id())?;
    let references = Arc::new(loaded(args, &extractor, register, output)?);
    let metrics = Arc::new(Metrics::default());
    let lanes = lanes(args, &Arc::new(policy), &references, &extractor, &metrics)?;

    let interrupt = Interrupt::listen()?;
    let progress = output.table(passengers.len() as u64);
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let work = |number: usize, lane: &Lane| -> Result<()> {
        while !interrupt.requested()
            && let Some(passenger) = passengers.get(next.fetch_add(1, Ordering::Relaxed))
        {
            // Passages are decided by the register itself: one that cannot be followed now is followed at the next.
            if let Err(error) = references.refresh() {
                tracing::error!(%error, "what changed in the register could not be taken up");
            }
            let passage = pass(lane, passenger, args.claim_issuer.is_some())?;
            let passed = Passed { passenger: &passenger.name, lane: number, passage };
            progress.above(|| output.line(&passed, || line(&passed)))?;
            progress.step();
            progress.say(live::table(&metrics.snapshot(), start.elapsed()));
        }
        Ok(())
    };
    let work = &work;
    let worked = thread::scope(|scope| {
        let threads: Vec<_> =
            lanes.iter().enumerate().map(|(number, lane)| scope.spawn(move || work(number + 1, lane))).collect();
        // A lane never panics; if its thread did, the others' passages still count.
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(()))).collect::<Result<Vec<()>>>()
    });
    progress.done();
    worked?;

    let metrics = metrics.snapshot();
    let (passages, seconds) = (metrics.admitted + metrics.referred, start.elapsed().as_secs_f64());
    let interrupted = interrupt.requested();
    let passages_a_minute = passages as f64 * 60.0 / seconds;
    let report = Report { passages, seconds, passages_a_minute, interrupted, model, metrics };
    output.line(&report, || text(&report))?;
    Ok(if interrupted { Exit::Interrupted } else { Exit::answer(report.metrics.referred == 0) })
}

fn extractor(args: &RunArgs, embedder: Embedder) -> Result<Extractor> {
    let extractor = Extractor::new(args.models.load_detector()?, embedder).with_selection(args.face.into());
    let models = args.models.at_hand()?;
    let named = args.liveness.iter().map(String::as_str);
    let pad: Vec<_> = if args.liveness.is_empty() { models.liveness_names().collect() } else { named.collect() };
    Ok(if pad.is_empty() { extractor } else { extractor.with_liveness(models.liveness(pad)?) })
}

fn loaded(
    args: &RunArgs,
    extractor: &Extractor,
    register: Arc<clearlane_store::Register>,
    output: &Output,
) -> Result<References> {
    let progress = output.progress(0, "loading");
    let model = extractor.embedder().model_id();
    let references = References::load(register, model, |done, total| progress.at(done, total))?;
    progress.done();
    let progress = output.progress(0, "checking");
    let report = references.check(|done, total| progress.at(done, total))?;
    progress.done();
    if references.is_sound() {
        return Ok(references);
    }
    let message =
        format!("{}: {} problems were found in the register", shown(args.register.path()), report.problems.len());
    Err(Failure::new(Exit::Register, message).with_help("`clearlane register check` names them"))
}

fn lanes(
    args: &RunArgs,
    policy: &Arc<Policy>,
    references: &Arc<References>,
    extractor: &Extractor,
    metrics: &Arc<Metrics>,
) -> Result<Vec<Lane>> {
    let calibration = thresholds::calibration(extractor.embedder())?;
    let claims = args.claim_issuer.as_deref().map(trusted).transpose()?.unwrap_or_default();
    (1..=args.lanes)
        .map(|number| {
            Lane::builder(Arc::clone(policy), Arc::clone(references), calibration.clone())
                .extractor(extractor.clone())
                .metrics(Arc::clone(metrics))
                .claims(claims.clone())
                // One lane has the machine to itself; several keep out of each other's way.
                .parallel(args.lanes == 1)
                .build(args.port.clone(), args.direction, format!("lane {number}"))
                .map_err(|error| unfit(&error))
        })
        .collect()
}

fn unfit(error: &LaneError) -> Failure {
    match error {
        LaneError::Uncalibrated(_) => Failure::of(Exit::Model, error).with_help(
            "measure lower false match rates with `clearlane eval folder` and put them into the models' manifest.toml, or \
             let the policy ask for less",
        ),
        _ => Failure::of(Exit::Usage, error),
    }
}

/// A frame that cannot be read is a camera's failure and ends the run; a face that cannot be used is the lane's to judge.
fn pass(lane: &Lane, passenger: &Passenger, claims: bool) -> Result<Passage> {
    let frames = passenger.frames.iter().map(|path| pictures::open(path)).collect::<Result<Vec<Frame<'_>>>>()?;
    // Frames of a face show no claim and frames of a claim no face: each is looked for in all.
    Ok(if claims { lane.verify_claim(&frames, &frames, &[], None) } else { lane.pass(&frames, &[], None) })
}

fn line(passed: &Passed<'_>) -> String {
    let Passed { passenger, lane, passage } = passed;
    let score = passage.comparison.map_or_else(|| "-".to_owned(), |comparison| format!("{:.4}", comparison.score));
    let decision = if passage.decision.is_admission() { "admit" } else { "refer" };
    let total = 1e3 * passage.times.total.as_secs_f64();
    let why = reasons::listed(passage.decision.reasons());
    format!("{decision}  lane {lane}  {passenger}  {score}  {total:.1} ms  {why}").trim_end().to_owned()
}

fn text(report: &Report) -> String {
    let metrics = &report.metrics;
    let mut text = format!(
        "\n{} passages in {:.1} s, {:.0} a minute: {} admitted, {} referred\n",
        report.passages, report.seconds, report.passages_a_minute, metrics.admitted, metrics.referred
    );
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  by {}", report.model);
    for (reason, count) in &metrics.reasons {
        let _ = writeln!(text, "  {count:>6}  {reason}");
    }
    let stages = [
        ("capture", &metrics.capture),
        ("  detect", &metrics.detect),
        ("  align", &metrics.align),
        ("  quality", &metrics.quality),
        ("  pad", &metrics.pad),
        ("  embed", &metrics.embed),
        ("claim", &metrics.claim),
        ("search", &metrics.search),
        ("rules", &metrics.rules),
        ("record", &metrics.record),
        ("total", &metrics.total),
    ];
    let ran = stages.iter().filter(|(_, stage)| stage.count > 0);
    let rows: Vec<_> = ran.map(|(name, stage)| latency(name, stage)).collect();
    text.push_str(table(&LATENCIES, &[1, 2, 3, 4], &rows).trim_end());
    text
}
