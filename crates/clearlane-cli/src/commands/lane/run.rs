//! `clearlane lane run`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use clap::Args;
use clearlane::{ChoiceReason, Direction, Frame, Lane, MetricsSnapshot, ModelChoice, Passage, Port, PortId};
use serde::Serialize;

#[cfg(feature = "cluster")]
use super::cluster::ClusterArgs;
use super::queue::{self, Passenger};
use super::{latencies, live};
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::metrics::MetricsServer;
use crate::models::ModelArgs;
use crate::output::{Output, shown};
use crate::pictures::{self, Face};
use crate::reasons;
use crate::registers::{GalleryArgs, RegisterArgs, open_port};

/// Let a queue of passengers through one lane or several
///
/// QUEUE is a folder, in which a picture is a passenger and a folder of pictures is one with several frames, or a text file
/// with such paths. Each passage is decided by the policy, recorded in the register, and printed. The register is checked
/// first: no lane opens on an unsound one. What other processes change in it meanwhile is taken up. Where the policy asks
/// for more of the enrolled to have a template of the embedder than have one, the lanes use the available embedder that covers
/// most of them. Ctrl-C stops after the passages under way.
///
/// There is no other matcher here: a policy that asks for a fingerprint refers everybody. With --claim-issuer the lanes
/// compare 1:1: each passenger shows a claim, a QR code, in one of their frames.
///
/// With --brokers, where the command is built with the feature `cluster`, passengers are looked for in a cluster's gallery, and the
/// register has the crossing records alone: the nodes are asked, or with --follow the gallery is kept here, which goes on through a
/// network cut as long as the policy's `gallery-age-ms` allows. --send-records sends the records to the centre.
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
    #[cfg_attr(feature = "cluster", arg(conflicts_with = "brokers"))]
    claim_issuer: Option<PathBuf>,
    /// Answer GET /metrics with the lanes' metrics in Prometheus' text format, on this port of 127.0.0.1 alone; 0 is any that is free
    #[arg(long, value_name = "PORT")]
    metrics: Option<u16>,
    /// The models for presentation attack detection, by name [default: all available]
    #[arg(long, alias = "liveness", value_name = "NAMES", value_delimiter = ',', help_heading = "Models")]
    pad: Vec<String>,
    #[command(flatten)]
    register: RegisterArgs,
    #[command(flatten)]
    gallery: GalleryArgs,
    #[command(flatten)]
    models: ModelArgs,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    cluster: ClusterArgs,
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
    model: Option<ModelChoice>,
    metrics: MetricsSnapshot,
}

pub(super) fn run(args: &RunArgs, output: &Output) -> Result<Exit> {
    let passengers = queue::read(&args.queue)?;
    let port = open(args, output)?;
    let lanes: Vec<_> = (1..=args.lanes)
        .map(|number| port.lane(format!("lane {number}"), args.direction))
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::of(Exit::Usage, &error))?;

    let interrupt = Interrupt::listen()?;
    let serve = |number| {
        let port = port.clone();
        MetricsServer::start(number, move || port.to_prometheus())
    };
    let metrics = args.metrics.map(serve).transpose()?;
    if let Some(metrics) = &metrics {
        output.note(&format!("metrics are at http://{}/metrics", metrics.address()));
    }
    #[cfg(feature = "cluster")]
    let forwarder = args.cluster.forwarder(&port)?;
    let progress = output.table(passengers.len() as u64);
    let (start, next) = (Instant::now(), &AtomicUsize::new(0));
    let work = |number: usize, lane: &Lane| -> Result<()> {
        while !interrupt.requested()
            && let Some(passenger) = passengers.get(next.fetch_add(1, Ordering::Relaxed))
        {
            // Passages are decided by the register itself: one that cannot be followed now is followed at the next.
            if let Err(error) = port.poll() {
                tracing::error!(%error, "what changed in the register could not be taken up");
            }
            let passage = pass(lane, passenger, args.claim_issuer.is_some())?;
            #[cfg(feature = "cluster")]
            forwarder.forward();
            let passed = Passed { passenger: &passenger.name, lane: number, passage };
            progress.above(|| output.line(&passed, || line(&passed)))?;
            progress.step();
            progress.say(live::table(&port.metrics().snapshot(), start.elapsed()));
        }
        Ok(())
    };
    let work = &work;
    let worked = thread::scope(|scope| {
        let start = |(number, lane)| {
            thread::Builder::new().spawn_scoped(scope, move || work(number + 1, lane)).map_err(|error| {
                // Those that are there already take nobody more.
                next.store(passengers.len(), Ordering::Relaxed);
                Failure::new(Exit::System, format!("the system gives no thread for a lane: {error}"))
                    .with_help("fewer lanes (--lanes), or a higher limit on threads or memory")
            })
        };
        let threads = lanes.iter().enumerate().map(start).collect::<Result<Vec<_>>>()?;
        // A lane never panics; if its thread did, the others' passages still count.
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(()))).collect::<Result<Vec<()>>>()
    });
    progress.done();
    drop(metrics);
    worked?;
    #[cfg(feature = "cluster")]
    forwarder.finish(output)?;

    let metrics = port.metrics().snapshot();
    let (passages, seconds) = (metrics.admitted + metrics.referred, start.elapsed().as_secs_f64());
    let interrupted = interrupt.requested();
    let passages_a_minute = passages as f64 * 60.0 / seconds;
    let model = port.model_choice().cloned();
    let report = Report { passages, seconds, passages_a_minute, interrupted, model, metrics };
    output.line(&report, || text(&report))?;
    Ok(if interrupted { Exit::Interrupted } else { Exit::answer(report.metrics.referred == 0) })
}

fn open(args: &RunArgs, output: &Output) -> Result<Port> {
    let mut options = args
        .gallery
        .choose(args.models.choose(args.register.port()?))
        .policy_file(&args.policy)
        .port(args.port.clone())
        .pad(&args.pad)
        .selection(args.face.into())
        // One lane has the machine to itself; several keep out of each other's way.
        .parallel(args.lanes == 1);
    #[cfg(feature = "cluster")]
    {
        options = args.cluster.join(&args.register, options)?;
    }
    #[cfg(not(feature = "cluster"))]
    args.register.there()?;
    if let Some(issuer) = &args.claim_issuer {
        options = options.claim_issuer(issuer);
    }
    let port = open_port(options, output)?;
    if let Some(model) = port.model_choice().filter(|model| model.reason != ChoiceReason::Covers) {
        output.note(&format!("the lanes use {model}"));
    }
    if !port.is_sound() {
        let message = format!("{}: problems were found in the register", shown(args.register.path()));
        return Err(Failure::new(Exit::Register, message).with_help("`clearlane register check` names them"));
    }
    Ok(port)
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
    if let Some(model) = &report.model {
        let _ = writeln!(text, "  by {model}");
    }
    for (reason, count) in &metrics.reasons {
        let _ = writeln!(text, "  {count:>6}  {reason}");
    }
    text.push_str(latencies(metrics).trim_end());
    text
}
