//! The measurements, and what they are made on.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use clearlane_match::{Gallery, GalleryBuilder, GalleryError, Mode, Precision, SearchOptions, SearchOutcome};
use clearlane_template::{ModelId, SubjectId, Template, TemplateError, TemplateId};
use rayon::prelude::*;

use crate::holes::Holes;

/// Writes a gallery file of synthetic templates, opens it, and searches.
#[derive(Parser)]
struct Args {
    /// The file: written unless it is there
    path: PathBuf,
    /// Templates
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Values of a template
    #[arg(long, default_value_t = 512)]
    dimension: usize,
    /// How strong the last dimension is, with those between declining evenly: 1 is uniform on the sphere, less gives scores of
    /// different subjects the spread that those of faces have
    #[arg(long, default_value_t = 1.0)]
    last: f32,
    /// The least score of a candidate
    #[arg(long, default_value_t = 0.4)]
    threshold: f32,
    /// Probes in each measurement; every second one has a mate of score 0.6
    #[arg(long, default_value_t = 100)]
    probes: usize,
    /// Threads that one search runs on
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Candidates to find
    #[arg(short, long, value_delimiter = ',', default_value = "1,20")]
    k: Vec<usize>,
    /// Keep codes for certified searches
    #[arg(long)]
    certified: bool,
    /// Leave holes in the file where rows would be, and make those that searches ask for
    #[arg(long, conflicts_with_all = ["certified", "exhaustive"])]
    holes: bool,
    /// Exhaustive searches: each reads all rows
    #[arg(long, default_value_t = 0)]
    exhaustive: usize,
}

const SECRET: [u8; 32] = [9; 32];
/// Rows that are drawn at once.
const AT_ONCE: usize = 1 << 15;

impl Args {
    fn builder(&self) -> GalleryBuilder {
        let builder = Gallery::builder(model(), self.dimension).precision(Precision::I8);
        builder.certified_codes(self.certified)
    }

    /// The rows from number `first` on, as many as there is room for.
    fn draw(&self, values: &mut [f32], first: usize) {
        let step = (1.0 - self.last) / self.dimension as f32;
        values.par_chunks_exact_mut(self.dimension).enumerate().for_each(|(row, values)| {
            let mut state = ((first + row) as u64 + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            let mut strength = 1.0;
            for value in values.iter_mut() {
                (*value, strength) = (strength * nearly_normal(&mut state), strength - step);
            }
            normalise(values);
        });
    }

    fn write(&self) -> Result<(), Box<dyn Error>> {
        let mut file = self.builder().create_file(&self.path, &SECRET)?;
        let mut holes = self.holes.then(|| Holes::new(self.dimension));
        let mut values = vec![0.0; AT_ONCE * self.dimension];
        let (start, busy, mut drawing) = (Instant::now(), processor(), (Duration::ZERO, 0.0));
        for first in (0..self.rows).step_by(AT_ONCE) {
            let ids: Vec<_> =
                (first..self.rows.min(first + AT_ONCE)).map(|i| (SubjectId(i as u64), TemplateId(i as u64))).collect();
            let values = &mut values[..ids.len() * self.dimension];
            let (begin, before) = (Instant::now(), processor());
            self.draw(values, first);
            drawing = (drawing.0 + begin.elapsed(), drawing.1 + processor() - before);
            file.extend_rows(&ids, values)?;
            if let Some(holes) = &mut holes {
                holes.leave(&self.path, file.len())?;
            }
        }
        file.finish(b"")?;
        let (all, bytes) = (start.elapsed(), std::fs::metadata(&self.path)?.len());
        let busy = processor() - busy - drawing.1;
        println!(
            "written in {:.1} s, {busy:.1} s of the processor, drawing not counted",
            all.saturating_sub(drawing.0).as_secs_f64()
        );
        println!("{:.2} GB in the file, {:.1} bytes a template", bytes as f64 / 1e9, bytes as f64 / self.rows as f64);
        Ok(())
    }

    /// Probes, every second one of somebody in the gallery.
    fn probes(&self) -> Result<Vec<Template>, TemplateError> {
        let (mut row, mut noise) = (vec![0.0; self.dimension], vec![0.0; self.dimension]);
        let mut probe = |i: usize| {
            self.draw(&mut noise, (1 << 40) + i);
            if i.is_multiple_of(2) {
                self.draw(&mut row, i * (self.rows / self.probes));
                // The part of the noise that is at right angles to the row, in so much that the score is 0.6.
                let along: f32 = row.iter().zip(&noise).map(|(a, b)| a * b).sum();
                noise.iter_mut().zip(&row).for_each(|(noise, row)| *noise -= along * row);
                normalise(&mut noise);
                noise.iter_mut().zip(&row).for_each(|(noise, row)| *noise = 0.6 * row + 0.8 * *noise);
            }
            Template::normalised(model(), noise.clone())
        };
        (0..self.probes).map(&mut probe).collect()
    }

    /// What a search gives, and the seconds that it took, by the clock and of the processor. Where rows are holes it is tried again
    /// until all that it asks for are made, and the last try counts.
    fn timed(
        &self,
        cold: bool,
        search: impl Fn() -> Result<SearchOutcome, GalleryError>,
    ) -> Result<(SearchOutcome, f64, f64), Box<dyn Error>> {
        let mut last = None;
        loop {
            if cold {
                forget(&self.path)?;
            }
            let (start, before) = (Instant::now(), processor());
            match search() {
                Err(GalleryError::AlteredRow { row, .. }) if self.holes && last != Some(row) => {
                    self.fill(row)?;
                    last = Some(row);
                }
                outcome => return Ok((outcome?, start.elapsed().as_secs_f64(), processor() - before)),
            }
        }
    }

    /// Makes a row, and puts it where the hole is.
    fn fill(&self, row: u64) -> Result<(), Box<dyn Error>> {
        let mut values = vec![0.0; self.dimension];
        self.draw(&mut values, row as usize);
        let folder = tempfile::tempdir()?;
        let alone = folder.path().join("alone");
        let mut file = self.builder().create_file(&alone, &SECRET)?;
        file.extend_rows(&[(SubjectId(row), TemplateId(row))], &values)?;
        file.finish(b"")?;
        Holes::new(self.dimension).fill(&self.path, row, &alone, &SECRET)
    }

    fn measure(&self, gallery: &Gallery, mode: Mode, probes: &[Template]) -> Result<(), Box<dyn Error>> {
        let pools: Result<Vec<_>, _> =
            self.threads.iter().map(|threads| rayon::ThreadPoolBuilder::new().num_threads(*threads).build()).collect();
        // All of them live on until the end: threads that end take what they had of the processor out of the sum.
        for (pool, &k) in pools?.iter().flat_map(|pool| self.k.iter().map(move |k| (pool, k))) {
            let threads = pool.current_num_threads();
            let options =
                SearchOptions { threshold: self.threshold, mode, parallel: threads > 1, ..SearchOptions::new(k) };
            for cold in [true, false] {
                let (mut times, mut survivors, mut read, mut found, mut busy) = (Vec::new(), 0, 0, 0, 0.0);
                for probe in probes {
                    let (outcome, time, processor) =
                        self.timed(cold, || pool.install(|| gallery.search(probe, &options)))?;
                    times.push(time * 1e3);
                    busy += processor;
                    survivors += outcome.stats.survivors;
                    read += outcome.stats.rows_read;
                    found += usize::from(outcome.candidates.first().is_some_and(|best| best.score > 0.55));
                }
                times.sort_by(f64::total_cmp);
                let (count, name) = (probes.len(), if cold { "cold" } else { "warm" });
                println!(
                    "{mode:?} threads {threads} k {k} {name}: p50 {:.2} ms, p99 {:.2} ms, processor {:.2} ms; past the scan {}, \
                     read {:.1}; mates found {found} of {}",
                    times[count / 2],
                    times[count * 99 / 100],
                    busy * 1e3 / count as f64,
                    survivors / count as u64,
                    read as f64 / count as f64,
                    count.div_ceil(2)
                );
            }
        }
        Ok(())
    }
}

fn model() -> ModelId {
    ModelId::digest([b"synthetic".as_slice()])
}

/// The sum of four uniform values (Irwin and Hall), from the generator `SplitMix64` (Steele, Lea and Flood 2014).
fn nearly_normal(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let z = z ^ (z >> 31);
    let sum = (z & 0xFFFF) + (z >> 16 & 0xFFFF) + (z >> 32 & 0xFFFF) + (z >> 48);
    sum as f32 / 65536.0 - 2.0
}

fn normalise(row: &mut [f32]) {
    let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    for value in row {
        *value = (f64::from(*value) / norm) as f32;
    }
}

/// Has the system drop the file's pages from its cache.
fn forget(path: &Path) -> Result<(), Box<dyn Error>> {
    let file = File::open(path)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

/// The time that the process's threads have had a processor, in seconds: it does not depend on what else runs.
fn processor() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// The process's memory, in GB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()).unwrap_or_default() * 1024.0
        / 1e9
}

/// Does what the command line asks for.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if !args.path.exists() {
        args.write()?;
    }
    for name in ["cold", "warm"] {
        if name == "cold" {
            forget(&args.path)?;
        }
        let (before, start, busy) = (resident(), Instant::now(), processor());
        let (gallery, _) = args.builder().open_file(&args.path, &SECRET)?;
        let took = start.elapsed().as_secs_f64();
        let (busy, resident) = (processor() - busy, resident() - before);
        println!(
            "opened {name} in {took:.2} s, {busy:.2} s of the processor: {} templates, {resident:.2} GB resident",
            gallery.len()
        );
    }
    let (gallery, _) = args.builder().open_file(&args.path, &SECRET)?;
    println!("{:?}: {:.1} bytes a template", gallery.memory(), gallery.memory().total() as f64 / gallery.len() as f64);
    let probes = args.probes()?;
    args.measure(&gallery, Mode::SKETCH, &probes)?;
    if args.certified {
        args.measure(&gallery, Mode::Certified, &probes)?;
    }
    if args.exhaustive > 0 {
        args.measure(&gallery, Mode::Exhaustive, &probes[..args.exhaustive.min(probes.len())])?;
    }
    Ok(())
}
