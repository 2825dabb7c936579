//! IJB-B and IJB-C (Whitelam et al., CVPRW 2017; Maze et al., ICB 2018): templates of several pictures, and pairs of templates.

use std::collections::{BTreeMap, HashMap};

use super::ListError;
use super::lines::{fields, lines, picture};
use super::pairs::MAX_PAIRS;
use crate::{Capture, Captures};

/// The most lines of a list of pictures; IJB-C has 469,375.
pub(super) const MAX_PICTURES: usize = 1 << 22;

/// The templates of a test, each of the pictures of one or several media.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateList {
    /// The pictures that occur, each once, in the order in which the list first names them.
    pub captures: Captures,
    /// The templates, by their numbers.
    pub templates: Vec<MediaTemplate>,
}

/// What one template is made of: the mean of the means of its media, so that a video of a hundred frames counts as much as
/// one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTemplate {
    /// Its number.
    pub id: u64,
    /// Each medium's pictures, by their places among the captures. None is empty.
    pub media: Vec<Vec<usize>>,
}

/// Two templates that are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplatePair {
    /// The place of the one among the templates.
    pub left: u32,
    /// The place of the other.
    pub right: u32,
    /// Whether both are of one person.
    pub mated: bool,
}

impl TemplateList {
    /// Reads `face_tid_mid`: `PICTURE TEMPLATE MEDIUM` a line.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let mut captures = Captures::default();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut templates: BTreeMap<u64, BTreeMap<u64, Vec<usize>>> = BTreeMap::new();
        for (entries, (line, text)) in lines(text).enumerate() {
            let parts = fields::<3>(text).and_then(|[path, template, medium]| {
                Some((path, template.parse::<u64>().ok()?, medium.parse::<u64>().ok()?))
            });
            let (path, template, medium) =
                parts.ok_or_else(|| ListError::line(line, "`PICTURE TEMPLATE MEDIUM`, both numbers", text))?;
            if entries == MAX_PICTURES {
                return Err(ListError::TooMany { line, limit: MAX_PICTURES });
            }
            let path = picture(line, path)?;
            let place = *places.entry(path).or_insert_with(|| {
                captures.captures.push(Capture { picture: path.to_owned(), subject: None, labels: Vec::new() });
                captures.captures.len() - 1
            });
            templates.entry(template).or_default().entry(medium).or_default().push(place);
        }
        let templates: Vec<_> = templates
            .into_iter()
            .map(|(id, media)| MediaTemplate { id, media: media.into_values().collect() })
            .collect();
        if templates.is_empty() { Err(ListError::Empty) } else { Ok(Self { captures, templates }) }
    }

    /// Reads `template_pair_label`: `TEMPLATE TEMPLATE LABEL` a line, the label 1 for a mated pair and 0 for a non-mated one.
    pub fn pairs(&self, text: &str) -> Result<Vec<TemplatePair>, ListError> {
        let mut pairs = Vec::new();
        for (line, text) in lines(text) {
            let parts = fields::<3>(text).and_then(|[left, right, label]| {
                let mated = match label {
                    "1" => true,
                    "0" => false,
                    _ => return None,
                };
                Some((left.parse().ok()?, right.parse().ok()?, mated))
            });
            let (left, right, mated) =
                parts.ok_or_else(|| ListError::line(line, "`TEMPLATE TEMPLATE LABEL`, the label 1 or 0", text))?;
            if pairs.len() == MAX_PAIRS {
                return Err(ListError::TooMany { line, limit: MAX_PAIRS });
            }
            pairs.push(TemplatePair { left: self.place(line, left)?, right: self.place(line, right)?, mated });
        }
        if pairs.is_empty() { Err(ListError::Empty) } else { Ok(pairs) }
    }

    /// The place of the template that a line names by its number.
    pub(super) fn place(&self, line: usize, number: u64) -> Result<u32, ListError> {
        let place = self.templates.binary_search_by_key(&number, |template| template.id);
        place.map(|place| place as u32).map_err(|_| ListError::Unknown { line, what: "template", number })
    }
}
