//! What a search mode adds to FNIR: the same probes against the same gallery in each mode.

use std::fmt::Write as _;

use clearlane_embed::Template;
use clearlane_eval::{Estimate, Rate};
use clearlane_match::{Gallery, Mode, SearchOptions};
use clearlane_template::{SubjectId, TemplateId};
use serde::Serialize;

use crate::failure::{Exit, Failure, Result};
use crate::output::percent;

/// A mode's figures.
#[derive(Debug, Serialize)]
pub(super) struct ModeFigures {
    mode: &'static str,
    threshold: f32,
    /// Mates that do not come first at or above the threshold.
    fnir: Estimate,
    /// Probes whose candidate list is another than that of the exhaustive search.
    other_lists: usize,
}

/// Searches for each probe, given with its mate's place, in every mode; a probe or a mate without a template is a miss.
pub(super) fn compare(
    probes: &[(Option<&Template>, usize)],
    references: &[Option<&Template>],
    threshold: f32,
) -> Result<Vec<ModeFigures>> {
    let failed = |error| Failure::of(Exit::Model, &error);
    let Some(first) = references.iter().flatten().next() else { return Ok(Vec::new()) };
    let gallery = Gallery::builder(first.model(), first.dimension()).build().map_err(failed)?;
    for (index, reference) in references.iter().enumerate() {
        if let Some(reference) = reference {
            gallery.add(SubjectId(index as u64), TemplateId(index as u64), reference).map_err(failed)?;
        }
    }
    let modes = [("exhaustive", Mode::Exhaustive), ("certified", Mode::Certified), ("sketch", Mode::SKETCH)];
    let mut exhaustive = Vec::new();
    let mut figures = Vec::new();
    for (name, mode) in modes {
        let options = SearchOptions { threshold, mode, parallel: true, ..SearchOptions::new(50) };
        let lists = probes.iter().map(|(probe, _)| match probe {
            Some(probe) => Ok(gallery.search(probe, &options).map_err(failed)?.candidates),
            None => Ok(Vec::new()),
        });
        let lists = lists.collect::<Result<Vec<_>>>()?;
        let mates = lists.iter().zip(probes);
        let missed =
            mates.filter(|(list, (_, mate))| list.first().is_none_or(|c| c.subject != SubjectId(*mate as u64)));
        let fnir = Rate::new(missed.count() as u64, probes.len() as u64).estimate();
        if exhaustive.is_empty() {
            exhaustive.clone_from(&lists);
        }
        let other_lists = lists.iter().zip(&exhaustive).filter(|(list, exhaustive)| list != exhaustive).count();
        figures.push(ModeFigures { mode: name, threshold, fnir, other_lists });
    }
    Ok(figures)
}

pub(super) fn described(modes: &[ModeFigures]) -> String {
    let mut text = String::new();
    for ModeFigures { mode, threshold, fnir, other_lists } in modes {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {mode:<10} FNIR {} at the threshold {threshold:.4}, {other_lists} candidate lists other than the exhaustive ones",
            percent(fnir.rate.value())
        );
    }
    text
}
