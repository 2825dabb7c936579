//! `pairs.txt`: the pairs of View 2, in folds.

use super::image::parse_number;
use super::{Errata, ImageName, ImageNameError};

/// Pairs of images, in folds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    folds: usize,
    pairs: Vec<Pair>,
}

/// Two images that are to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its fold, from 0.
    pub fold: usize,
    /// The one image.
    pub left: ImageName,
    /// The other.
    pub right: ImageName,
    /// Whether both show one person.
    pub mated: bool,
}

/// The text is not a list of pairs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairsError {
    /// The first line does not say how many pairs follow.
    #[error("line 1: expected `FOLDS PAIRS`, or `PAIRS` alone for one fold, got `{text}`")]
    Header {
        /// The line.
        text: String,
    },
    /// A line has neither three nor four fields.
    #[error(
        "line {line}: expected 3 fields of a mated pair (person, number, number) or 4 of a non-mated one, got {fields}"
    )]
    Fields {
        /// Its number, from 1.
        line: usize,
        /// How many fields it has.
        fields: usize,
    },
    /// A line has a mated pair where the file's order wants a non-mated one, or the other way round.
    #[error("line {line}: expected a {expected} pair in fold {fold}, got a {found} one")]
    Order {
        /// Its number, from 1.
        line: usize,
        /// The fold, from 1.
        fold: usize,
        /// `mated` or `non-mated`.
        found: &'static str,
        /// `mated` or `non-mated`.
        expected: &'static str,
    },
    /// A field does not name an image.
    #[error("line {line} does not name an image")]
    Image {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        source: ImageNameError,
    },
    /// The file has fewer or more pairs than its first line says.
    #[error("expected {announced} pairs by line 1, got {found}: the file is not whole")]
    Count {
        /// How many the first line announces.
        announced: u64,
        /// How many there are.
        found: u64,
    },
}

impl Pairs {
    /// Reads the text of `pairs.txt`: `FOLDS PAIRS` (or `PAIRS` alone, as in the development files of View 1), then for
    /// each fold its `PAIRS` mated pairs and as many non-mated ones, a line each.
    pub fn parse(text: &str) -> Result<Self, PairsError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let (_, first) = lines.next().unwrap_or((1, ""));
        let (folds, per_fold) = header(first).ok_or_else(|| PairsError::Header { text: first.to_owned() })?;
        // At most 2^65 of them: the last bit does not matter to a count that no file can reach.
        let announced = (2 * u64::from(per_fold)).saturating_mul(u64::from(folds));

        let mut pairs = Vec::new();
        for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
            let index = pairs.len() as u64;
            let fold = (index / (2 * u64::from(per_fold))) as usize;
            let mated = index % (2 * u64::from(per_fold)) < u64::from(per_fold);
            let pair = pair(fold, text, line)?;
            if pair.mated != mated && index < announced {
                let (found, expected) = (kind(pair.mated), kind(mated));
                return Err(PairsError::Order { line, fold: fold + 1, found, expected });
            }
            pairs.push(pair);
        }
        if pairs.len() as u64 != announced {
            return Err(PairsError::Count { announced, found: pairs.len() as u64 });
        }
        Ok(Self { folds: folds as usize, pairs })
    }

    /// How many folds there are.
    #[must_use]
    pub fn folds(&self) -> usize {
        self.folds
    }

    /// The pairs, in the file's order.
    #[must_use]
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The images that occur, each once, by name.
    #[must_use]
    pub fn images(&self) -> Vec<&ImageName> {
        let mut images: Vec<_> = self.pairs.iter().flat_map(|pair| [&pair.left, &pair.right]).collect();
        images.sort_unstable();
        images.dedup();
        images
    }

    /// The same without the pairs of images that `errata` drops, a pair mated where it says that two names are one person.
    #[must_use]
    pub fn corrected(&self, errata: &Errata) -> Self {
        let kept = self.pairs.iter().filter(|pair| !errata.drops(&pair.left) && !errata.drops(&pair.right));
        let mated = |pair: &Pair| errata.person(pair.left.person()) == errata.person(pair.right.person());
        Self { folds: self.folds, pairs: kept.map(|pair| Pair { mated: mated(pair), ..pair.clone() }).collect() }
    }
}

fn header(line: &str) -> Option<(u32, u32)> {
    let fields: Vec<u32> = line.split_whitespace().map(|field| field.parse().ok()).collect::<Option<_>>()?;
    match fields[..] {
        [per_fold] if per_fold > 0 => Some((1, per_fold)),
        [folds, per_fold] if folds > 0 && per_fold > 0 => Some((folds, per_fold)),
        _ => None,
    }
}

fn pair(fold: usize, text: &str, line: usize) -> Result<Pair, PairsError> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let (left, right, mated) = match fields[..] {
        [person, left, right] => ((person, left), (person, right), true),
        [left, l, right, r] => ((left, l), (right, r), false),
        _ => return Err(PairsError::Fields { line, fields: fields.len() }),
    };
    let image = |(person, number)| {
        parse_number(number)
            .and_then(|number| ImageName::new(person, number))
            .map_err(|source| PairsError::Image { line, source })
    };
    Ok(Pair { fold, left: image(left)?, right: image(right)?, mated })
}

fn kind(mated: bool) -> &'static str {
    if mated { "mated" } else { "non-mated" }
}
