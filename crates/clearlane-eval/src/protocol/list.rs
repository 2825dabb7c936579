//! Lists of pairs in one text file, in any of the forms that they have.

use super::lines::{fields, lines};
use super::{ListError, PairTest, labelled, numbered, two_lines};

/// How a list writes its pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListFormat {
    /// `PERSON NUMBER NUMBER` is a mated pair, `PERSON NUMBER PERSON NUMBER` a non-mated one, of pictures at
    /// `PERSON/PERSON_0001.jpg`; LFW's header `FOLDS PAIRS` may come first. LFW and RFW.
    Numbered,
    /// `LABEL LEFT RIGHT`, label 1 for a mated pair, 0 or -1 for a non-mated one. AgeDB-30 and others.
    LabelFirst,
    /// `LEFT RIGHT LABEL`.
    LabelLast,
    /// `PICTURE LABEL`, two lines a pair; 0 for a non-mated pair, anything else for a mated one. CALFW and CPLFW.
    TwoLines,
}

/// A list of pairs: a test and the format that it was read in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairList {
    /// The test.
    pub test: PairTest,
    /// How the list is written.
    pub format: ListFormat,
}

impl ListFormat {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Numbered, Self::LabelFirst, Self::LabelLast, Self::TwoLines];

    /// The format of a list, by its first line; `None` where that is no line of any.
    #[must_use]
    pub fn recognise(text: &str) -> Option<Self> {
        let (_, first) = lines(text).next()?;
        let is_number = |field: &str| field.parse::<u64>().is_ok();
        if first.split_whitespace().take(3).all(is_number) && fields::<3>(first).is_none() {
            return Some(Self::Numbered);
        }
        if let Some([_, number, _, other]) = fields::<4>(first) {
            return (is_number(number) && is_number(other)).then_some(Self::Numbered);
        }
        if let Some([first, second, third]) = fields::<3>(first) {
            return match (labelled::label(first), labelled::label(third)) {
                _ if is_number(second) && is_number(third) => Some(Self::Numbered),
                (Some(_), None) => Some(Self::LabelFirst),
                (None, Some(_)) => Some(Self::LabelLast),
                _ => None,
            };
        }
        fields::<2>(first).filter(|[_, label]| is_number(label)).map(|_| Self::TwoLines)
    }
}

impl PairList {
    /// Reads a list; without a format, in that which its first line has.
    pub fn parse(text: &str, format: Option<ListFormat>) -> Result<Self, ListError> {
        const FORMS: &str = "a list of pairs: `PERSON N N`, `PERSON N PERSON N`, `LABEL LEFT RIGHT`, `LEFT RIGHT LABEL` \
                             or `PICTURE LABEL` with two lines a pair";
        let format = match (format.or_else(|| ListFormat::recognise(text)), lines(text).next()) {
            (Some(format), _) => format,
            (None, None) => return Err(ListError::Empty),
            (None, Some((line, first))) => return Err(ListError::line(line, FORMS, first)),
        };
        let test = match format {
            ListFormat::Numbered => numbered::parse(text),
            ListFormat::LabelFirst => labelled::parse(text, labelled::Place::First),
            ListFormat::LabelLast => labelled::parse(text, labelled::Place::Last),
            ListFormat::TwoLines => two_lines::parse(text),
        }?;
        Ok(Self { test, format })
    }
}
