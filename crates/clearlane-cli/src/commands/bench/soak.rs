//! `clearlane bench soak`: a front to the endurance run of `clearlane-simulate`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clearlane::{DecodeLimits, Frame, Policy};
use clearlane_embed::Selection;
use clearlane_simulate::soak::{Camera, Drift, Intervals, Sample, SoakPlan, SoakReport};
use clearlane_template::without_temporary_name;
use jiff::SignedDuration;
use serde::Serialize;

use crate::commands::demo::faces;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::models::ModelArgs;
use crate::output::{Output, json, shown, table, write_whole};
use crate::page::chart::{Axis, Chart, Series, document};

/// The policy of the pilot ports.
const POLICY: &str = include_str!("../../../policies/shenzhen-bay-and-gongbei.toml");

/// The most pictures that are kept decoded.
const PICTURES: usize = 16;

/// Endurance: lanes for as long as is asked for, with all that a port does beside, and what became of memory and latency
///
/// Travellers come to the lanes at an even pace: enrolled ones, some who are not, and some who have left. Beside the passages travellers are
/// enrolled, revoked, withdraw their consent and expire, sweeps take them out, the register gets new keys, backups are made,
/// opened and compared, and the lanes go over to another model, everybody's templates with them. Templates are random
/// directions, as in `lane simulate`; between the passages pictures of fictional people go from detection to template.
///
/// All that is acknowledged is written into a ledger. In the end the register is opened anew, checked, and compared with it.
/// Meanwhile resident memory, handles, threads, latency and the size of the files are sampled; drift is the median of the last
/// tenth of the time beside that of the second tenth. Memory, handles and threads are those that Linux tells.
///
/// What is done how often has a default that fits the duration, so that a short run has some of all. Times are written as
/// 45m, 90s, 1h30m or 500ms.
///
/// Exit code 0 where nothing that was acknowledged was lost, the register and each backup were sound, nobody was admitted after
/// they left, each picture gave the same template all the time, and no more were wrongly admitted than the policy's rate
/// explains; 1 otherwise, and the register and its ledger are kept. Ctrl-C ends the run early; what was done is judged.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SoakArgs {
    /// For how long travellers come
    #[arg(long, value_name = "TIME", default_value = "45m", value_parser = time)]
    duration: Duration,
    /// How many lanes work at once; they share register and gallery
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    lanes: u8,
    /// Travellers who are enrolled when it begins
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    enrolled: u64,
    /// Passages a second, all lanes together
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// The share of passages by non-enrolled subjects, in [0, 0.5]; as many come who have left
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    non_enrolled: f64,
    /// Values of a template
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(4..=4096))]
    dimension: u16,
    /// Decides everything that is random
    #[arg(long, value_name = "N", default_value_t = 20_241_120)]
    seed: u64,
    /// One picture from detection to template after so many passages; 0 for none
    #[arg(long, value_name = "N", default_value_t = 10)]
    picture_every: u64,
    /// Fictional faces from a folder in place of the built-in ones
    #[arg(long, value_name = "DIR")]
    faces: Option<PathBuf>,
    /// Write samples (CSV), the summary (JSON) and plots (SVG) into this folder; made where it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Make the register in a folder within this one: on the disk that is to be measured [default: the system's folder for
    /// temporary files]
    #[arg(long, value_name = "DIR")]
    within: Option<PathBuf>,
    #[command(flatten)]
    every: EveryArgs,
    #[command(flatten)]
    models: ModelArgs,
}

/// How often something is done.
#[derive(Debug, Args)]
#[command(next_help_heading = "Beside the passages")]
struct EveryArgs {
    /// A traveller is enrolled every TIME [default: 1s, or more often in a short run]
    #[arg(long = "enrol-every", value_name = "TIME", value_parser = time)]
    enrolment: Option<Duration>,
    /// A traveller leaves [default: 1s, or more often]
    #[arg(long = "remove-every", value_name = "TIME", value_parser = time)]
    removal: Option<Duration>,
    /// Who withdrew or expired is swept out [default: 20s, or more often]
    #[arg(long = "sweep-every", value_name = "TIME", value_parser = time)]
    sweep: Option<Duration>,
    /// The register gets a new key [default: 5m, or more often]
    #[arg(long = "rekey-every", value_name = "TIME", value_parser = time)]
    rekey: Option<Duration>,
    /// A backup is made, opened and compared [default: 2m, or more often]
    #[arg(long = "backup-every", value_name = "TIME", value_parser = time)]
    backup: Option<Duration>,
    /// The lanes go over to another model [default: 7m, or more often]
    #[arg(long = "model-every", value_name = "TIME", value_parser = time)]
    model: Option<Duration>,
    /// The process is looked at [default: 10s, or more often]
    #[arg(long = "sample-every", value_name = "TIME", value_parser = time)]
    sample: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  clearlane bench soak --duration 45m --lanes 4 --out soak/
  clearlane bench soak --duration 20s --json
  clearlane bench soak --duration 12h --rate 2 --within /var/lib/port --out soak/";

/// The run and how it went.
#[derive(Debug, Serialize)]
struct Soak<'a> {
    duration: f64,
    lanes: u8,
    enrolled_at_first: u64,
    rate: u32,
    dimension: u16,
    seed: u64,
    pictures: usize,
    kernel: &'static str,
    ok: bool,
    #[serde(flatten)]
    report: &'a SoakReport,
}

pub(super) fn run(args: &SoakArgs, output: &Output) -> Result<Exit> {
    if let Some(folder) = args.out.as_ref().filter(|folder| !folder.is_dir()) {
        std::fs::create_dir(folder).map_err(|error| Failure::writing(folder, &error))?;
    }
    let policy = Policy::from_toml(POLICY).map_err(|error| Failure::of(Exit::Input, &error))?;
    let camera = camera(args)?;
    let plan = SoakPlan {
        duration: args.duration,
        lanes: usize::from(args.lanes),
        enrolled: args.enrolled,
        dimension: usize::from(args.dimension),
        rate: f64::from(args.rate),
        non_enrolled: args.non_enrolled,
        every: args.every.over(Intervals::within(args.duration)),
        seed: args.seed,
    };
    let interrupt = Interrupt::listen()?;
    let within = args.within.clone().unwrap_or_else(std::env::temp_dir);
    // Kept until nothing is found wrong: a register that cannot be opened any more is the gravest of what there is to find.
    let folder = tempfile::tempdir_in(&within)
        .map_err(without_temporary_name)
        .map_err(|error| Failure::writing(&within, &error))?
        .keep();
    let keep = || output.note(&format!("the register and its ledger are kept in {}", shown(&folder)));
    let progress = output.progress(args.duration.as_secs(), "seconds");
    let total = args.duration.as_secs();
    let report = plan.run(&folder, policy, camera.as_ref(), &|| interrupt.requested(), &|gone| {
        progress.at(gone.as_secs(), total);
    });
    progress.done();
    let report = report.inspect_err(|_| keep())?;
    let soak = Soak {
        duration: args.duration.as_secs_f64(),
        lanes: args.lanes,
        enrolled_at_first: args.enrolled,
        rate: args.rate,
        dimension: args.dimension,
        seed: args.seed,
        pictures: camera.as_ref().map_or(0, |camera| camera.pictures.len()),
        kernel: clearlane_match::Kernel::best().name(),
        ok: report.is_sound(),
        report: &report,
    };
    if let Some(out) = &args.out {
        write(out, &soak).inspect_err(|_| keep())?;
    }
    output.result(&soak, || text(&soak)).inspect_err(|_| keep())?;
    if soak.ok {
        std::fs::remove_dir_all(&folder).map_err(|error| Failure::writing(&folder, &error))?;
    } else {
        keep();
    }
    Ok(if interrupt.requested() { Exit::Interrupted } else { Exit::answer(soak.ok) })
}

impl EveryArgs {
    fn over(&self, default: Intervals) -> Intervals {
        Intervals {
            enrolment: self.enrolment.unwrap_or(default.enrolment),
            removal: self.removal.unwrap_or(default.removal),
            sweep: self.sweep.unwrap_or(default.sweep),
            rekey: self.rekey.unwrap_or(default.rekey),
            backup: self.backup.unwrap_or(default.backup),
            model: self.model.unwrap_or(default.model),
            sample: self.sample.unwrap_or(default.sample),
        }
    }
}

/// Some of the fictional people's pictures, decoded; `None` where none are asked for.
fn camera(args: &SoakArgs) -> Result<Option<Camera<'static>>> {
    if args.picture_every == 0 {
        return Ok(None);
    }
    let captures = faces::read(args.faces.as_deref())?;
    let extractor = args.models.load_extractor(Selection::Largest)?;
    let decode = |capture: &faces::Capture| {
        Frame::decode(&capture.jpeg, &DecodeLimits::default())
            .map_err(|error| Failure::at(Exit::Input, Path::new(&capture.path), &error))
    };
    let pictures = captures.iter().filter(|capture| capture.kind == "enrol").take(PICTURES).map(decode);
    Ok(Some(Camera { extractor, pictures: pictures.collect::<Result<_>>()?, every: args.picture_every }))
}

/// A line of a plot, by its name.
type Line<'a> = (&'a str, fn(&Sample) -> Option<f64>);

fn write(out: &Path, soak: &Soak<'_>) -> Result<()> {
    let samples = &soak.report.samples;
    write_whole(&out.join("soak.json"), json(soak)?.as_bytes())?;
    write_whole(&out.join("samples.csv"), csv(samples).as_bytes())?;
    let minutes = |sample: &Sample| sample.at / 60.0;
    let plot = |title: &str, unit: &str, lines: &[Line<'_>]| {
        let values = lines.iter().flat_map(|(_, value)| samples.iter().filter_map(value));
        let highest = values.fold(0.0, f64::max);
        let line = |(name, value): &Line<'_>| {
            Series::line(*name, samples.iter().filter_map(|sample| Some((minutes(sample), value(sample)?))).collect())
        };
        document(&Chart {
            title,
            x: Axis::linear("minutes", 0.0..samples.last().map_or(1.0, minutes).max(1e-3)),
            y: Axis::linear(unit, 0.0..(1.1 * highest).max(1e-3)),
            series: lines.iter().map(line).collect(),
        })
    };
    let plots = [
        (
            "memory.svg",
            plot("Resident memory", "MiB", &[("resident memory", |sample| mebibytes(sample.process.resident))]),
        ),
        (
            "handles.svg",
            plot(
                "Handles and threads",
                "count",
                &[
                    ("handles", |sample| sample.process.handles.map(|count| count as f64)),
                    ("threads", |sample| sample.process.threads.map(|count| count as f64)),
                ],
            ),
        ),
        (
            "latency.svg",
            plot("Latency of a passage", "ms", &[("p50", |sample| sample.p50_ms), ("p99", |sample| sample.p99_ms)]),
        ),
        (
            "files.svg",
            plot(
                "The register's files",
                "MiB",
                &[
                    ("register", |sample| mebibytes(sample.register_bytes)),
                    ("write-ahead log", |sample| mebibytes(sample.log_bytes)),
                ],
            ),
        ),
    ];
    plots.iter().try_for_each(|(name, svg)| write_whole(&out.join(name), svg.as_bytes()))
}

fn mebibytes(bytes: Option<u64>) -> Option<f64> {
    bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))
}

fn csv(samples: &[Sample]) -> String {
    let mut csv = String::from(
        "seconds,resident_bytes,handles,threads,passages,p50_ms,p99_ms,picture_p50_ms,templates,register_bytes,log_bytes\n",
    );
    let count = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let ms = |value: Option<f64>| value.map(|value| format!("{value:.3}")).unwrap_or_default();
    for sample in samples {
        let cells = [
            format!("{:.3}", sample.at),
            count(sample.process.resident),
            count(sample.process.handles),
            count(sample.process.threads),
            sample.passages.to_string(),
            ms(sample.p50_ms),
            ms(sample.p99_ms),
            ms(sample.picture_p50_ms),
            sample.templates.to_string(),
            count(sample.register_bytes),
            count(sample.log_bytes),
        ];
        csv.push_str(&cells.join(","));
        csv.push('\n');
    }
    csv
}

fn text(soak: &Soak<'_>) -> String {
    let (report, done) = (soak.report, &soak.report.done);
    let mut text = format!(
        "{} passages on {} lanes in {:.0} s, {} records, {} enrolled in the end; search kernel {}\n\
         \x20 admitted as themselves     {}\n\
         \x20 referred, enrolled         {}\n\
         \x20 referred, had left         {}\n\
         \x20 wrongly admitted           {} (the policy's rate explains {})\n\
         \x20 pictures to templates      {}\n\
         \x20 enrolments                 {}\n\
         \x20 revoked, withdrew, expired {}, {}, {}; {} swept out in {} sweeps\n\
         \x20 new keys                   {}\n\
         \x20 backups, each compared     {}\n\
         \x20 changes of model           {}\n",
        done.passages,
        soak.lanes,
        report.elapsed.as_secs_f64(),
        report.records,
        report.enrolled,
        soak.kernel,
        done.admitted,
        done.enrolled_referred,
        done.left_referred,
        report.wrong_admissions,
        report.allowed_wrong_admissions,
        done.pictures,
        done.enrolments,
        done.revocations,
        done.withdrawals,
        done.expiries,
        done.swept,
        done.sweeps,
        done.rekeys,
        done.backups,
        done.model_changes,
    );
    // Writing to a String cannot fail.
    for (what, times) in &report.failed {
        let _ = writeln!(text, "  not done, {times} times: {what}");
    }
    let row = |drift: &Drift| {
        let change = drift.change.map_or_else(|| "-".to_owned(), |change| format!("{:+.1} %", 100.0 * change));
        // Large figures are bytes.
        let figure = |value: f64| match mebibytes(Some(value as u64)) {
            Some(mebibytes) if value >= 1e5 => format!("{mebibytes:.1} MiB"),
            _ => format!("{value:.2}"),
        };
        vec![drift.figure.to_owned(), figure(drift.second_tenth), figure(drift.last_tenth), change]
    };
    let rows: Vec<_> = report.drift.iter().map(row).collect();
    text.push_str(&table(&["DRIFT, medians", "SECOND TENTH", "LAST TENTH", "CHANGE"], &[1, 2, 3], &rows));
    let sound = if report.sound { "sound" } else { "NOT sound" };
    let lost =
        if report.fault_count == 0 { "nothing lost".to_owned() } else { format!("{} FAULTS", report.fault_count) };
    let _ = writeln!(text, "register and chain of records {sound}; {lost}");
    for fault in &report.faults {
        let _ = writeln!(text, "  {fault}");
    }
    text
}

/// A time of 10 ms to 30 days.
fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    let range = Duration::from_millis(10)..=Duration::from_hours(24 * 30);
    time.filter(|time| range.contains(time))
        .ok_or_else(|| "expected a time from 10ms to 720h, such as 45m, 90s or 1h30m".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=0.5).contains(share));
    share.ok_or_else(|| "expected a share in [0, 0.5], such as 0.05".to_owned())
}
