//! The captures of a test: which picture shows whom, and what is known of that person.

/// The captures of a test, in order, with the columns of labels that they all have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// The names of the label columns, such as `sex`, `age` or `ethnicity`. Each once.
    pub columns: Vec<String>,
    /// The captures.
    pub captures: Vec<Capture>,
}

/// One picture of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Where the picture is: a path relative to the data set's folder, or a number in a packed file.
    pub picture: String,
    /// Whom it shows. None where nobody knows, as in sets that have labels and no identities: then nothing tells a mated
    /// comparison from a non-mated one but labels that differ.
    pub subject: Option<String>,
    /// A value for each column; empty where it is not known.
    pub labels: Vec<String>,
}

impl Captures {
    /// The place of a column of labels, by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}
