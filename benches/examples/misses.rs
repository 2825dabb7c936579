//! How often a sketch misses, on random unit vectors, counted against exhaustive searches.
//!
//! Every probe is searched with a threshold that a share of the gallery reaches, so that many pairs stand near the bound.
//! Prints the numbers of scored pairs, of pairs at or above the threshold, and of misses among these, as JSON.

use clap::Parser;
use clearlane_benches::misses::{MissOptions, Misses, count};
use clearlane_simulate::vectors::random_rows;

#[derive(Parser)]
struct Arguments {
    /// Templates in the gallery
    #[arg(long, default_value_t = 100_000)]
    size: usize,
    /// Probes
    #[arg(long, default_value_t = 10_000)]
    probes: usize,
    /// Values of a template
    #[arg(long, default_value_t = 128)]
    dimension: usize,
    /// The least score that counts
    #[arg(long, default_value_t = 0.2)]
    threshold: f32,
    /// The miss probability that the bound states
    #[arg(long, default_value_t = 1e-9)]
    miss: f64,
    /// The most bytes of a code
    #[arg(long, default_value_t = 64)]
    code_budget: usize,
    /// How many rotations to try, each on vectors of its own
    #[arg(long, default_value_t = 1)]
    rotations: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a = Arguments::parse();
    let mut misses = Misses::default();
    for seed in 1..=a.rotations {
        let mut rows = vec![0.0; a.size * a.dimension];
        random_rows(&mut rows, a.dimension, 2 * seed, 0);
        let mut probes = vec![0.0; a.probes * a.dimension];
        random_rows(&mut probes, a.dimension, 2 * seed + 1, 0);
        let options = MissOptions { threshold: a.threshold, miss: a.miss, code_budget: a.code_budget, seed };
        misses += count(&rows, &probes, a.dimension, &options)?;
    }
    println!("{}", serde_json::to_string(&misses)?);
    Ok(())
}
