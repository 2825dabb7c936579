//! Partitions: which subject belongs to which, and which a node is told to follow.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use clearlane_template::SubjectId;

/// The most partitions of a gallery.
pub const MAX_PARTITIONS: u32 = 4096;

/// The partition of a subject, of `partitions`: a fixed mixing of its id (the finaliser of `MurmurHash3`), so that ids that are
/// given out in order spread evenly.
pub(crate) fn partition_of(subject: SubjectId, partitions: u32) -> u32 {
    let mut mixed = subject.0;
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    ((mixed ^ (mixed >> 33)) % u64::from(partitions.max(1))) as u32
}

/// A choice of partitions, written as `0-3,7`, or `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitions(Choice);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    All,
    These(BTreeSet<u32>),
}

impl Partitions {
    /// All that there are.
    pub const ALL: Self = Self(Choice::All);

    /// These.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        Self(Choice::These(numbers.into_iter().collect()))
    }

    /// Their numbers where there are `count` partitions in all; the first that does not exist, where one does not.
    pub(crate) fn numbers(&self, count: u32) -> Result<Vec<u32>, u32> {
        match &self.0 {
            Choice::All => Ok((0..count).collect()),
            Choice::These(numbers) => match numbers.iter().find(|number| **number >= count) {
                Some(missing) => Err(*missing),
                None => Ok(numbers.iter().copied().collect()),
            },
        }
    }
}

impl fmt::Display for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Choice::These(numbers) = &self.0 else { return f.write_str("all") };
        let mut numbers = numbers.iter().copied().peekable();
        let mut separator = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if_eq(&(last + 1)) {
                last = next;
            }
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

/// The text is not a choice of partitions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected partitions such as `0-3,7` or `all`, each below {MAX_PARTITIONS}, got `{text}`")]
pub struct ParsePartitionsError {
    /// What was given.
    pub text: String,
}

impl FromStr for Partitions {
    type Err = ParsePartitionsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::ALL);
        }
        let refused = || ParsePartitionsError { text: text.to_owned() };
        let mut numbers = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse().ok().filter(|number: &u32| *number < MAX_PARTITIONS);
            let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(refused()) };
            if first > last {
                return Err(refused());
            }
            numbers.extend(first..=last);
        }
        Ok(Self(Choice::These(numbers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_read_as_they_are_written() {
        for text in ["0", "0-3,7", "2,4,6", "all"] {
            assert_eq!(text.parse::<Partitions>().unwrap().to_string(), text);
        }
        for text in ["", "3-1", "x", "0,,1", "4096", "-1"] {
            assert!(text.parse::<Partitions>().is_err(), "{text}");
        }
    }

    #[test]
    fn subjects_spread_evenly() {
        let mut counts = [0_u32; 7];
        (1..=70_000).for_each(|id| counts[partition_of(SubjectId(id), 7) as usize] += 1);
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }
}
