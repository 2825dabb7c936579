//! The labelling errors that LFW's own page lists.

use std::collections::{BTreeMap, BTreeSet};

use super::{ImageName, ImageNameError};

/// Images that show another person than their name says, and names that mean one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errata {
    dropped: BTreeSet<ImageName>,
    /// A name and the one that it stands under.
    merged: BTreeMap<String, String>,
}

/// The text is not a list of errata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrataError {
    /// A line is neither `drop IMAGE` nor `merge PERSON PERSON`.
    #[error("line {line}: expected `drop IMAGE` or `merge PERSON PERSON`, got `{text}`")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// The image of a `drop` does not have an image's name.
    #[error("line {line} does not name an image")]
    Image {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        source: ImageNameError,
    },
}

impl Errata {
    /// Reads `drop IMAGE` and `merge PERSON PERSON`, a line each; blank lines and those that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, ErrataError> {
        let mut errata = Self::default();
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let fields: Vec<&str> = text.split_whitespace().collect();
            match fields[..] {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["drop", image] => {
                    let image = ImageName::from_stem(image).map_err(|source| ErrataError::Image { line, source })?;
                    errata.dropped.insert(image);
                }
                ["merge", left, right] => errata.merge(left, right),
                _ => return Err(ErrataError::Line { line, text: text.to_owned() }),
            }
        }
        Ok(errata)
    }

    /// Whether this image is to be left out.
    #[must_use]
    pub fn drops(&self, image: &ImageName) -> bool {
        self.dropped.contains(image)
    }

    /// The name under which a person stands: the same for two names of one person.
    #[must_use]
    pub fn person<'a>(&'a self, name: &'a str) -> &'a str {
        self.merged.get(name).map_or(name, String::as_str)
    }

    fn merge(&mut self, left: &str, right: &str) {
        let (kept, merged) = (self.person(left).to_owned(), self.person(right).to_owned());
        if kept == merged {
            return;
        }
        for target in self.merged.values_mut().filter(|target| **target == merged) {
            target.clone_from(&kept);
        }
        self.merged.insert(merged, kept);
    }
}
