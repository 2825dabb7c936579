//! Search on templates of real faces, from a folder of pictures, SUBJECT/IMAGE: how often a sketch misses among all their
//! pairs, in several rotations, and what a search takes in a gallery that is filled up with fictional templates of the same
//! distribution. Templates are made, used and wiped in memory. Prints one report after the other, as JSON.

use std::path::PathBuf;

use clap::Parser;
use clearlane_benches::faces::of_folder;
use clearlane_benches::misses::{MissOptions, Misses, count};
use clearlane_embed::{Extractor, Models, Selection};
use clearlane_simulate::faces::given;
use clearlane_simulate::search::{SearchBench, run_on};

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a = Arguments::parse();
    let faces = of_folder(&a.faces, usize::MAX, &extractor(&a)?)?;
    let dimension = faces.first().ok_or("no picture gave a template")?.template.dimension();
    let all: Vec<f32> = faces.iter().flat_map(|face| face.template.as_slice()).copied().collect();
    eprintln!("{} templates of {dimension} values", faces.len());

    let mut misses = Misses::default();
    for seed in 1..=a.rotations {
        let code_budget = a.bench.code_budget.unwrap_or(64);
        let options = MissOptions { threshold: a.miss_threshold, miss: a.bench.miss, code_budget, seed };
        misses += count(&all, &all, dimension, &options)?;
    }
    println!("{}", serde_json::to_string(&misses)?);

    let report = run_on(&a.bench, &given(&faces, &a.bench)?, |doing| eprintln!("{doing}"))?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// The models that were chosen.
fn extractor(a: &Arguments) -> Result<Extractor, Box<dyn std::error::Error>> {
    let mut models = Models::builtin()?;
    if let Some(folder) = &a.models {
        models.add_folder(folder)?;
    }
    let detector = a.detector.as_deref().map_or_else(|| models.default_detector(), Ok)?;
    let embedder = a.embedder.as_deref().map_or_else(|| models.default_embedder(), Ok)?;
    eprintln!("{detector} and {embedder}");
    Ok(Extractor::new(models.detector(detector)?, models.embedder(embedder)?).with_selection(Selection::Central))
}
