//! Galleries for tests: random unit vectors from a small generator, and the naive search that others are checked against.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part, and fails where there is nothing to unwrap"
)]

use std::collections::HashMap;

use clearlane_match::{Candidate, Gallery, GalleryBuilder};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};

/// The model of all templates here.
pub(crate) fn model() -> ModelId {
    ModelId::digest([b"a model for tests".as_slice()])
}

/// A small generator (`SplitMix64`; Steele, Lea and Flood 2014), so that every run sees the same vectors.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Uniform on the unit sphere.
    pub(crate) fn template(&mut self, dimension: usize) -> Template {
        let values = (0..dimension).map(|_| self.normal() as f32).collect();
        Template::normalised(model(), values).unwrap()
    }

    /// A template whose score with `other` is about `score`.
    pub(crate) fn mate(&mut self, other: &Template, score: f32) -> Template {
        let noise = self.template(other.dimension());
        let along = noise.score(other).unwrap();
        let rest = (1.0 - score * score).sqrt() / (1.0 - along * along).max(1e-6).sqrt();
        let values = noise.as_slice().iter().zip(other.as_slice());
        Template::normalised(model(), values.map(|(n, o)| score * o + rest * (n - along * o)).collect()).unwrap()
    }
}

/// A template in the direction of another, of this norm.
pub(crate) fn off_unit(template: &Template, norm: f64) -> Template {
    let values = template.as_slice().iter().map(|value| (f64::from(*value) * norm) as f32).collect();
    Template::from_unit(model(), values).unwrap()
}

/// An enrolled template, for the naive search.
pub(crate) struct Enrolled {
    pub subject: SubjectId,
    pub id: TemplateId,
    pub template: Template,
}

/// Random templates, `per_subject` for each subject.
pub(crate) fn enrolled(random: &mut Random, count: usize, dimension: usize, per_subject: usize) -> Vec<Enrolled> {
    (0..count)
        .map(|i| Enrolled {
            subject: SubjectId((i / per_subject) as u64),
            id: TemplateId(i as u64),
            template: random.template(dimension),
        })
        .collect()
}

/// A gallery of these templates.
pub(crate) fn gallery(builder: GalleryBuilder, enrolled: &[Enrolled]) -> Gallery {
    let gallery = builder.build().unwrap();
    for e in enrolled {
        gallery.add(e.subject, e.id, &e.template).unwrap();
    }
    gallery
}

/// The k best subjects at or above the threshold, by scoring and sorting everything in double precision.
pub(crate) fn naive(enrolled: &[Enrolled], probe: &Template, k: usize, threshold: f32) -> Vec<Candidate> {
    let mut best: HashMap<SubjectId, Candidate> = HashMap::new();
    for e in enrolled {
        let score = e.template.score(probe).unwrap();
        let candidate = Candidate { subject: e.subject, template: e.id, score };
        let known = best.entry(e.subject).or_insert(candidate);
        if score.total_cmp(&known.score).then(known.template.cmp(&e.id)).is_gt() {
            *known = candidate;
        }
    }
    let mut all: Vec<_> = best.into_values().filter(|candidate| candidate.score >= threshold).collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.template.cmp(&b.template)));
    all.truncate(k);
    all
}

/// That two lists name the same subjects and templates, with scores that differ by rounding only.
pub(crate) fn assert_same(found: &[Candidate], expected: &[Candidate]) {
    assert_eq!(found.len(), expected.len(), "{found:?}\n{expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.subject, found.template), (expected.subject, expected.template));
        assert!((found.score - expected.score).abs() < 1e-5, "{found:?} {expected:?}");
    }
}
