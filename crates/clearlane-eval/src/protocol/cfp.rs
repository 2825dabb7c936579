//! Celebrities in Frontal-Profile (Sengupta et al., WACV 2016): lists of pictures, and pairs of their numbers in ten folds.

use std::collections::HashMap;

use super::lines::{lines, picture};
use super::pairs::{Builder, Picture};
use super::{CapturePair, ListError, PairTest};
use crate::Capture;

/// The pairs of one fold: the texts of `same.txt` and `diff.txt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CfpSplit<'t> {
    /// The fold's name, for errors: `FP/01`.
    pub name: &'t str,
    /// Mated pairs, `NUMBER,NUMBER` a line.
    pub same: &'t str,
    /// Non-mated pairs.
    pub diff: &'t str,
}

/// Reads the protocol's texts: `left` and `right` are `Pair_list_F.txt` twice for CFP-FF, and `Pair_list_F.txt` and
/// `Pair_list_P.txt` for CFP-FP; `splits` are the folds, `Split/FP/01` and so on. Pictures are relative to the data set's
/// folder, the one that holds `Protocol`. The captures have the label `pose`, the folder that they are in: `frontal` or `profile`.
pub fn cfp_pairs(left: &str, right: &str, splits: &[CfpSplit<'_>]) -> Result<PairTest, ListError> {
    let [left, right] = [("the list of the left pictures", left), ("the list of the right pictures", right)]
        .map(|(part, text)| pictures(text).map_err(|error| in_part(part, error)));
    let (left, right) = (left?, right?);
    let mut test = Builder::new(&["pose"]);
    for (fold, split) in splits.iter().enumerate() {
        for (text, mated, file) in [(split.same, true, "same.txt"), (split.diff, false, "diff.txt")] {
            pairs(&mut test, (&left, &right), text, mated, fold)
                .map_err(|error| in_part(&format!("{}/{file}", split.name), error))?;
        }
    }
    test.build_in(splits.len())
}

fn in_part(part: &str, error: ListError) -> ListError {
    ListError::Part { part: part.to_owned(), source: Box::new(error) }
}

type Numbered<'t> = HashMap<u64, &'t str>;

/// The pictures of a list, by number: `NUMBER ../Data/Images/001/frontal/01.jpg` a line.
fn pictures(text: &str) -> Result<Numbered<'_>, ListError> {
    let mut pictures = HashMap::new();
    for (line, text) in lines(text) {
        let parts = text.split_once(char::is_whitespace).and_then(|(number, path)| Some((number.parse().ok()?, path)));
        let (number, path) = parts.ok_or_else(|| ListError::line(line, "`NUMBER PICTURE`", text))?;
        // The lists lie in `Protocol`, and their paths lead from there.
        let path = path.trim();
        pictures.insert(number, picture(line, path.strip_prefix("../").unwrap_or(path))?);
    }
    Ok(pictures)
}

fn pairs<'t>(
    test: &mut Builder<'t>,
    (left, right): (&Numbered<'t>, &Numbered<'t>),
    text: &str,
    mated: bool,
    fold: usize,
) -> Result<(), ListError> {
    for (line, text) in lines(text) {
        let numbers = text
            .split_once(',')
            .and_then(|(left, right)| Some((left.trim().parse::<u64>().ok()?, right.trim().parse::<u64>().ok()?)));
        let numbers = numbers.ok_or_else(|| ListError::line(line, "`NUMBER,NUMBER`", text))?;
        let mut place = |pictures: &Numbered<'t>, number| {
            let unknown = || ListError::Unknown { line, what: "picture", number };
            let path = *pictures.get(&number).ok_or_else(unknown)?;
            Ok(test.place(Picture::Path(path), || capture(path)))
        };
        let (left, right) = (place(left, numbers.0)?, place(right, numbers.1)?);
        test.pair_in(line, CapturePair { left, right, mated, fold })?;
    }
    Ok(())
}

/// A picture `…/PERSON/POSE/01.jpg`.
fn capture(path: &str) -> Capture {
    let mut folders = path.rsplit('/').skip(1);
    let (pose, subject) = (folders.next().unwrap_or_default(), folders.next());
    Capture { picture: path.to_owned(), subject: subject.map(str::to_owned), labels: vec![pose.to_owned()] }
}
