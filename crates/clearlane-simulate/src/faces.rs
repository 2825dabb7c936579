//! Galleries of real captures' templates, filled up to any size with fictional ones of the same distribution.

use std::collections::{HashMap, HashSet};

use clearlane_template::Template;

use crate::search::{BenchError, Given, SearchBench};
use crate::vectors::{alike, model};

/// The template of a capture, and whose it is.
#[derive(Clone, Debug)]
pub struct Face {
    /// The subject's number.
    pub subject: usize,
    /// Its template, of any model; all of one dimension.
    pub template: Template,
}

/// What to search: probes are the first captures of subjects who have others, as many as the measurement asks for; all
/// others stand in the gallery, which is filled up to the largest of its sizes.
pub fn given(faces: &[Face], bench: &SearchBench) -> Result<Given, BenchError> {
    let mut captures: HashMap<usize, usize> = HashMap::new();
    for face in faces {
        *captures.entry(face.subject).or_default() += 1;
    }
    let mut seen = HashSet::new();
    let (mut probes, mut rows) = (Vec::new(), Vec::new());
    for face in faces {
        let is_first = seen.insert(face.subject);
        if is_first && captures[&face.subject] > 1 && probes.len() < bench.probes {
            probes.push(Template::from_unit(model(), face.template.as_slice().to_vec())?);
        } else {
            rows.extend_from_slice(face.template.as_slice());
        }
    }
    let dimension = faces.first().map_or(0, |face| face.template.dimension());
    let real = rows.len();
    if real == 0 {
        return Err(BenchError::NoFaces);
    }
    let largest = bench.sizes.iter().max().copied().unwrap_or(0);
    rows.resize(real.max(largest * dimension), 0.0);
    let (real, fictional) = rows.split_at_mut(real);
    alike(real, dimension, fictional, bench.seed);
    Ok(Given { rows, dimension, probes })
}
