//! The comparisons that went most wrong: what to look at first.

use std::path::PathBuf;

use clearlane::Language;
use clearlane_embed::{DecodeLimits, Frame};
use clearlane_eval::Comparison;
use maud::{Markup, html};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::compare::Line;
use crate::page::faces::Faces;
use crate::pictures;

/// How many of each kind.
const SHOWN: usize = 10;

/// The mated comparisons of the lowest scores and the non-mated ones of the highest.
#[derive(Debug, Default, Serialize)]
pub(in crate::commands) struct Worst {
    /// One person, not recognised.
    missed: Vec<Scored>,
    /// Two people, taken for one.
    confused: Vec<Scored>,
}

/// A comparison of two pictures.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Scored {
    pub(in crate::commands) left: String,
    pub(in crate::commands) right: String,
    pub(in crate::commands) score: f32,
    pub(in crate::commands) paths: [PathBuf; 2],
}

impl Scored {
    /// As a file of scores has it.
    pub(in crate::commands) fn line(&self, comparison: &Comparison) -> Line {
        let (left, right) = (self.left.clone(), self.right.clone());
        Line { left, right, fold: comparison.fold, mated: comparison.mated, score: comparison.score }
    }
}

/// By the pictures' names.
impl Serialize for Scored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Scored", 3)?;
        fields.serialize_field("left", &self.left)?;
        fields.serialize_field("right", &self.right)?;
        fields.serialize_field("score", &self.score)?;
        fields.end()
    }
}

impl Worst {
    /// Of these comparisons, each with whether it is mated.
    pub(in crate::commands) fn of(comparisons: impl IntoIterator<Item = (bool, Scored)>) -> Self {
        let (mut missed, mut confused): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
        for (mated, comparison) in comparisons {
            if mated { missed.push(comparison) } else { confused.push(comparison) }
        }
        missed.sort_by(|a, b| a.score.total_cmp(&b.score));
        confused.sort_by(|a, b| b.score.total_cmp(&a.score));
        missed.truncate(SHOWN);
        confused.truncate(SHOWN);
        Self { missed, confused }
    }

    pub(in crate::commands) fn is_empty(&self) -> bool {
        self.missed.is_empty() && self.confused.is_empty()
    }

    /// Their pictures, as far as they can be read.
    pub(in crate::commands) fn faces(&self) -> Faces {
        let mut faces = Faces::default();
        for comparison in self.missed.iter().chain(&self.confused) {
            for (name, path) in [&comparison.left, &comparison.right].into_iter().zip(&comparison.paths) {
                if let Ok(frame) = Frame::open(path, &DecodeLimits::default()) {
                    faces.add(name, &pictures::rgb(&frame));
                }
            }
        }
        faces
    }

    /// Side by side, with their scores.
    pub(in crate::commands) fn pictures(&self, faces: &Faces, language: Language) -> Markup {
        let kinds = [("missed", &self.missed), ("confused", &self.confused)];
        html! {
            @for (kind, comparisons) in kinds {
                @if !comparisons.is_empty() {
                    h2 { (super::report::named(kind, language)) }
                    ul.cards {
                        @for Scored { left, right, score, .. } in comparisons {
                            li { (faces.face(left)) " " (faces.face(right)) b { (format!("{score:.4}")) } small { (left) ", " (right) } }
                        }
                    }
                }
            }
        }
    }
}
