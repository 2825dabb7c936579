//! The files of public data sets, read as they are published: by format, in folds, with what is wrong where.
#![allow(clippy::unwrap_used, clippy::format_collect)]

use clearlane_eval::protocol::{
    CfpSplit, ListError, ListFormat, Packed, PackedError, PackedPicture, PairList, PairTest, Role, Table, TableError,
    TemplateList, TemplatePair, TemplateSubject, cfp_pairs, rfw_pairs,
};
use clearlane_eval::{Capture, Captures};

/// Each pair as its two pictures, whether it is mated, and its fold.
fn pairs(test: &PairTest) -> Vec<(&str, &str, bool, usize)> {
    let picture = |at: usize| test.captures.captures[at].picture.as_str();
    test.pairs.iter().map(|pair| (picture(pair.left), picture(pair.right), pair.mated, pair.fold)).collect()
}

fn subjects(captures: &Captures) -> Vec<Option<&str>> {
    captures.captures.iter().map(|capture| capture.subject.as_deref()).collect()
}

fn list(text: &str) -> PairList {
    PairList::parse(text, None).unwrap()
}

#[test]
fn each_form_of_a_list_of_pairs_is_recognised_and_gives_the_same_pairs() {
    let forms = [
        (ListFormat::Numbered, "2\t1\nA_B\t1\t2\nA_B\t1\tC\t3\nC\t3\t4\nA_B\t2\tC\t4\n"),
        (ListFormat::Numbered, "A_B\t1\t2\nA_B\t1\tC\t3\nC\t3\t4\nA_B\t2\tC\t4\n"),
        (
            ListFormat::LabelFirst,
            "1 A_B/A_B_0001.jpg A_B/A_B_0002.jpg\n0 A_B/A_B_0001.jpg C/C_0003.jpg\n\n1 C/C_0003.jpg C/C_0004.jpg\n\
             -1 A_B/A_B_0002.jpg C/C_0004.jpg",
        ),
        (
            ListFormat::LabelLast,
            "\u{feff}A_B/A_B_0001.jpg A_B/A_B_0002.jpg 1\r\nA_B/A_B_0001.jpg C/C_0003.jpg 0\r\n\
             C/C_0003.jpg C/C_0004.jpg 1\r\nA_B/A_B_0002.jpg C/C_0004.jpg 0\r\n",
        ),
        (
            ListFormat::TwoLines,
            "A_B/A_B_0001.jpg 7\nA_B/A_B_0002.jpg 7\nA_B/A_B_0001.jpg 0\nC/C_0003.jpg 0\nC/C_0003.jpg 1\nC/C_0004.jpg 1\n\
             A_B/A_B_0002.jpg 0\nC/C_0004.jpg 0\n",
        ),
    ];
    let expected = [
        ("A_B/A_B_0001.jpg", "A_B/A_B_0002.jpg", true, 0),
        ("A_B/A_B_0001.jpg", "C/C_0003.jpg", false, 0),
        ("C/C_0003.jpg", "C/C_0004.jpg", true, 1),
        ("A_B/A_B_0002.jpg", "C/C_0004.jpg", false, 1),
    ];
    for (format, text) in forms {
        let list = list(text);
        assert_eq!(list.format, format, "{text}");
        assert_eq!(pairs(&list.test), expected, "{text}");
        assert_eq!(list.test.folds, 2);
        assert_eq!(PairList::parse(text, Some(format)).unwrap(), list);
        if matches!(format, ListFormat::Numbered | ListFormat::TwoLines) {
            assert_eq!(subjects(&list.test.captures), [Some("A_B"), Some("A_B"), Some("C"), Some("C")]);
        }
    }
}

#[test]
fn folds_have_a_tenth_of_each_kind_whether_kinds_alternate_or_one_comes_first() {
    let line = |mated: usize, at: usize| format!("{mated} {mated}/{at} {mated}/{at}x\n");
    let blocks: String = (0..10)
        .flat_map(|fold| [(1, fold), (0, fold)])
        .flat_map(|(mated, fold)| (0..3).map(move |at| line(mated, 3 * fold + at)))
        .collect();
    let halves: String = [1, 0].into_iter().flat_map(|mated| (0..30).map(move |at| line(mated, at))).collect();
    for text in [blocks, halves] {
        let test = list(&text).test;
        assert_eq!(test.folds, 10);
        for (left, _, mated, fold) in pairs(&test) {
            let (kind, at) = left.split_once('/').unwrap();
            assert_eq!((mated, fold), (kind == "1", at.parse::<usize>().unwrap() / 3));
        }
    }
}

#[test]
fn pictures_named_as_in_agedb_say_subject_age_and_sex() {
    let test =
        list("1 0_MariaCallas_35_f.jpg 1_MariaCallas_65_f.jpg\n0 0_MariaCallas_35_f.jpg 9_EdwardNorton_44_m.jpg\n")
            .test;
    assert_eq!(test.captures.columns, ["age", "sex"]);
    assert_eq!(
        test.captures.captures[2],
        Capture {
            picture: "9_EdwardNorton_44_m.jpg".to_owned(),
            subject: Some("EdwardNorton".to_owned()),
            labels: vec!["44".to_owned(), "m".to_owned()],
        }
    );
    // One picture with another name, and no column is said of the others.
    let mixed = list("1 0_MariaCallas_35_f.jpg other.jpg\n").test;
    assert_eq!((mixed.captures.columns.len(), subjects(&mixed.captures)), (0, vec![None, None]));
}

#[test]
fn rfw_pairs_lie_in_their_groups_folder_and_carry_its_name() {
    let test = rfw_pairs("Asian", "m.0gc2xf9\t2\t3\nm.0h_9\t1\tm.0gc2xf9\t3\n").unwrap();
    assert_eq!(
        pairs(&test),
        [
            ("data/Asian/m.0gc2xf9/m.0gc2xf9_0002.jpg", "data/Asian/m.0gc2xf9/m.0gc2xf9_0003.jpg", true, 0),
            ("data/Asian/m.0h_9/m.0h_9_0001.jpg", "data/Asian/m.0gc2xf9/m.0gc2xf9_0003.jpg", false, 0),
        ]
    );
    assert_eq!(test.captures.columns, ["ethnicity"]);
    assert!(test.captures.captures.iter().all(|capture| capture.labels == ["Asian"]));
}

const FRONTAL: &str = "1 ../Data/Images/001/frontal/01.jpg\n2 ../Data/Images/002/frontal/01.jpg\n";
const PROFILE: &str = "1 ../Data/Images/001/profile/01.jpg\r\n2 ../Data/Images/002/profile/01.jpg\r\n";

#[test]
fn cfp_pairs_are_numbers_in_two_lists_of_pictures() {
    let splits = [
        CfpSplit { name: "FP/01", same: "1,1\n", diff: "1,2\n" },
        CfpSplit { name: "FP/02", same: "2,2", diff: "2,1" },
    ];
    let test = cfp_pairs(FRONTAL, PROFILE, &splits).unwrap();
    assert_eq!(test.folds, 2);
    assert_eq!(
        pairs(&test),
        [
            ("Data/Images/001/frontal/01.jpg", "Data/Images/001/profile/01.jpg", true, 0),
            ("Data/Images/001/frontal/01.jpg", "Data/Images/002/profile/01.jpg", false, 0),
            ("Data/Images/002/frontal/01.jpg", "Data/Images/002/profile/01.jpg", true, 1),
            ("Data/Images/002/frontal/01.jpg", "Data/Images/001/profile/01.jpg", false, 1),
        ]
    );
    assert_eq!(test.captures.columns, ["pose"]);
    let labels =
        test.captures.captures.iter().map(|capture| (capture.subject.as_deref().unwrap(), capture.labels[0].as_str()));
    assert_eq!(
        labels.collect::<Vec<_>>(),
        [("001", "frontal"), ("001", "profile"), ("002", "profile"), ("002", "frontal")]
    );

    let beyond = [CfpSplit { name: "FP/01", same: "1,1\n", diff: "\n1,3\n" }];
    let error = cfp_pairs(FRONTAL, PROFILE, &beyond).unwrap_err();
    assert_eq!(error.to_string(), "FP/01/diff.txt: line 2: picture 3 is not in the list of pictures");
}

#[test]
fn ijb_templates_are_made_of_media_and_media_of_pictures() {
    let list = TemplateList::parse("img/3.jpg 20 7\nimg/1.jpg 10 5\nimg/2.jpg 10 6\nimg/4.jpg 10 5\nimg/1.jpg 20 5\n")
        .unwrap();
    let pictures: Vec<_> = list.captures.captures.iter().map(|capture| capture.picture.as_str()).collect();
    assert_eq!(pictures, ["img/3.jpg", "img/1.jpg", "img/2.jpg", "img/4.jpg"]);
    let media: Vec<_> = list.templates.iter().map(|template| (template.id, template.media.clone())).collect();
    assert_eq!(media, [(10, vec![vec![1, 3], vec![2]]), (20, vec![vec![1], vec![0]])]);
    assert_eq!(
        list.pairs("10 20 1\n20 10 0\n").unwrap(),
        [TemplatePair { left: 0, right: 1, mated: true }, TemplatePair { left: 1, right: 0, mated: false },]
    );
    let error = list.pairs("10 20 1\n10 30 0").unwrap_err();
    assert_eq!(error, ListError::Unknown { line: 2, what: "template", number: 30 });
}

#[test]
fn a_gallery_of_ijb_has_each_template_once_with_its_subject() {
    let list = TemplateList::parse("1.jpg 10 1\n2.jpg 20 1\n3.jpg 30 1\n").unwrap();
    // A line for each picture; columns in any order, others passed over, names as anybody writes them.
    let text =
        "\u{feff}SUBJECT_ID, template_id,FILENAME,FACE_X\n7,30,\"img/3, a.jpg\",1\n7,30,img/4.jpg,2\n5,10,img/1.jpg\n";
    assert_eq!(
        list.subjects(text).unwrap(),
        [TemplateSubject { template: 2, subject: 7 }, TemplateSubject { template: 0, subject: 5 }]
    );
    let refused = |text: &str| list.subjects(text).unwrap_err().to_string();
    assert!(
        refused("TEMPLATE_ID,FILENAME\n1,a\n").contains("line 1: expected a header with TEMPLATE_ID and SUBJECT_ID")
    );
    assert!(refused("TEMPLATE_ID,SUBJECT_ID\n10,x\n").contains("line 2: expected numbers"));
    assert!(
        refused("TEMPLATE_ID,SUBJECT_ID\n10,1\n10,2\n").contains("line 3: expected the subject that the template has")
    );
    assert!(refused("TEMPLATE_ID,SUBJECT_ID\n40,1\n").contains("template 40 is not in the list"));
    assert_eq!(list.subjects("TEMPLATE_ID,SUBJECT_ID\n"), Err(ListError::Empty));
    assert_eq!(list.subjects(""), Err(ListError::Empty));
}

#[test]
fn a_table_has_captures_with_roles_and_any_labels() {
    let table = Table::parse(
        "subject,sex,picture,role,age\n anna ,f,a/1.jpg,enrol,\n,m,\"b,1.jpg\",probe,40\nanna,f,a/2.jpg,,31\n",
    )
    .unwrap();
    assert_eq!(table.captures.columns, ["sex", "age"]);
    assert_eq!(table.roles, [Some(Role::Enrol), Some(Role::Probe), None]);
    assert_eq!(subjects(&table.captures), [Some("anna"), None, Some("anna")]);
    assert_eq!(table.captures.captures[1].picture, "b,1.jpg");
    assert_eq!(table.captures.captures[2].labels, ["f", "31"]);

    let without_roles = Table::parse("picture,subject\n1.jpg,a\n").unwrap();
    assert_eq!((without_roles.roles, without_roles.captures.columns.len()), (vec![None], 0));
}

#[test]
fn what_is_wrong_with_a_list_is_said_with_its_line() {
    let cases = [
        ("", "expected pairs, got an empty list"),
        ("\n\n", "expected pairs, got an empty list"),
        ("one two three four five", "line 1: expected a list of pairs: "),
        (
            "1 a.jpg b.jpg\n\n2 a.jpg c.jpg",
            "line 3: expected `LABEL LEFT RIGHT`, the label 1 or 0, got `2 a.jpg c.jpg`",
        ),
        ("1 a.jpg b.jpg\n1 a.jpg", "line 2: expected `LABEL LEFT RIGHT`"),
        ("1 a.jpg ../b.jpg", "line 1: expected a picture's path within the data set's folder, got `../b.jpg`"),
        ("1 a.jpg /etc/b.jpg", "line 1: expected a picture's path within"),
        ("1 a.jpg C:\\b.jpg", "line 1: expected a picture's path within"),
        ("a.jpg b.jpg 1\na.jpg b.jpg -2", "line 2: expected `LEFT RIGHT LABEL`, the label 1 or 0"),
        ("a.jpg 1\nb.jpg 0", "line 2: expected the label of the line before"),
        ("a.jpg 1\nb.jpg 1\nc.jpg 0\n\n", "line 3: expected a second line with the pair's other picture"),
        ("a.jpg 1\nb.jpg one", "line 2: expected `PICTURE LABEL`, the label a number"),
        ("A 1 2\nA 1 B x", "line 2: expected `PERSON NUMBER NUMBER` of a mated pair"),
        ("A 1 2\n.. 1 2", "line 2: expected `PERSON NUMBER NUMBER` of a mated pair"),
        ("A 1 0", "line 1: expected `PERSON NUMBER NUMBER` of a mated pair"),
        ("1 2\nA 1 2", "expected 4 pairs by line 1, got 1: the file is not whole"),
    ];
    for (text, expected) in cases {
        let error = PairList::parse(text, None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    let long = format!("1 a.jpg {}", "x y ".repeat(1000));
    assert!(PairList::parse(&long, Some(ListFormat::LabelFirst)).unwrap_err().to_string().len() < 200);
}

#[test]
fn what_is_wrong_with_a_table_is_said_with_its_line() {
    let cases = [
        ("", TableError::Missing { column: "picture" }),
        ("picture,sex\n", TableError::Missing { column: "subject" }),
        ("picture,subject,sex,sex\n", TableError::Column { column: "sex".to_owned() }),
        ("picture,subject,\n", TableError::Column { column: String::new() }),
        ("picture,subject\n", TableError::Empty),
        ("picture,subject\na.jpg,a\nb.jpg\n", TableError::Fields { line: 3, expected: 2, found: 1 }),
        ("picture,subject\na.jpg,a\n,b\n", TableError::Picture { line: 3 }),
        ("picture,subject,role\na.jpg,a,Enrol\n", TableError::Role { line: 2, text: "Enrol".to_owned() }),
    ];
    for (text, expected) in cases {
        assert_eq!(Table::parse(text).unwrap_err(), expected, "{text:?}");
    }
    let wide = format!("picture,subject{}\n", (0..70).map(|at| format!(",l{at}")).collect::<String>());
    assert_eq!(Table::parse(&wide).unwrap_err(), TableError::Columns { columns: 72 });
}

mod packed {
    use super::*;
    use serde_json::Value;
    use sha2::{Digest as _, Sha256};

    const BY_PROTOCOL: [(u8, &[u8]); 4] = [
        (2, include_bytes!("data/packed-2.bin")),
        (3, include_bytes!("data/packed-3.bin")),
        (4, include_bytes!("data/packed-4.bin")),
        (5, include_bytes!("data/packed-5.bin")),
    ];

    fn digest(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn what_python_packed_by_any_protocol_comes_out_byte_for_byte() {
        let expected: Value = serde_json::from_str(include_str!("data/packed.json")).unwrap();
        for (protocol, bytes) in BY_PROTOCOL {
            assert_eq!(bytes[..2], [0x80, protocol]);
            let packed = Packed::parse(bytes).unwrap();
            let pictures: Vec<_> = packed.pictures().iter().map(PackedPicture::bytes).collect();
            let digests: Vec<_> = pictures.iter().take(8).map(|picture| digest(picture)).collect();
            assert_eq!(digests, serde_json::from_value::<Vec<String>>(expected["pictures"].clone()).unwrap());
            assert_eq!(digest(&pictures.concat()), expected["all"].as_str().unwrap(), "protocol {protocol}");
            let test = packed.test();
            let labels: Vec<bool> = test.pairs.iter().map(|pair| pair.mated).collect();
            assert_eq!(labels, serde_json::from_value::<Vec<bool>>(expected["labels"].clone()).unwrap());
            assert_eq!((test.folds, test.captures.captures.len()), (10, pictures.len()));
            assert!(test.pairs.iter().enumerate().all(|(at, pair)| (pair.left, pair.right) == (2 * at, 2 * at + 1)));
        }
    }

    #[test]
    fn strings_of_python_2_and_lengths_of_eight_bytes_are_bytes_too() {
        let strings = b"\x80\x02(]q\x01(U\x03oneT\x03\x00\x00\x00twoe]q\x02\x88a\x86.";
        // Without the mark, which a pickler of two entries of a tuple does not write.
        let strings: Vec<u8> =
            strings.iter().copied().enumerate().filter(|(at, _)| *at != 2).map(|(_, byte)| byte).collect();
        let long = b"\x80\x04]\x94(\x8e\x03\x00\x00\x00\x00\x00\x00\x00oneC\x03twoe]\x94\x88a\x86\x94.";
        for bytes in [&strings[..], long] {
            let packed = Packed::parse(bytes).unwrap();
            let pictures: Vec<_> = packed.pictures().iter().map(PackedPicture::bytes).collect();
            assert_eq!(pictures, [&b"one"[..], b"two"]);
            assert!(packed.test().pairs[0].mated);
        }
    }

    #[test]
    fn a_pickle_that_would_run_something_is_refused_by_name_and_place() {
        // What pickle.dumps writes for an object whose __reduce__ is (os.system, ("true",)).
        let system = b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.";
        let error = Packed::parse(system).unwrap_err();
        assert_eq!(error, PackedError::Global { name: "posix.system".to_owned(), offset: 2 });
        // By protocol 4 the name comes as text, and STACK_GLOBAL makes a function of it.
        let system = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.";
        assert_eq!(Packed::parse(system).unwrap_err(), PackedError::Opcode { opcode: 0x8c, offset: 11 });
    }

    #[test]
    fn every_opcode_that_such_a_pickle_does_not_have_is_refused_with_its_offset() {
        let read = *b"\x80\x95.(]ae\x88\x89\x86qr\x94hjCB\x8eUTXcR";
        for opcode in (0..=255_u8).filter(|opcode| !read.contains(opcode)) {
            let error = Packed::parse(&[0x80, 4, b']', opcode, 0, 0, 0, 0]).unwrap_err();
            assert_eq!(error, PackedError::Opcode { opcode, offset: 3 });
        }
    }

    #[test]
    fn a_packed_set_that_is_cut_anywhere_is_refused() {
        let (_, bytes) = BY_PROTOCOL[0];
        for length in (0..200).chain(bytes.len() - 200..bytes.len()) {
            assert!(Packed::parse(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [bytes, b"."].concat();
        assert_eq!(Packed::parse(&longer).unwrap_err(), PackedError::Trailing { offset: bytes.len() });
    }

    #[test]
    fn what_is_no_pair_of_lists_is_refused() {
        let cases: [(&[u8], PackedError); 9] = [
            (b"", PackedError::Protocol),
            (b"\x80\x01].", PackedError::Protocol),
            (b"\x80\x06].", PackedError::Protocol),
            (b"\x89PNG\r\n", PackedError::Protocol),
            (b"\x80\x03]C\x01xa]\x88a\x86.", PackedError::Counts { pictures: 1, labels: 1 }),
            (b"\x80\x03]]\x86.", PackedError::Counts { pictures: 0, labels: 0 }),
            (b"\x80\x03]\x88C\x01x", PackedError::Truncated { offset: 4 }),
            (b"\x80\x03B\xff\xff\xff\xffx", PackedError::Truncated { offset: 2 }),
            (b"\x80\x02X\x02\x00\x00\x00\xc4\x80X\x06\x00\x00\x00latin1\x86", PackedError::Latin1 { offset: 7 }),
        ];
        for (bytes, expected) in cases {
            let error = Packed::parse(bytes).unwrap_err();
            if let PackedError::Truncated { .. } = expected {
                assert!(matches!(error, PackedError::Truncated { .. }), "{error}");
            } else {
                assert_eq!(error, expected);
            }
        }
        for bytes in [
            &b"\x80\x03]a."[..],
            b"\x80\x03]\x88e.",
            b"\x80\x03]\x88h\x00.",
            b"\x80\x03]]].",
            b"\x80\x03R",
            b"\x80\x03]q\x00h\x00\x86",
            b"\x80\x03]\x88aC\x01xa",
        ] {
            assert!(matches!(Packed::parse(bytes).unwrap_err(), PackedError::Order { .. }), "{bytes:?}");
        }
    }
}
