//! `PICTURE LABEL`, two lines a pair: CALFW (Zheng et al., 2017) and CPLFW (Zheng and Deng, 2018).

use super::lines::{fields, lines, picture};
use super::pairs::{Builder, Picture};
use super::{ListError, PairTest};
use crate::Capture;

pub(super) fn parse(text: &str) -> Result<PairTest, ListError> {
    let mut test = Builder::new(&[]);
    let mut first: Option<(usize, bool)> = None;
    let mut last = 0;
    for (line, text) in lines(text) {
        let parts = fields::<2>(text).and_then(|[path, label]| Some((path, label.parse::<u32>().ok()?)));
        let (path, label) = parts.ok_or_else(|| ListError::line(line, "`PICTURE LABEL`, the label a number", text))?;
        let (path, mated) = (picture(line, path)?, label != 0);
        let capture = || Capture { picture: path.to_owned(), subject: subject(path), labels: Vec::new() };
        let place = test.place(Picture::Path(path), capture);
        match first.take() {
            None => first = Some((place, mated)),
            Some((_, other)) if other != mated => return Err(ListError::Labels { line }),
            Some((left, _)) => test.pair(line, left, place, mated)?,
        }
        last = line;
    }
    if first.is_some() {
        return Err(ListError::Half { line: last });
    }
    test.build()
}

/// The person whom a picture `PERSON_0001.jpg` shows.
fn subject(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next()?;
    let (person, number) = name.rsplit_once('.')?.0.rsplit_once('_')?;
    (!person.is_empty() && number.parse::<u32>().is_ok()).then(|| person.to_owned())
}
