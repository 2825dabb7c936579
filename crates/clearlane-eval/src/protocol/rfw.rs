//! Racial Faces in-the-Wild (Wang et al., ICCV 2019): a list of pairs for each of four groups.

use super::{ListError, PairTest, numbered};

/// Reads `ETHNICITY_pairs.txt`: 6,000 pairs of people of one group, of pictures at
/// `data/ETHNICITY/PERSON/PERSON_0001.jpg`. The captures have the label `ethnicity`.
pub fn rfw_pairs(ethnicity: &str, text: &str) -> Result<PairTest, ListError> {
    numbered::without_header(text, &format!("data/{ethnicity}/"), &["ethnicity"], &[ethnicity])
}
