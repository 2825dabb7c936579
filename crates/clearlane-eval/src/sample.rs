//! The captures of a test as statistics see them: numbers for subjects and for groups.

use std::collections::HashMap;

use crate::Captures;

/// The most groups that one evaluation tells apart: memory goes with their square.
pub const MAX_GROUPS: usize = 24;

/// Whom each capture shows and to which group it belongs, both as numbers.
#[derive(Clone, Debug)]
pub struct Sample {
    pub(crate) subjects: Vec<u32>,
    pub(crate) groups: Vec<u16>,
    names: Vec<Vec<String>>,
    columns: Vec<String>,
    distinct: usize,
    identities: bool,
}

/// Groups were asked for that the captures do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// No column of labels has this name.
    #[error("no column {column:?}: expected {}", if available.is_empty() { "none, since these captures have no labels".to_owned() } else { available.join(", ") })]
    Column {
        /// The name asked for.
        column: String,
        /// Those that there are.
        available: Vec<String>,
    },
    /// The columns tell too many groups apart.
    #[error("expected no more than {MAX_GROUPS} groups by {}, got {groups}: choose fewer columns, or labels of fewer values", columns.join(", "))]
    TooMany {
        /// The columns.
        columns: Vec<String>,
        /// How many groups they make.
        groups: usize,
    },
    /// More captures than can be numbered.
    #[error("expected no more than {max} captures, got {captures}", max = u32::MAX)]
    Captures {
        /// How many there are.
        captures: usize,
    },
}

impl Sample {
    /// The captures, grouped by the values of `columns`; one group of all where there are none. A capture whose subject is
    /// not known counts as a subject of its own.
    pub fn new(captures: &Captures, columns: &[&str]) -> Result<Self, GroupError> {
        if captures.captures.len() > u32::MAX as usize {
            return Err(GroupError::Captures { captures: captures.captures.len() });
        }
        let places = columns.iter().map(|&column| {
            let unknown = || GroupError::Column { column: column.to_owned(), available: captures.columns.clone() };
            captures.column(column).ok_or_else(unknown)
        });
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let value = |label: Option<&String>| match label.map_or("", String::as_str) {
            "" => "unknown".to_owned(),
            label => label.to_owned(),
        };
        let values = captures
            .captures
            .iter()
            .map(|capture| -> Vec<String> { places.iter().map(|&place| value(capture.labels.get(place))).collect() });
        let values: Vec<Vec<String>> = values.collect();
        let mut names = values.clone();
        names.sort_unstable();
        names.dedup();
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        if names.len() > MAX_GROUPS {
            return Err(GroupError::TooMany { columns, groups: names.len() });
        }
        let groups = values.iter().map(|value| names.partition_point(|name| name < value) as u16).collect();
        let mut numbers = HashMap::new();
        let mut distinct = 0;
        let mut next = || {
            distinct += 1;
            distinct - 1
        };
        let subject = |capture: &'_ crate::Capture| match &capture.subject {
            Some(subject) => *numbers.entry(subject.clone()).or_insert_with(&mut next),
            None => next(),
        };
        let subjects: Vec<u32> = captures.captures.iter().map(subject).collect();
        let identities = captures.captures.iter().any(|capture| capture.subject.is_some());
        let distinct = subjects.iter().max().map_or(0, |&last| last as usize + 1);
        Ok(Self { subjects, groups, names, columns, distinct, identities })
    }

    /// One group of captures, each of the subject whose number it has.
    #[must_use]
    pub fn of_subjects(subjects: &[u32]) -> Self {
        let mut numbers = HashMap::new();
        let dense = |subject: &u32| {
            let next = numbers.len() as u32;
            *numbers.entry(*subject).or_insert(next)
        };
        let subjects: Vec<u32> = subjects.iter().map(dense).collect();
        let distinct = numbers.len();
        let groups = vec![0; subjects.len()];
        Self { subjects, groups, names: vec![Vec::new()], columns: Vec::new(), distinct, identities: true }
    }

    /// How many captures there are.
    #[must_use]
    pub fn captures(&self) -> usize {
        self.subjects.len()
    }

    /// How many subjects there are, each capture of nobody known being one.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.distinct
    }

    /// Whether any capture says whom it shows.
    #[must_use]
    pub fn has_identities(&self) -> bool {
        self.identities
    }

    /// The columns that make the groups.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The groups: of each its values, one a column.
    #[must_use]
    pub fn groups(&self) -> &[Vec<String>] {
        &self.names
    }

    /// Captures of each group.
    #[must_use]
    pub fn captures_by_group(&self) -> Vec<usize> {
        let mut counts = vec![0; self.names.len()];
        for &group in &self.groups {
            counts[usize::from(group)] += 1;
        }
        counts
    }

    /// The place of an unordered pair of groups among all such pairs.
    pub(crate) fn cell(a: u16, b: u16) -> usize {
        let (low, high) = (usize::from(a.min(b)), usize::from(a.max(b)));
        high * (high + 1) / 2 + low
    }

    pub(crate) fn cells(&self) -> usize {
        self.names.len() * (self.names.len() + 1) / 2
    }
}
