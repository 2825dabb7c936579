//! How often the statistical bound of a sketch rules out what it should not, counted against exhaustive searches.
//!
//! Every probe is searched with a threshold that a share of the gallery reaches, so that many pairs stand near the bound.
//! Prints the number of scored pairs, of pairs at or above the threshold, and of misses among these.

use std::path::PathBuf;

use clap::Parser;
use clearlane_benches::vectors::{VectorFile, model, random_rows};
use clearlane_match::{Gallery, Mode, SearchOptions};
use clearlane_template::{SubjectId, Template, TemplateId};

#[derive(Parser)]
struct Arguments {
    /// Templates in the gallery, where they are random
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
    /// A file of templates to search, each for all others: 32-bit little-endian floats
    #[arg(long)]
    vectors: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a = Arguments::parse();
    let (rows, probes) = if let Some(path) = &a.vectors {
        let mut file = VectorFile::open(path, a.dimension)?;
        let rows = file.read(file.rows())?;
        let probes = rows[..rows.len().min(a.probes * a.dimension)].to_vec();
        (rows, probes)
    } else {
        let mut rows = vec![0.0; a.size * a.dimension];
        random_rows(&mut rows, a.dimension, 1, 0);
        let mut probes = vec![0.0; a.probes * a.dimension];
        random_rows(&mut probes, a.dimension, 2, 0);
        (rows, probes)
    };
    let size = rows.len() / a.dimension;
    let gallery = Gallery::builder(model(), a.dimension).code_budget(a.code_budget).certified_codes(false).build()?;
    let ids: Vec<_> = (0..size as u64).map(|id| (SubjectId(id), TemplateId(id))).collect();
    gallery.extend_rows(&ids, &rows)?;
    drop(rows);
    let snapshot = gallery.snapshot();
    let probes = probes
        .chunks_exact(a.dimension)
        .map(|row| Template::normalised(model(), row.to_vec()))
        .collect::<Result<Vec<_>, _>>()?;
    let exact =
        SearchOptions { threshold: a.threshold, mode: Mode::Exhaustive, parallel: true, ..SearchOptions::new(size) };
    let sketch = SearchOptions { mode: Mode::Sketch { miss: a.miss }, ..exact };
    let (mut above, mut found) = (0, 0);
    for probes in probes.chunks(32) {
        for (exact, sketch) in
            snapshot.search_batch(probes, &exact)?.iter().zip(snapshot.search_batch(probes, &sketch)?)
        {
            above += exact.candidates.len();
            found += sketch.candidates.len();
        }
    }
    let misses = above - found;
    println!(
        "{} pairs of {} values, {above} at or above {}: {misses} missed, {:.3e} of them; stated {:e}",
        size * probes.len(),
        a.dimension,
        a.threshold,
        misses as f64 / above.max(1) as f64,
        a.miss
    );
    Ok(())
}
