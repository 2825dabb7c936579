//! `inspect --ofiq` writes what programs that read the tables of OFIQ's sample program expect.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{clearlane, fictional, json};

/// The columns of OFIQ 1.x (`OFIQSampleApp`), from its own output.
const COMPONENTS: &str = "UnifiedQualityScore;BackgroundUniformity;IlluminationUniformity;LuminanceMean;LuminanceVariance;\
    UnderExposurePrevention;OverExposurePrevention;DynamicRange;Sharpness;CompressionArtifacts;NaturalColour;SingleFacePresent;\
    EyesOpen;MouthClosed;EyesVisible;MouthOcclusionPrevention;FaceOcclusionPrevention;InterEyeDistance;HeadSize;\
    LeftwardCropOfTheFaceImage;RightwardCropOfTheFaceImage;MarginAboveOfTheFaceImage;MarginBelowOfTheFaceImage;HeadPoseYaw;\
    HeadPosePitch;HeadPoseRoll;ExpressionNeutrality;NoHeadCoverings";

#[test]
fn a_line_for_each_picture_has_what_inspect_says_under_the_columns_of_ofiq() {
    let folder = tempfile::tempdir().unwrap();
    // A name with what separates the columns, and a picture of nobody.
    let (face, grey) = (folder.path().join("a;\"b\".jpg"), folder.path().join("grey.png"));
    std::fs::copy(fictional("enrolled/f0000/enrol.jpg"), &face).unwrap();
    image::RgbImage::from_pixel(160, 120, image::Rgb([128; 3])).save(&grey).unwrap();
    let output = clearlane().args(["inspect", "--ofiq"]).arg(folder.path()).output().unwrap();
    let (table, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("grey.png: no face") && !said.contains("enrol.jpg"), "{said}");

    let scalars: Vec<_> = COMPONENTS.split(';').map(|name| format!("{name}.scalar")).collect();
    let header = format!("Filename;{COMPONENTS};{};assessment_time_in_ms;", scalars.join(";"));
    assert_eq!(table.lines().next().unwrap(), header);

    let mut reader = csv::ReaderBuilder::new().delimiter(b';').flexible(true).from_reader(table.as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    let seen = json(clearlane().arg("inspect").arg(&face));
    let quality = &seen["faces"][0]["quality"];
    assert_eq!((&rows[0][0], &rows[1][0]), (face.to_str().unwrap(), grey.to_str().unwrap()));
    let (mut assessed, mut not) = (0, 0);
    for (column, name) in COMPONENTS.split(';').enumerate() {
        let (native, scalar) =
            (rows[0][1 + column].parse::<f64>().unwrap(), rows[0][29 + column].parse::<i64>().unwrap());
        if quality[name].is_null() {
            assert_eq!((native, scalar), (0.0, -1), "{name}");
            not += 1;
        } else {
            let expected = quality[name]["native"].as_f64().unwrap();
            assert!((native - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{name}: {native} {expected}");
            assert_eq!(scalar, quality[name]["value"].as_i64().unwrap(), "{name}");
            assessed += 1;
        }
        assert_eq!((&rows[1][1 + column], &rows[1][29 + column]), ("0", "-1"), "{name}");
    }
    assert_eq!((assessed, not), (24, 4));
    for row in &rows {
        assert_eq!(row.len(), 58);
        assert!(row[57].parse::<u64>().is_ok(), "milliseconds: {row:?}");
    }
}

#[test]
fn what_makes_no_table_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let refused = clearlane().args(["inspect", "--ofiq"]).arg(folder.path()).assert().code(3);
    refused.stderr(predicates::str::contains("no picture in this folder"));
    let both = clearlane().args(["inspect", "--ofiq", "--json"]).arg(folder.path()).assert().code(2);
    both.stderr(predicates::str::contains("--ofiq"));
}
