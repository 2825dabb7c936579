//! `LABEL LEFT RIGHT` or `LEFT RIGHT LABEL`, a line a pair: how AgeDB-30, CALFW, CPLFW and LFW are passed on with aligned
//! pictures.

use super::lines::{fields, lines, picture};
use super::pairs::{Builder, Picture};
use super::{ListError, PairTest};
use crate::Capture;

/// Where a line has its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Last,
}

pub(super) fn parse(text: &str, place: Place) -> Result<PairTest, ListError> {
    let expected = match place {
        Place::First => "`LABEL LEFT RIGHT`, the label 1 or 0",
        Place::Last => "`LEFT RIGHT LABEL`, the label 1 or 0",
    };
    let ages = lines(text)
        .all(|(_, line)| line.split_whitespace().all(|field| label(field).is_some() || age_db(field).is_some()));
    let mut test = Builder::new(if ages { &["age", "sex"] } else { &[] });
    for (line, text) in lines(text) {
        let parts = fields::<3>(text).map(|[a, b, c]| if place == Place::First { (a, b, c) } else { (c, a, b) });
        let pair = parts.and_then(|(mated, left, right)| Some((label(mated)?, left, right)));
        let (mated, left, right) = pair.ok_or_else(|| ListError::line(line, expected, text))?;
        let mut place = |path| {
            let path = picture(line, path)?;
            Ok(test.place(Picture::Path(path), || capture(path, ages)))
        };
        let (left, right) = (place(left)?, place(right)?);
        test.pair(line, left, right, mated)?;
    }
    test.build()
}

/// Whether a label says that the pair is mated.
pub(super) fn label(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" | "-1" => Some(false),
        _ => None,
    }
}

fn capture(path: &str, ages: bool) -> Capture {
    let known = if ages { age_db(path) } else { None };
    let labels = known.map_or_else(Vec::new, |(_, age, sex)| vec![age.to_owned(), sex.to_owned()]);
    Capture { picture: path.to_owned(), subject: known.map(|(subject, ..)| subject.to_owned()), labels }
}

/// Subject, age and sex of a picture that is named as in AgeDB: `NUMBER_SUBJECT_AGE_SEX.jpg`.
fn age_db(path: &str) -> Option<(&str, &str, &str)> {
    let name = path.rsplit(['/', '\\']).next()?;
    let mut parts = name.rsplit_once('.')?.0.split('_');
    let (number, subject, age, sex) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = number.parse::<u32>().is_ok() && age.parse::<u8>().is_ok() && matches!(sex, "f" | "m");
    (known && !subject.is_empty() && parts.next().is_none()).then_some((subject, age, sex))
}
