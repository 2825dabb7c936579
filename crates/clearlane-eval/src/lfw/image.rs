//! How LFW names an image: a person and a number.

use std::fmt;
use std::path::PathBuf;

/// An image of LFW: the `number`th of `person`, at `PERSON/PERSON_0001.jpg`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    person: String,
    number: u32,
}

/// The text does not name an image of LFW.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageNameError {
    /// The person's name is empty or could lead out of the data set's folder.
    #[error("expected a person's name, not empty, without a leading dot, slash or backslash, got `{text}`")]
    Person {
        /// What was given.
        text: String,
    },
    /// The number is not one.
    #[error("expected an image number of 1 to 9999, got `{text}`")]
    Number {
        /// What was given.
        text: String,
    },
}

impl ImageName {
    /// The `number`th image of `person`.
    pub fn new(person: &str, number: u32) -> Result<Self, ImageNameError> {
        if person.is_empty() || person.starts_with('.') || person.contains(['/', '\\', '\0']) {
            return Err(ImageNameError::Person { text: person.to_owned() });
        }
        if !(1..=9999).contains(&number) {
            return Err(ImageNameError::Number { text: number.to_string() });
        }
        Ok(Self { person: person.to_owned(), number })
    }

    /// The image that a file's stem names, such as `Abel_Pacheco_0001`.
    pub fn from_stem(stem: &str) -> Result<Self, ImageNameError> {
        let (person, number) = stem.rsplit_once('_').ok_or_else(|| ImageNameError::Number { text: stem.to_owned() })?;
        Self::new(person, parse_number(number)?)
    }

    /// Whom it shows.
    #[must_use]
    pub fn person(&self) -> &str {
        &self.person
    }

    /// Which of the person's images it is, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where it lies within the data set.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(&self.person).join(format!("{self}.jpg"))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{:04}", self.person, self.number)
    }
}

pub(super) fn parse_number(text: &str) -> Result<u32, ImageNameError> {
    text.parse().map_err(|_| ImageNameError::Number { text: text.to_owned() })
}
