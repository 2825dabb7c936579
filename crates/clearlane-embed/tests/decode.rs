//! Picture files become upright RGB frames, or errors that say what was wrong.
#![allow(clippy::unwrap_used)]

mod common;
mod hostile;

use clearlane_embed::{DecodeError, DecodeLimits, Frame, FrameError};
use common::{bytes, data};

fn decode(bytes: &[u8]) -> Result<Frame<'static>, DecodeError> {
    Frame::decode(bytes, &DecodeLimits::default())
}

/// The mean absolute difference between a file's pixels and the pattern's.
fn distance_to_pattern(name: &str) -> f64 {
    let frame = Frame::open(data(name), &DecodeLimits::default()).unwrap();
    assert_eq!((frame.width(), frame.height()), (64, 48), "{name}");
    let pixels = frame.to_rgb8();
    let mut sum = 0.0;
    for (i, pixel) in pixels.chunks_exact(3).enumerate() {
        let (x, y) = (i % 64 / 8, i / 64 / 8);
        let pattern = [30 * x + 10, 40 * y + 10, 200 - 20 * x];
        sum += pixel.iter().zip(pattern).map(|(a, b)| (f64::from(*a) - b as f64).abs()).sum::<f64>();
    }
    sum / pixels.len() as f64
}

#[test]
fn lossless_formats_give_the_pixels_that_were_stored() {
    for name in
        ["pattern.png", "pattern.webp", "pattern.bmp", "pattern.ppm", "sixteen.png", "pattern.jp2", "pattern.j2k"]
    {
        assert_eq!(distance_to_pattern(name), 0.0, "{name}");
    }
}

#[test]
fn every_exif_orientation_comes_out_upright() {
    for orientation in 1..=8 {
        let distance = distance_to_pattern(&format!("exif_{orientation}.jpg"));
        assert!(distance < 3.0, "orientation {orientation}: {distance}");
    }
}

#[test]
fn cmyk_jpegs_are_read_as_colours() {
    let distance = distance_to_pattern("cmyk.jpg");
    assert!(distance < 6.0, "{distance}");
}

#[test]
fn grey_pictures_become_grey_rgb() {
    let expected = decode(&bytes("pattern.pgm")).unwrap();
    assert!(expected.to_rgb8().chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
    assert!(*decode(&bytes("grey.jp2")).unwrap().to_rgb8() == *expected.to_rgb8());
}

#[test]
fn transparency_is_laid_over_white() {
    let opaque = decode(&bytes("pattern.png")).unwrap();
    for name in ["alpha.png", "alpha.jp2"] {
        let half = decode(&bytes(name)).unwrap();
        for (half, opaque) in half.to_rgb8().iter().zip(&*opaque.to_rgb8()) {
            let expected = f64::from(*opaque) * 128.0 / 255.0 + 127.0;
            assert!((f64::from(*half) - expected).abs() <= 1.0, "{name}");
        }
    }
}

#[test]
fn a_lossy_jpeg_2000_is_read_as_openjpeg_reads_it() {
    let [got, expected] = ["portrait.jp2", "portrait.png"].map(|name| decode(&bytes(name)).unwrap());
    let (got, expected) = (got.to_rgb8(), expected.to_rgb8());
    assert_eq!(got.len(), expected.len());
    let difference: u64 = got.iter().zip(&*expected).map(|(got, expected)| u64::from(got.abs_diff(*expected))).sum();
    assert!(difference < got.len() as u64 / 10, "{difference}");
}

#[test]
fn a_jpeg_2000_that_claims_more_than_the_limits_is_refused() {
    let picture = bytes("pattern.jp2");
    let size = picture.windows(4).position(|four| four == b"\xFF\x4F\xFF\x51").unwrap() + 8;
    let with = |changes: &[(usize, u32)]| {
        let mut changed = picture.clone();
        for (at, value) in changes {
            changed[size + at..size + at + 4].copy_from_slice(&value.to_be_bytes());
        }
        decode(&changed)
    };
    assert!(matches!(with(&[(0, 2_000_000)]), Err(DecodeError::TooManyPixels { width: 2_000_000, height: 48, .. })));
    assert!(matches!(with(&[(0, 60_000)]), Err(DecodeError::Frame(FrameError::Size { .. }))));
    // Of 64 x 48 pixels each, all but the first missing.
    assert!(matches!(with(&[(0, 20_000)]), Err(DecodeError::Truncated { .. })));
    assert!(matches!(with(&[(0, 20_000), (16, 1)]), Err(DecodeError::Unsupported { .. })));
    let memory = DecodeLimits { max_memory_bytes: 100_000, ..DecodeLimits::default() };
    assert!(matches!(Frame::decode(&picture, &memory), Err(DecodeError::MemoryLimit { .. })));
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    assert!(matches!(decode(&[]), Err(DecodeError::Empty)));
}

#[test]
fn what_is_not_a_picture_is_refused() {
    for text in [&b"hello, this is no picture at all"[..], &[0; 64], b"%PDF-1.7\n"] {
        assert!(matches!(decode(text), Err(DecodeError::UnknownFormat)), "{:?}", decode(text));
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error_and_never_half_a_face() {
    for name in ["exif_1.jpg", "cmyk.jpg", "pattern.png", "pattern.webp", "pattern.bmp", "pattern.ppm", "portrait.jp2"]
    {
        let whole = bytes(name);
        // A few bytes at the end may be no part of the picture: PNG's closing chunk, padding.
        for length in (1..whole.len() - 16).step_by(7) {
            let refused = decode(&whole[..length]);
            // Within the pixels, what is missing is known by its kind; a WebP's and a JPEG 2000's bits are damaged for
            // their decoders.
            let known = !["pattern.webp", "portrait.jp2"].contains(&name) && length > whole.len() / 2;
            let truncated = matches!(refused, Err(DecodeError::Truncated { .. }));
            assert!(if known { truncated } else { refused.is_err() }, "{name} cut to {length}: {refused:?}");
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    for name in [
        "exif_6.jpg",
        "cmyk.jpg",
        "pattern.png",
        "pattern.webp",
        "pattern.bmp",
        "pattern.ppm",
        "sixteen.png",
        "pattern.j2k",
        "alpha.jp2",
    ] {
        let whole = bytes(name);
        for at in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x5A;
            drop(decode(&damaged));
        }
    }
}

#[test]
fn a_header_that_claims_a_huge_picture_is_refused_before_memory_is_taken() {
    let mut bmp = bytes("pattern.bmp");
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    match decode(&bmp) {
        Err(DecodeError::TooManyPixels { width: 60_000, height: 60_000, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(decode(b"P6 60000 60000 255\n"), Err(DecodeError::TooManyPixels { .. })));
}

#[test]
fn the_callers_limits_hold() {
    let picture = bytes("pattern.png");
    let pixels = DecodeLimits { max_pixels: 64 * 48 - 1, ..DecodeLimits::default() };
    assert!(matches!(Frame::decode(&picture, &pixels), Err(DecodeError::TooManyPixels { .. })));
    let memory = DecodeLimits { max_memory_bytes: 1000, ..DecodeLimits::default() };
    assert!(matches!(Frame::decode(&picture, &memory), Err(DecodeError::MemoryLimit { .. })));
    let file = DecodeLimits { max_file_bytes: 100, ..DecodeLimits::default() };
    assert!(matches!(Frame::open(data("pattern.bmp"), &file), Err(DecodeError::FileTooLarge { .. })));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Frame::open("no/such/picture.jpg", &DecodeLimits::default()).unwrap_err();
    assert!(error.to_string().contains("no/such/picture.jpg"), "{error}");
    assert!(matches!(Frame::open(data(""), &DecodeLimits::default()), Err(DecodeError::Io { .. })));
}

#[test]
fn a_jpeg_is_drawn_in_as_many_scans_as_the_limit_allows_and_no_more() {
    let limits = DecodeLimits::default();
    for progressive in [true, false] {
        let with = |scans| hostile::jpeg([64, 48], progressive, scans);
        assert!(decode(&with(3)).is_ok(), "{:?}", decode(&with(3)));
        assert!(decode(&with(limits.max_scans as usize)).is_ok());
        let refused = decode(&with(limits.max_scans as usize + 1));
        assert!(matches!(refused, Err(DecodeError::TooManyScans { max_scans: 32 })), "{refused:?}");
        let fewer = DecodeLimits { max_scans: 2, ..limits };
        assert!(matches!(Frame::decode(&with(3), &fewer), Err(DecodeError::TooManyScans { max_scans: 2 })));
    }
}

#[test]
fn scans_of_a_thumbnail_and_what_follows_the_picture_do_not_count() {
    let thumbnail = hostile::jpeg([8, 8], true, 20);
    let mut picture = hostile::jpeg([64, 48], true, 20);
    let segment = hostile::segment(0xEC, &thumbnail);
    picture.splice(2..2, segment);
    picture.extend(hostile::jpeg([64, 48], true, 20));
    assert!(decode(&picture).is_ok(), "{:?}", decode(&picture));
}

#[test]
fn the_memory_of_a_progressive_jpegs_coefficients_counts() {
    // Six bytes a pixel, in addition to the three of the samples; under a kilobyte in the file.
    let picture = hostile::jpeg([4000, 4000], true, 1);
    assert!(picture.len() < 1000);
    let limits = DecodeLimits { max_memory_bytes: 130 << 20, ..DecodeLimits::default() };
    assert!(matches!(Frame::decode(&picture, &limits), Err(DecodeError::MemoryLimit { .. })));
    // The samples and the frame alone would fit.
    let baseline = hostile::jpeg([4000, 4000], false, 3);
    assert!(Frame::decode(&baseline, &limits).is_ok());
}

#[test]
fn sides_that_no_frame_has_are_refused_before_they_are_decoded() {
    // The pixels are missing: an error about them would show that decoding was begun.
    let png = hostile::png([1, 40_000_000], &[], b"");
    let refused = decode(&png);
    assert!(
        matches!(refused, Err(DecodeError::Frame(FrameError::Size { width: 1, height: 40_000_000 }))),
        "{refused:?}"
    );
}

#[test]
fn a_flood_of_metadata_is_refused() {
    let chunks = |count| hostile::chunk(*b"tEXt", b"a\0").repeat(count);
    assert!(decode(&hostile::png([8, 8], &chunks(900), &hostile::zeros(8 * 25))).is_ok());
    let refused = decode(&hostile::png([8, 8], &chunks(2000), &hostile::zeros(8 * 25)));
    assert!(matches!(refused, Err(DecodeError::Unsupported { .. })), "{refused:?}");
}
