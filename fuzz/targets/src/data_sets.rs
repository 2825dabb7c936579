//! Files of data sets: anybody may have made them.

use clearlane_eval::datasets::Datasets;
use clearlane_eval::lfw::{Errata, Pairs};
use clearlane_eval::protocol::{CfpSplit, ListFormat, Packed, PairList, Table, TemplateList, cfp_pairs, rfw_pairs};

/// What occurs in lists, tables and pickles.
pub(crate) const PIECES: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b",",
    b"\"",
    b"0",
    b"1",
    b"-1",
    b"9999999999999999999999",
    b"../",
    b"/",
    b"\0",
    b"\xff",
    b"%",
    b"enrol",
    b"picture",
    b"subject",
    b"(",
    b"]",
    b"e",
    b"a",
    b"\x86",
    b"\x88",
    b"\x94",
    b"q\x00",
    b"h\x00",
    b"r\xff\xff\xff\xff",
    b"B\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
    b"c_codecs\nencode\n",
    b"R",
    b"X\x06\x00\x00\x00latin1",
];

/// Each reader gets the bytes: a packed file of pictures, and where they are text, lists and tables of every layout.
pub(crate) fn data_sets(bytes: &[u8]) {
    if let Ok(packed) = Packed::parse(bytes) {
        assert_eq!(packed.test().pairs.len() * 2, packed.pictures().len());
        assert!(packed.pictures().iter().all(|picture| picture.bytes().len() <= bytes.len()));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Pairs::parse(text);
    let _ = Errata::parse(text);
    let _ = Datasets::parse(text);
    let _ = rfw_pairs("Asian", text);
    for format in std::iter::once(None).chain(ListFormat::ALL.map(Some)) {
        let Ok(list) = PairList::parse(text, format) else { continue };
        let (captures, folds) = (list.test.captures.captures.len(), list.test.folds);
        assert!(list.test.pairs.iter().all(|pair| pair.left.max(pair.right) < captures && pair.fold < folds));
    }
    if let Ok(Table { captures, roles }) = Table::parse(text) {
        assert_eq!(captures.captures.len(), roles.len());
        assert!(captures.captures.iter().all(|capture| capture.labels.len() == captures.columns.len()));
    }
    // Protocols of several files: a per cent sign is between them.
    let mut parts = text.split('%').chain(std::iter::repeat(""));
    let mut part = || parts.next().unwrap_or_default();
    let (first, second, third, fourth) = (part(), part(), part(), part());
    let _ = cfp_pairs(first, second, &[CfpSplit { name: "FP/01", same: third, diff: fourth }]);
    if let Ok(list) = TemplateList::parse(first) {
        let _ = list.subjects(third);
        assert!(list.templates.iter().all(|template| template.media.iter().all(|medium| !medium.is_empty())));
        let _ = list.pairs(second);
    }
}
