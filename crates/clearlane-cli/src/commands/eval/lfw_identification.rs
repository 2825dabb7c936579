//! A 1:N test: everybody's first image enrolled, searches with second images.
//!
//! Mated searches are as they are. For non-mated ones every probe is searched once more with its mate taken out of the
//! gallery.

use std::fmt::Write as _;

use clearlane_embed::Template;
use clearlane_eval::lfw::Identification;
use clearlane_eval::{MatedSearch, Searches, report};
use rayon::prelude::*;
use serde_json::json;

use super::lfw::Lfw;
use super::report::finish;
use super::search_modes;
use super::worst::Worst;
use crate::failure::{Exit, Result};
use crate::output::{Output, percent};

pub(super) const RANKS: [usize; 4] = [1, 5, 10, 50];
/// The last is that of the tables of NIST's FRTE 1:N.
pub(super) const TARGET_FPIRS: [f64; 3] = [1e-1, 1e-2, 3e-3];
/// Those that are given where enough searches show them.
const OPEN_SET_FPIRS: [f64; 4] = [1e-1, 3e-2, 1e-2, 1e-3];

pub(super) fn run(lfw: &Lfw<'_>, output: &Output) -> Result<Exit> {
    let test = Identification::new(lfw.images()?, &lfw.errata);
    let images: Vec<_> = test.references.iter().chain(test.probes.iter().map(|probe| &probe.image)).collect();
    let (templates, made) = lfw.templates(&images)?;
    let references: Vec<Option<&Template>> = test.references.iter().map(|image| templates.get(image)).collect();
    let searched: Vec<_> =
        test.probes.par_iter().map(|probe| search(templates.get(&probe.image), &references, probe.mate)).collect();
    let (mated, non_mated) = searched.into_iter().unzip();
    let searches = Searches::new(mated, non_mated)?;
    let enrolled = references.iter().flatten().count();
    let report = report::Identification::new(enrolled, &searches, &RANKS, &TARGET_FPIRS)?;
    let probes: Vec<_> = test.probes.iter().map(|probe| (templates.get(&probe.image), probe.mate)).collect();
    let by_size =
        sizes(enrolled).into_iter().map(|size| open_set(&probes, &references, size)).collect::<Result<Vec<_>>>()?;
    let modes = match by_size.last().and_then(|all| all.points.last()) {
        Some(point) => search_modes::compare(&probes, &references, point.threshold)?,
        None => Vec::new(),
    };
    let value = json!({
        "protocol": "LFW 1:N, first image enrolled, second searched", "models": made, "figures": report,
        "by_gallery_size": by_size, "by_search_mode": modes,
    });
    finish(value, &Worst::default(), &lfw.args.run.report, output, || {
        let all = described("LFW 1:N", "the mate taken out", &report);
        made.text() + &all + &sized(&by_size) + &search_modes::described(&modes)
    })
}

/// Galleries to look at: powers of two times the smallest, and all.
fn sizes(enrolled: usize) -> Vec<usize> {
    let smaller = std::iter::successors(Some(500), |size| Some(size * 2)).take_while(|size| *size < enrolled);
    smaller.chain([enrolled]).collect()
}

/// FNIR and FPIR where only `size` references are enrolled, evenly chosen from all. Mated searches are those whose mate is
/// enrolled; in non-mated ones the mate is taken out.
fn open_set(
    probes: &[(Option<&Template>, usize)],
    references: &[Option<&Template>],
    size: usize,
) -> Result<report::OpenSet> {
    let all = references.iter().flatten().count();
    // The n-th reference that gave a template is enrolled where the running share passes a whole number.
    let mut number = 0;
    let enrolled: Vec<Option<&Template>> = references
        .iter()
        .map(|reference| {
            number += usize::from(reference.is_some());
            reference.filter(|_| number * size / all > (number - 1) * size / all)
        })
        .collect();
    let searched: Vec<_> = probes
        .par_iter()
        .map(|&(probe, mate)| {
            let (mated, best) = search(probe, &enrolled, mate);
            // Without a template the mate could not be enrolled, which counts against the models.
            ((enrolled[mate].is_some() || references[mate].is_none()).then_some(mated), best)
        })
        .collect();
    let mated = searched.iter().filter_map(|(mated, _)| *mated).collect();
    let searches = Searches::new(mated, searched.iter().map(|(_, best)| *best).collect())?;
    Ok(report::OpenSet::new(size, &searches, &OPEN_SET_FPIRS)?)
}

fn sized(sizes: &[report::OpenSet]) -> String {
    let mut text =
        "\nBy gallery size: FNIR where the mate must come first, be among the first 50, or only reach the threshold\n"
            .to_owned();
    for set in sizes {
        for point in &set.points {
            let fnir = [point.fnir_first, point.fnir_top_50, point.fnir_score].map(|fnir| percent(fnir.rate.value()));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  {:>6} enrolled, {} mated, FPIR {:<5} {}, threshold {:.4}",
                set.gallery,
                set.mated,
                point.target_fpir,
                fnir.join(", "),
                point.threshold
            );
        }
    }
    text
}

/// The mate's place among all references, and the best score of any other. A probe without a template finds nobody; a
/// reference without one is never found.
fn search(probe: Option<&Template>, references: &[Option<&Template>], mate: usize) -> (MatedSearch, Option<f32>) {
    let nobody = (MatedSearch { rank: None, score: -1.0 }, None);
    let Some(probe) = probe else { return nobody };
    // All templates are of one embedder, so that every comparison succeeds.
    let score = |reference: Option<&Template>| reference.and_then(|reference| probe.score(reference).ok());
    let scores: Vec<Option<f32>> = references.iter().copied().map(score).collect();
    let others = || scores.iter().enumerate().filter(|(index, _)| *index != mate).filter_map(|(_, score)| *score);
    let best_other = others().max_by(f32::total_cmp);
    let Some(mated) = scores[mate] else { return (nobody.0, best_other) };
    let rank = 1 + others().filter(|other| *other > mated).count();
    (MatedSearch { rank: Some(rank), score: mated }, best_other)
}

/// A report in words; `non_mated_are` says what its non-mated searches are.
pub(super) fn described(title: &str, non_mated_are: &str, report: &report::Identification) -> String {
    let report::Identification { gallery, mated, non_mated, ranks, operating_points } = report;
    let mut text =
        format!("\n{title}: {gallery} enrolled, {mated} mated searches, {non_mated} non-mated ({non_mated_are})\n");
    for rank in ranks {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  rank {:<3}             {} (95 %: {} to {})",
            rank.k,
            percent(rank.rate),
            percent(rank.interval.low),
            percent(rank.interval.high)
        );
    }
    for point in operating_points {
        let _ = writeln!(
            text,
            "  FNIR at FPIR {:<7} {} (95 %: {} to {}), threshold {:.4}",
            point.target_fpir,
            percent(point.fnir.value()),
            percent(point.fnir_interval.low),
            percent(point.fnir_interval.high),
            point.threshold
        );
    }
    text
}
