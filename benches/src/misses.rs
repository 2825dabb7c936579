//! How often the statistical bound of a sketch rules out what it should not, counted against exhaustive searches.

use std::ops::AddAssign;

use clearlane_match::{Gallery, Mode, SearchOptions};
use clearlane_simulate::search::BenchError;
use clearlane_simulate::vectors::model;
use clearlane_template::{SubjectId, Template, TemplateId};
use serde::Serialize;

/// Probes that are searched in one pass.
const AT_ONCE: usize = 32;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub struct MissOptions {
    /// The least score that counts.
    pub threshold: f32,
    /// The miss probability that the bound states.
    pub miss: f64,
    /// The most bytes of a code.
    pub code_budget: usize,
    /// The seed of the gallery's rotation: with each one, all pairs are tried anew.
    pub seed: u64,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Misses {
    /// Pairs of a probe and a stored template.
    pub pairs: u64,
    /// Those that score at or above the threshold.
    pub above: u64,
    /// Those of them that the sketch did not find.
    pub missed: u64,
    /// Pairs whose exact score the sketch computed.
    pub scored: u64,
}

impl AddAssign for Misses {
    fn add_assign(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.above += other.above;
        self.missed += other.missed;
        self.scored += other.scored;
    }
}

/// Searches `rows` for each of `probes`, unit vectors of `dimension` values one after the other, with all threads.
pub fn count(rows: &[f32], probes: &[f32], dimension: usize, options: &MissOptions) -> Result<Misses, BenchError> {
    let size = rows.len() / dimension;
    let gallery = Gallery::builder(model(), dimension)
        .code_budget(options.code_budget)
        .certified_codes(false)
        .fixed_seed(options.seed)
        .build()?;
    let ids: Vec<_> = (0..size as u64).map(|id| (SubjectId(id), TemplateId(id))).collect();
    gallery.try_reserve(size)?;
    gallery.extend_rows(&ids, rows)?;
    let snapshot = gallery.snapshot();
    let exact = SearchOptions {
        threshold: options.threshold,
        mode: Mode::Exhaustive,
        parallel: true,
        ..SearchOptions::new(size)
    };
    let sketch = SearchOptions { mode: Mode::Sketch { miss: options.miss }, ..exact };
    let mut misses = Misses::default();
    for probes in probes.chunks(AT_ONCE * dimension) {
        let probes = probes
            .chunks_exact(dimension)
            .map(|row| Template::from_unit(model(), row.to_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        let exact = snapshot.search_batch(&probes, &exact)?;
        for (exact, sketch) in exact.iter().zip(snapshot.search_batch(&probes, &sketch)?) {
            let above = exact.candidates.len() as u64;
            let found = sketch.candidates.len() as u64;
            misses += Misses { pairs: size as u64, above, missed: above - found, scored: sketch.stats.scored };
        }
    }
    Ok(misses)
}
