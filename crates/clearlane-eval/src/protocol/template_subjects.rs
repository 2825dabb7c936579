//! The 1:N lists of IJB-B and IJB-C: which templates are in a gallery, or searched with, and whom each shows.

use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::lines::beginning;
use super::templates::MAX_PICTURES;
use super::{ListError, TemplateList};

/// A template of a gallery, or one to search with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateSubject {
    /// Its place among the templates.
    pub template: u32,
    /// The number of the subject that it shows.
    pub subject: u64,
}

const EXPECTED: &str = "numbers under TEMPLATE_ID and SUBJECT_ID";

impl TemplateList {
    /// Reads CSV such as `ijbc_1N_gallery_G1.csv` and `ijbc_1N_probe_mixed.csv`: a header with `TEMPLATE_ID` and `SUBJECT_ID` and any
    /// other columns, a line for each picture. Gives each template once, in the order in which they occur.
    pub fn subjects(&self, text: &str) -> Result<Vec<TemplateSubject>, ListError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        let read = |reader: &mut csv::Reader<&[u8]>, record: &mut StringRecord| {
            // Of text in memory, with lines of any length, nothing can be wrong.
            reader.read_record(record).unwrap_or(false)
        };
        if !read(&mut reader, &mut record) {
            return Err(ListError::Empty);
        }
        let header = record.clone();
        let column = |name: &str| {
            let place = header.iter().position(|column| column.eq_ignore_ascii_case(name));
            let first = || beginning(&header.iter().collect::<Vec<_>>().join(","));
            place.ok_or_else(|| ListError::Line {
                line: 1,
                expected: "a header with TEMPLATE_ID and SUBJECT_ID",
                text: first(),
            })
        };
        let (template, subject) = (column("TEMPLATE_ID")?, column("SUBJECT_ID")?);
        let mut known: HashMap<u32, u64> = HashMap::new();
        let mut found = Vec::new();
        let mut entries = 0;
        while read(&mut reader, &mut record) {
            let line = record.position().map_or(0, csv::Position::line) as usize;
            let unfit = |expected| {
                let text = beginning(&record.iter().collect::<Vec<_>>().join(","));
                ListError::Line { line, expected, text }
            };
            let number = |column: usize| record.get(column).and_then(|field| field.parse::<u64>().ok());
            let (template, subject) = number(template).zip(number(subject)).ok_or_else(|| unfit(EXPECTED))?;
            entries += 1;
            if entries > MAX_PICTURES {
                return Err(ListError::TooMany { line, limit: MAX_PICTURES });
            }
            let place = self.place(line, template)?;
            match known.insert(place, subject) {
                None => found.push(TemplateSubject { template: place, subject }),
                Some(before) if before == subject => {}
                Some(_) => return Err(unfit("the subject that the template has on an earlier line")),
            }
        }
        if found.is_empty() { Err(ListError::Empty) } else { Ok(found) }
    }
}
