//! `PERSON NUMBER NUMBER` and `PERSON NUMBER PERSON NUMBER`: LFW's lines, with its header or without.

use super::lines::{fields, lines};
use super::pairs::{Builder, Picture};
use super::{CapturePair, ListError, PairTest};
use crate::Capture;
use crate::lfw::{ImageName, Pairs};

/// The pairs of a list, in the folds that its header says or, without one, that their places say.
pub(super) fn parse(text: &str) -> Result<PairTest, ListError> {
    let numbers =
        |line: &str| line.split_whitespace().map(|field| field.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    let has_header = lines(text).next().and_then(|(_, first)| numbers(first)).is_some_and(|numbers| numbers.len() < 3);
    if has_header { with_header(text) } else { without_header(text, "", &[], &[]) }
}

/// The pairs of a list without a header, of pictures below `folder`, which all have the same labels.
pub(super) fn without_header(
    text: &str,
    folder: &str,
    columns: &[&str],
    labels: &[&str],
) -> Result<PairTest, ListError> {
    let mut test = Builder::new(columns);
    for (line, text) in lines(text) {
        let (left, right) = images(text).ok_or_else(|| {
            const EXPECTED: &str = "`PERSON NUMBER NUMBER` of a mated pair or `PERSON NUMBER PERSON NUMBER` of a \
                                    non-mated one, numbers of 1 to 9999";
            ListError::line(line, EXPECTED, text)
        })?;
        let mut place = |(person, number): (_, u32), image: &ImageName| {
            test.place(Picture::Numbered(person, number), || capture(folder, image, labels))
        };
        let places = (place(left.0, &left.1), place(right.0, &right.1));
        test.pair(line, places.0, places.1, left.0.0 == right.0.0)?;
    }
    test.build()
}

type Named<'t> = ((&'t str, u32), ImageName);

/// The two images of a line.
fn images(line: &str) -> Option<(Named<'_>, Named<'_>)> {
    let (left, right) = match (fields::<3>(line), fields::<4>(line)) {
        (Some([person, left, right]), _) => ((person, left), (person, right)),
        (_, Some([left, l, right, r])) => ((left, l), (right, r)),
        _ => return None,
    };
    Some((image(left)?, image(right)?))
}

fn image<'t>((person, number): (&'t str, &str)) -> Option<Named<'t>> {
    let number = number.parse().ok()?;
    Some(((person, number), ImageName::new(person, number).ok()?))
}

fn with_header(text: &str) -> Result<PairTest, ListError> {
    let pairs = Pairs::parse(text).map_err(ListError::Lfw)?;
    let mut test = Builder::new(&[]);
    for pair in pairs.pairs() {
        let [left, right] = [&pair.left, &pair.right]
            .map(|image| test.place(Picture::Numbered(image.person(), image.number()), || capture("", image, &[])));
        test.pair_in(0, CapturePair { left, right, mated: pair.mated, fold: pair.fold })?;
    }
    test.build_in(pairs.folds())
}

fn capture(folder: &str, image: &ImageName, labels: &[&str]) -> Capture {
    let person = image.person();
    Capture {
        picture: format!("{folder}{person}/{image}.jpg"),
        subject: Some(person.to_owned()),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
    }
}
