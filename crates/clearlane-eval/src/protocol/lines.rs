//! Lines of a list: numbered, split into fields, and what can be wrong with them.

use crate::lfw::PairsError;

/// The most characters of a file that an error repeats.
const SHOWN: usize = 60;

/// A list of a data set cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// A line has other fields than the format has.
    #[error("line {line}: expected {expected}, got `{text}`")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What a line of the format says.
        expected: &'static str,
        /// The beginning of what it says.
        text: String,
    },
    /// A picture's path is empty or leads out of the data set's folder.
    #[error("line {line}: expected a picture's path within the data set's folder, got `{text}`")]
    Picture {
        /// The line's number, from 1.
        line: usize,
        /// The beginning of what it says.
        text: String,
    },
    /// The two lines of a pair contradict each other.
    #[error("line {line}: expected the label of the line before, both 0 or neither: the two lines are one pair")]
    Labels {
        /// The number of the second line, from 1.
        line: usize,
    },
    /// The last pair has one line.
    #[error("line {line}: expected a second line with the pair's other picture: the file is not whole")]
    Half {
        /// The number of the last line, from 1.
        line: usize,
    },
    /// A line names a number that no earlier list has.
    #[error("line {line}: {what} {number} is not in the list of {what}s")]
    Unknown {
        /// Its number, from 1.
        line: usize,
        /// What is numbered.
        what: &'static str,
        /// The number.
        number: u64,
    },
    /// The list has no pair.
    #[error("expected pairs, got an empty list")]
    Empty,
    /// The list has more entries than are read.
    #[error("line {line}: more than {limit} entries, the most that are read")]
    TooMany {
        /// The number of the line that is one too many, from 1.
        line: usize,
        /// How many are read.
        limit: usize,
    },
    /// A list with LFW's header cannot be read.
    #[error("{0}")]
    Lfw(PairsError),
    /// A list of one of several parts cannot be read.
    #[error("{part}: {source}")]
    Part {
        /// Which one.
        part: String,
        /// What is wrong with it.
        #[source]
        source: Box<ListError>,
    },
}

impl ListError {
    pub(super) fn line(line: usize, expected: &'static str, text: &str) -> Self {
        Self::Line { line, expected, text: beginning(text) }
    }
}

/// The lines that say something, by their numbers from 1.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

/// The `N` fields of a line, between white space; `None` where it has more or fewer.
pub(super) fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    let mut fields = line.split_whitespace();
    let mut found = [""; N];
    for field in &mut found {
        *field = fields.next()?;
    }
    fields.next().is_none().then_some(found)
}

/// A picture's path, if it stays within the folder that it is relative to.
pub(super) fn picture(line: usize, text: &str) -> Result<&str, ListError> {
    let leads_out = |part: &str| part.is_empty() || part == ".." || part.contains(['\0', ':']);
    if text.split(['/', '\\']).any(leads_out) {
        return Err(ListError::Picture { line, text: beginning(text) });
    }
    Ok(text)
}

/// The beginning of a text, for an error.
pub(super) fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
