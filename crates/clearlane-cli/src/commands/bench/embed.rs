//! `clearlane bench embed`: the way of a picture to a template, stage by stage.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clearlane_embed::Timings;
use serde::Serialize;
use serde_json::json;

use super::percentile;
use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;
use crate::output::{Output, table};
use crate::pictures::{self, Face};

/// From a picture to a template: the time of each stage
///
/// The picture is decoded once and extracted many times on one thread.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clearlane bench embed portrait.jpg --repeat 200 --json")]
pub(crate) struct EmbedArgs {
    /// A picture with a face
    picture: PathBuf,
    /// How often to extract
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "largest")]
    face: Face,
    #[command(flatten)]
    models: ModelArgs,
}

/// The time of one stage among those of an extraction.
type StageTime = fn(&Timings) -> Duration;

/// Milliseconds of one stage.
#[derive(Debug, Serialize)]
struct Percentiles {
    stage: &'static str,
    p50: f64,
    p95: f64,
    p99: f64,
}

pub(super) fn run(args: &EmbedArgs, output: &Output) -> Result<Exit> {
    let begin = Instant::now();
    let extractor = args.models.load_extractor(args.face.into())?;
    let load_ms = 1e3 * begin.elapsed().as_secs_f64();
    let frame = pictures::open(&args.picture)?;
    let extract = || extractor.extract(&frame).map_err(|error| Failure::at(Exit::Input, &args.picture, &error));
    for _ in 0..args.repeat.min(5) {
        extract()?;
    }
    let timings = (0..args.repeat).map(|_| Ok(extract()?.timings)).collect::<Result<Vec<Timings>>>()?;
    let stages: [(&'static str, StageTime); 5] = [
        ("detect", |timings| timings.detect),
        ("align", |timings| timings.align),
        ("quality", |timings| timings.quality),
        ("embed", |timings| timings.embed),
        ("total", Timings::total),
    ];
    let stages: Vec<Percentiles> = stages.into_iter().map(|(stage, time)| measured(stage, time, &timings)).collect();
    let (detector, embedder) = (extractor.detector().name(), extractor.embedder().name());
    let value = json!({
        "detector": detector, "embedder": embedder, "width": frame.width(), "height": frame.height(),
        "repeat": args.repeat, "load_ms": load_ms, "ms": stages,
    });
    output.result(&value, || {
        let row = |stage: &Percentiles| {
            let times = [stage.p50, stage.p95, stage.p99].map(|time| format!("{time:.3}"));
            std::iter::once(stage.stage.to_owned()).chain(times).collect::<Vec<_>>()
        };
        let rows: Vec<_> = stages.iter().map(row).collect();
        format!(
            "{detector} and {embedder}, loaded in {load_ms:.0} ms; {} x {} pixels, {} times, one thread\n{}",
            frame.width(),
            frame.height(),
            args.repeat,
            table(&["STAGE", "P50 ms", "P95", "P99"], &[1, 2, 3], &rows)
        )
    })?;
    Ok(Exit::Yes)
}

fn measured(stage: &'static str, time: fn(&Timings) -> Duration, timings: &[Timings]) -> Percentiles {
    let mut times: Vec<f64> = timings.iter().map(|timings| 1e3 * time(timings).as_secs_f64()).collect();
    times.sort_by(f64::total_cmp);
    Percentiles { stage, p50: percentile(&times, 0.5), p95: percentile(&times, 0.95), p99: percentile(&times, 0.99) }
}
