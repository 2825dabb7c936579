//! `clearlane bench embed`: the way of a picture to a template stage by stage, and each network by itself.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;
use clearlane_embed::{Extractor, Frame, Stage, Timings};
use clearlane_infer::{Isa, Network, fma_peak};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use ndarray::{Array4, Axis};
use serde::Serialize;
use serde_json::json;

use super::percentile;
use crate::failure::{Exit, Failure, Result, chain};
use crate::models::ModelArgs;
use crate::output::{Output, table};
use crate::pictures::{self, Face};

/// From a picture to a template: the time of each stage, and of each network
///
/// The picture is decoded once, laid on a canvas of each size, and extracted many times on one thread. Then each network
/// runs by itself, for every number of threads and every batch.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EmbedArgs {
    /// A picture with a face
    picture: PathBuf,
    /// How often to extract, and to run each network
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
    /// Frames to lay the picture on, filling their height or width [default: the picture as it is]
    #[arg(long, value_name = "WxH", value_delimiter = ',')]
    sizes: Vec<Size>,
    /// Threads that share a run of a network
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Vec<u16>,
    /// Pictures in a run of a network
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: Vec<u16>,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value = "largest")]
    face: Face,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane bench embed portrait.jpg --repeat 200 --json
  clearlane bench embed portrait.jpg --sizes 1280x720,1920x1080 --threads 1,2 --batch 1,8";

/// Width and height of a frame.
#[derive(Clone, Copy, Debug)]
struct Size(u32, u32);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side| (16..=8192).contains(side));
        let sides = text.split_once('x').and_then(|(width, height)| Some(Self(side(width)?, side(height)?)));
        sides.ok_or_else(|| "two sides of 16 to 8192 pixels, such as 1280x720".to_owned())
    }
}

/// Milliseconds.
#[derive(Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

#[derive(Debug, Serialize)]
struct StageRow {
    width: u32,
    height: u32,
    stage: &'static str,
    ms: Percentiles,
}

#[derive(Debug, Serialize)]
struct NetworkRow {
    model: String,
    threads: u16,
    batch: u16,
    /// Of a whole batch.
    ms: Percentiles,
    gflops: f64,
    /// The rate over the measured peak of as many cores as there are threads.
    peak_share: f64,
}

pub(super) fn run(args: &EmbedArgs, output: &Output) -> Result<Exit> {
    let begin = Instant::now();
    let extractor = args.models.load_extractor(args.face.into())?;
    let load_ms = 1e3 * begin.elapsed().as_secs_f64();
    let picture = pictures::open(&args.picture)?;
    let mut stages = Vec::new();
    if args.sizes.is_empty() {
        stages.extend(extracted(args, &extractor, &picture)?);
    }
    for &size in &args.sizes {
        stages.extend(extracted(args, &extractor, &laid_on(&picture, size)?)?);
    }
    let peak = fma_peak(Isa::best());
    let (detector, embedder) = (extractor.detector(), extractor.embedder());
    let mut networks = Vec::new();
    for (name, network) in [(detector.name(), detector.network()), (embedder.name(), embedder.network())] {
        for &threads in &args.threads {
            for &batch in &args.batch {
                networks.push(ran(args, name, network, [threads, batch], peak)?);
            }
        }
    }
    let (detector, embedder) = (detector.name(), embedder.name());
    let value = json!({
        "detector": detector, "embedder": embedder, "repeat": args.repeat, "load_ms": load_ms,
        "stages": stages, "networks": networks, "fma_peak_gflops": peak,
    });
    output.result(&value, || {
        let head = format!(
            "{detector} and {embedder}, loaded in {load_ms:.0} ms; {} times; one core multiplies and adds at {peak:.0} GFLOP/s\n",
            args.repeat
        );
        head + &stage_table(&stages) + "\n" + &network_table(&networks)
    })?;
    Ok(Exit::Yes)
}

/// The picture on a black frame of another size, as large as fits.
fn laid_on(picture: &Frame<'_>, Size(width, height): Size) -> Result<Frame<'static>> {
    let whole = RgbImage::from_raw(picture.width(), picture.height(), picture.to_rgb8().into_owned());
    let scale =
        f64::min(f64::from(width) / f64::from(picture.width()), f64::from(height) / f64::from(picture.height()));
    let fitted = |side: u32| ((f64::from(side) * scale) as u32).max(1);
    let (w, h) = (fitted(picture.width()), fitted(picture.height()));
    let scaled = imageops::resize(&whole.unwrap_or_default(), w, h, FilterType::Triangle);
    let mut canvas = RgbImage::from_pixel(width, height, Rgb([0; 3]));
    imageops::replace(&mut canvas, &scaled, i64::from((width - w) / 2), i64::from((height - h) / 2));
    Frame::rgb8(width, height, canvas.into_raw()).map_err(|error| Failure::of(Exit::Usage, &error))
}

fn extracted(args: &EmbedArgs, extractor: &Extractor, frame: &Frame<'_>) -> Result<Vec<StageRow>> {
    let extract = || extractor.extract(frame).map_err(|error| Failure::at(Exit::Input, &args.picture, &error));
    for _ in 0..args.repeat.min(5) {
        extract()?;
    }
    let timings = (0..args.repeat).map(|_| Ok(extract()?.timings)).collect::<Result<Vec<Timings>>>()?;
    let row = |stage: &'static str, time: &dyn Fn(&Timings) -> Duration| {
        let ms = Percentiles::of(timings.iter().map(time));
        StageRow { width: frame.width(), height: frame.height(), stage, ms }
    };
    // There is no PAD stage here.
    let stages = Stage::ALL.into_iter().filter(|stage| *stage != Stage::Pad);
    let rows = stages.map(|stage| row(stage.name(), &|timings| timings[stage]));
    Ok(rows.chain([row("total", &Timings::total)]).collect())
}

fn ran(args: &EmbedArgs, name: &str, network: &Network, [threads, batch]: [u16; 2], peak: f64) -> Result<NetworkRow> {
    let failed = |error: &dyn std::error::Error| Failure::new(Exit::Model, format!("model `{name}`: {}", chain(error)));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build();
    let pool = pool.map_err(|error| Failure::of(Exit::System, &error))?;
    let [channels, height, width] = network.input_shape();
    let images = Array4::from_elem((usize::from(batch), channels, height, width), 0.5);
    let run = || {
        pool.install(|| {
            let start = Instant::now();
            network.run_parallel(images.view()).map_err(|error| failed(&error))?;
            Ok(start.elapsed())
        })
    };
    for _ in 0..args.repeat.min(5) {
        run()?;
    }
    let times = (0..args.repeat).map(|_| run()).collect::<Result<Vec<Duration>>>()?;
    let ms = Percentiles::of(times.into_iter());
    let steps = network.profile(images.index_axis(Axis(0), 0), 1).map_err(|error| failed(&error))?;
    let products: usize = steps.iter().map(|step| step.products).sum();
    let gflops = 2.0 * products as f64 * f64::from(batch) / ms.p50 / 1e6;
    Ok(NetworkRow {
        model: name.to_owned(),
        threads,
        batch,
        gflops,
        peak_share: gflops / peak / f64::from(threads),
        ms,
    })
}

impl Percentiles {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<f64> = times.map(|time| 1e3 * time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        Self { p50: percentile(&times, 0.5), p95: percentile(&times, 0.95), p99: percentile(&times, 0.99) }
    }

    fn cells(&self) -> [String; 3] {
        [self.p50, self.p95, self.p99].map(|time| format!("{time:.3}"))
    }
}

fn stage_table(stages: &[StageRow]) -> String {
    let row = |row: &StageRow| {
        let named = [format!("{} x {}", row.width, row.height), row.stage.to_owned()];
        named.into_iter().chain(row.ms.cells()).collect()
    };
    table(&["FRAME", "STAGE", "P50 ms", "P95", "P99"], &[2, 3, 4], &stages.iter().map(row).collect::<Vec<_>>())
}

fn network_table(networks: &[NetworkRow]) -> String {
    let row = |row: &NetworkRow| {
        let named = [row.model.clone(), row.threads.to_string(), row.batch.to_string()];
        let each = format!("{:.3}", row.ms.p50 / f64::from(row.batch));
        let rate = [each, format!("{:.1}", row.gflops), format!("{:.0} %", 100.0 * row.peak_share)];
        named.into_iter().chain(row.ms.cells()).chain(rate).collect()
    };
    let header = ["NETWORK", "THREADS", "BATCH", "P50 ms", "P95", "P99", "ms EACH", "GFLOP/s", "OF PEAK"];
    table(&header, &[1, 2, 3, 4, 5, 6, 7, 8], &networks.iter().map(row).collect::<Vec<_>>())
}
