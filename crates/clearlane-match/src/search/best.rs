//! The k best subjects, kept while scores stream by.

use clearlane_template::{SubjectId, TemplateId};

use std::cmp::Ordering;

/// A subject that a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The subject.
    pub subject: SubjectId,
    /// Its best template for the probe.
    pub template: TemplateId,
    /// The comparison score of that template: cosine similarity, in [-1, 1].
    pub score: f32,
}

impl Candidate {
    /// The order of candidate lists: best score first, ties by template id.
    fn rank(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.template.cmp(&other.template))
    }
}

/// The best candidates so far, one for each subject, none below the threshold.
pub(crate) struct Best {
    k: usize,
    /// What a score has to reach: the threshold, or the k-th best subject's score once there is one.
    bound: f32,
    kept: Vec<Candidate>,
    /// How many are kept before they are sorted out.
    room: usize,
}

impl Best {
    pub(crate) fn new(k: usize, threshold: f32) -> Self {
        Self { k, bound: threshold, kept: Vec::new(), room: k.saturating_add(k.clamp(16, 4096)) }
    }

    /// What a score has to reach to matter.
    pub(crate) fn bound(&self) -> f32 {
        self.bound
    }

    pub(crate) fn push(&mut self, candidate: Candidate) {
        if candidate.score >= self.bound {
            self.kept.push(candidate);
            if self.kept.len() >= self.room {
                self.sort_out();
            }
        }
    }

    /// Raises the bound by what was pushed since it was raised last.
    pub(crate) fn tighten(&mut self) {
        if self.kept.len() >= self.k {
            self.sort_out();
        }
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.kept.extend(other.kept);
        self.sort_out();
        self
    }

    pub(crate) fn into_candidates(mut self) -> Vec<Candidate> {
        self.sort_out();
        self.kept
    }

    fn sort_out(&mut self) {
        self.kept.sort_unstable_by(|a, b| a.subject.cmp(&b.subject).then(a.rank(b)));
        self.kept.dedup_by_key(|candidate| candidate.subject);
        self.kept.sort_unstable_by(Candidate::rank);
        self.kept.truncate(self.k);
        if self.kept.len() == self.k
            && let Some(last) = self.kept.last()
        {
            self.bound = self.bound.max(last.score);
        }
    }
}
