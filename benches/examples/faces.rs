//! Search on templates of real faces, from a folder of pictures, SUBJECT/IMAGE: how often a sketch misses among all their
//! pairs, in several rotations, and what a search takes in a gallery that is filled up with fictional templates of the same
//! distribution. Templates are made, used and wiped in memory. Prints one report after the other, as JSON.

use std::path::{Path, PathBuf};

use clap::Parser;
use clearlane_benches::misses::{MissOptions, Misses, count};
use clearlane_embed::{DecodeLimits, Extractor, Frame, Models, Selection};
use clearlane_simulate::search::{Given, SearchBench, run_on};
use clearlane_simulate::vectors::{alike, model};
use clearlane_template::Template;
use rayon::prelude::*;

#[derive(Parser)]
struct Arguments {
    /// A folder with a folder of pictures for each subject
    faces: PathBuf,
    /// A folder of models
    #[arg(long, env = "CLEARLANE_MODELS")]
    models: Option<PathBuf>,
    /// The detector, by its name in the manifest
    #[arg(long)]
    detector: Option<String>,
    /// The embedder, by its name in the manifest
    #[arg(long)]
    embedder: Option<String>,
    /// The least score that counts where misses are counted
    #[arg(long, default_value_t = 0.2)]
    miss_threshold: f32,
    /// How many rotations to count misses in; 0: count none
    #[arg(long, default_value_t = 6)]
    rotations: u64,
    #[command(flatten)]
    bench: SearchBench,
}

/// The template of a picture, and the number of its subject.
struct Face {
    subject: usize,
    values: Vec<f32>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a = Arguments::parse();
    let faces = faces(&a, &pictures(&a.faces)?)?;
    let dimension = faces.first().ok_or("no picture gave a template")?.values.len();
    let all: Vec<f32> = faces.iter().flat_map(|face| face.values.iter().copied()).collect();
    eprintln!("{} templates of {dimension} values", faces.len());

    let mut misses = Misses::default();
    for seed in 1..=a.rotations {
        let code_budget = a.bench.code_budget.unwrap_or(64);
        let options = MissOptions { threshold: a.miss_threshold, miss: a.bench.miss, code_budget, seed };
        misses += count(&all, &all, dimension, &options)?;
    }
    println!("{}", serde_json::to_string(&misses)?);

    // The first picture of a subject is a probe, where there is another to stand in the gallery.
    let starts_several = |i: usize| {
        let subject = |i: usize| faces.get(i).map(|face: &Face| face.subject);
        subject(i) == subject(i + 1) && (i == 0 || subject(i - 1) != subject(i))
    };
    let probes: Vec<usize> = (0..faces.len()).filter(|&i| starts_several(i)).take(a.bench.probes).collect();
    let mut rows: Vec<f32> = (0..faces.len())
        .filter(|i| probes.binary_search(i).is_err())
        .flat_map(|i| faces[i].values.iter().copied())
        .collect();
    let largest = a.bench.sizes.iter().max().copied().unwrap_or(0);
    let real = rows.len();
    rows.resize(real.max(largest * dimension), 0.0);
    let (real, fictional) = rows.split_at_mut(real);
    alike(real, dimension, fictional, a.bench.seed);
    let probes = probes
        .into_iter()
        .map(|i| Template::from_unit(model(), faces[i].values.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let report = run_on(&a.bench, &Given { rows, dimension, probes }, |doing| eprintln!("{doing}"))?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// The pictures of each subject, by name.
fn pictures(folder: &Path) -> std::io::Result<Vec<Vec<PathBuf>>> {
    let list = |folder: &Path| -> std::io::Result<Vec<PathBuf>> {
        let mut paths =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    list(folder)?.iter().filter(|path| path.is_dir()).map(|path| list(path)).collect()
}

/// The templates of all pictures with a face.
fn faces(a: &Arguments, subjects: &[Vec<PathBuf>]) -> Result<Vec<Face>, Box<dyn std::error::Error>> {
    let mut models = Models::builtin()?;
    if let Some(folder) = &a.models {
        models.add_folder(folder)?;
    }
    let detector = a.detector.as_deref().map_or_else(|| models.default_detector(), Ok)?;
    let embedder = a.embedder.as_deref().map_or_else(|| models.default_embedder(), Ok)?;
    eprintln!("{detector} and {embedder}");
    let extractor =
        Extractor::new(models.detector(detector)?, models.embedder(embedder)?).with_selection(Selection::Central);
    let one = |subject: usize, path: &PathBuf| {
        let frame = Frame::open(path, &DecodeLimits::default()).ok()?;
        let template = extractor.extract(&frame).ok()?.template;
        Some(Face { subject, values: template.as_slice().to_vec() })
    };
    let of_subject = |(subject, paths): (usize, &Vec<PathBuf>)| {
        paths.iter().filter_map(|path| one(subject, path)).collect::<Vec<_>>()
    };
    Ok(subjects.par_iter().enumerate().flat_map_iter(of_subject).collect())
}
