//! LFW's files, well formed and otherwise.
#![allow(clippy::unwrap_used)]

use clearlane_eval::lfw::{Errata, ErrataError, Identification, ImageName, ImageNameError, Pairs, PairsError};

const PAIRS: &str = "2\t1\nAda\t1\t2\nAda\t1\tBea\t3\nBea\t1\t2\nCid\t4\tBea\t1\n";

fn image(person: &str, number: u32) -> ImageName {
    ImageName::new(person, number).unwrap()
}

#[test]
fn view_2_is_read_fold_by_fold() {
    let pairs = Pairs::parse(PAIRS).unwrap();
    assert_eq!(pairs.folds(), 2);
    let read: Vec<_> = pairs
        .pairs()
        .iter()
        .map(|pair| (pair.fold, pair.left.to_string(), pair.right.to_string(), pair.mated))
        .collect();
    assert_eq!(
        read,
        [
            (0, "Ada_0001".into(), "Ada_0002".into(), true),
            (0, "Ada_0001".into(), "Bea_0003".into(), false),
            (1, "Bea_0001".into(), "Bea_0002".into(), true),
            (1, "Cid_0004".into(), "Bea_0001".into(), false),
        ]
    );
    assert_eq!(pairs.images().len(), 6);
}

#[test]
fn a_header_of_one_number_announces_one_fold_as_in_view_1() {
    let pairs = Pairs::parse("1\nAda 1 2\nAda 1 Bea 1\n").unwrap();
    assert_eq!((pairs.folds(), pairs.pairs().len()), (1, 2));
}

#[test]
fn line_ends_of_other_systems_and_blank_lines_at_the_end_are_taken() {
    assert_eq!(Pairs::parse(&(PAIRS.replace('\n', "\r\n") + "\r\n")), Pairs::parse(PAIRS));
}

#[test]
fn each_fault_of_a_pairs_file_is_named_with_its_line() {
    let parse = |text: &str| Pairs::parse(text).unwrap_err();
    let person = |text: &str| ImageNameError::Person { text: text.into() };
    let number = |text: &str| ImageNameError::Number { text: text.into() };
    assert_eq!(parse(""), PairsError::Header { text: String::new() });
    assert_eq!(parse("0 300\n"), PairsError::Header { text: "0 300".into() });
    assert_eq!(parse("ten 300\n"), PairsError::Header { text: "ten 300".into() });
    assert_eq!(parse("1 1\nAda 1\n"), PairsError::Fields { line: 2, fields: 2 });
    assert_eq!(parse("1 1\nAda 1 2\nAda x Bea 1\n"), PairsError::Image { line: 3, source: number("x") });
    assert_eq!(parse("1 1\n../etc 1 2\n"), PairsError::Image { line: 2, source: person("../etc") });
    assert_eq!(
        parse("1 1\nAda 1 Bea 2\n"),
        PairsError::Order { line: 2, fold: 1, found: "non-mated", expected: "mated" }
    );
    assert_eq!(parse("2 1\nAda 1 2\nAda 1 Bea 3\n"), PairsError::Count { announced: 4, found: 2 });
    assert_eq!(parse(&format!("{PAIRS}Ada 1 2\n")), PairsError::Count { announced: 4, found: 5 });
}

#[test]
fn a_header_that_announces_billions_of_pairs_costs_nothing_but_an_error() {
    let error = Pairs::parse("4294967295 4294967295\nAda 1 2\n").unwrap_err();
    assert!(matches!(error, PairsError::Count { found: 1, .. }));
}

#[test]
fn errata_remove_pairs_of_dropped_images_and_join_names_of_one_person() {
    let errata = Errata::parse("# as published\ndrop Ada_0002\nmerge Cid Bea\n").unwrap();
    let pairs = Pairs::parse(PAIRS).unwrap().corrected(&errata);
    let left: Vec<_> = pairs.pairs().iter().map(|pair| (pair.left.to_string(), pair.mated)).collect();
    assert_eq!(left, [("Ada_0001".into(), false), ("Bea_0001".into(), true), ("Cid_0004".into(), true)]);
}

#[test]
fn merged_names_stand_for_one_person_in_whatever_order_they_are_listed() {
    let errata = Errata::parse("merge A B\nmerge C D\nmerge B D\n").unwrap();
    assert!(["B", "C", "D"].iter().all(|name| errata.person(name) == errata.person("A")));
    assert_eq!(errata.person("E"), "E");
}

#[test]
fn each_fault_of_an_errata_file_is_named_with_its_line() {
    assert_eq!(
        Errata::parse("drop Ada_0001\nrename A B\n"),
        Err(ErrataError::Line { line: 2, text: "rename A B".into() })
    );
    assert!(matches!(Errata::parse("\ndrop Ada\n"), Err(ErrataError::Image { line: 2, .. })));
}

#[test]
fn everybody_is_enrolled_once_and_second_images_are_searched_with() {
    let images = [image("Bea", 2), image("Ada", 3), image("Bea", 1), image("Cid", 1), image("Bea", 5), image("Ada", 1)];
    let test = Identification::new(images.clone(), &Errata::default());
    assert_eq!(test.references, [image("Ada", 1), image("Bea", 1), image("Cid", 1)]);
    let probes: Vec<_> = test.probes.iter().map(|probe| (probe.image.clone(), probe.mate)).collect();
    assert_eq!(probes, [(image("Ada", 3), 0), (image("Bea", 2), 1)]);

    let errata = Errata::parse("drop Ada_0001\nmerge Bea Cid\n").unwrap();
    let test = Identification::new(images, &errata);
    assert_eq!(test.references, [image("Ada", 3), image("Bea", 1)]);
    assert_eq!(test.probes.len(), 1);
}

#[test]
fn an_image_lies_in_its_persons_folder() {
    assert_eq!(image("Abel_Pacheco", 4).path().to_str(), Some("Abel_Pacheco/Abel_Pacheco_0004.jpg"));
    assert_eq!(ImageName::from_stem("Abel_Pacheco_0004"), Ok(image("Abel_Pacheco", 4)));
}

#[test]
fn the_published_files_are_read_whole() {
    let Some(datasets) = std::env::var_os("CLEARLANE_DATASETS") else {
        eprintln!("skipped: CLEARLANE_DATASETS is not set, and pairs.txt may not be shipped");
        return;
    };
    let read = |name: &str| std::fs::read_to_string(std::path::Path::new(&datasets).join("lfw").join(name)).unwrap();
    let pairs = Pairs::parse(&read("pairs.txt")).unwrap();
    assert_eq!((pairs.folds(), pairs.pairs().len(), pairs.images().len()), (10, 6000, 7701));
    let corrected = pairs.corrected(&Errata::parse(&read("errata.txt")).unwrap());
    assert!(corrected.pairs().len() < 6000 && corrected.pairs().len() > 5900);
}
