//! JPEGs of every kind, of an encoder written for this, are read as libjpeg-turbo reads them: to the bit, at each size.
#![allow(clippy::unwrap_used)]

mod common;
mod hostile;

use clearlane_embed::{DecodeError, DecodeLimits, Frame, JpegPicture, Reduction};
use hostile::crc_32;
use image::ImageReader;

const REDUCTIONS: [Reduction; 4] = [Reduction::None, Reduction::Half, Reduction::Quarter, Reduction::Eighth];

/// A JPEG, and the checksum of libjpeg-turbo's pixels for each reduction; 0 where the picture is smaller than it.
struct Case {
    name: String,
    bytes: Vec<u8>,
    expected: [u32; 4],
}

/// All that `tests/data/jpeg/make.py` has packed as the bytes of a picture.
fn cases() -> Vec<Case> {
    let packed = ImageReader::open(common::data("jpeg/jpegs.png")).unwrap().decode().unwrap().into_luma8().into_raw();
    let mut rest = packed.as_slice();
    let mut take = |length: usize| {
        let (taken, others) = rest.split_at(length);
        rest = others;
        taken.to_vec()
    };
    let number = |bytes: Vec<u8>| u32::from_be_bytes(bytes.try_into().unwrap());
    let mut cases = Vec::new();
    loop {
        let length = usize::from(take(1)[0]);
        if length == 0 {
            return cases;
        }
        let name = String::from_utf8(take(length)).unwrap();
        let length = number(take(4)) as usize;
        let bytes = take(length);
        let expected = [(); 4].map(|()| number(take(4)));
        cases.push(Case { name, bytes, expected });
    }
}

fn decode(bytes: &[u8]) -> Result<Frame<'static>, DecodeError> {
    Frame::decode(bytes, &DecodeLimits::default())
}

#[test]
fn pixels_are_libjpeg_turbos() {
    let cases = cases();
    assert!(cases.len() > 300);
    let differ = cases.iter().filter(|case| match decode(&case.bytes) {
        Ok(frame) => crc_32(&frame.to_rgb8()) != case.expected[0],
        Err(error) => panic!("{}: {error}", case.name),
    });
    assert_eq!(differ.map(|case| &*case.name).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn reduced_pixels_are_libjpeg_turbos() {
    let mut differ = Vec::new();
    for case in cases() {
        let picture = JpegPicture::read(&case.bytes, &DecodeLimits::default()).unwrap();
        for (reduction, expected) in REDUCTIONS.into_iter().zip(case.expected) {
            let frame = picture.reduced(reduction).unwrap();
            if expected != 0 && crc_32(&frame.to_rgb8()) != expected {
                differ.push(format!("{} {reduction:?}", case.name));
            }
        }
    }
    assert_eq!(differ, [""; 0]);
}

#[test]
fn a_region_has_the_pixels_of_the_whole() {
    for case in cases() {
        let whole = decode(&case.bytes).unwrap();
        let picture = JpegPicture::read(&case.bytes, &DecodeLimits::default()).unwrap();
        let [width, height] = [whole.width(), whole.height()];
        assert_eq!([picture.width(), picture.height()], [width, height]);
        for (x, y) in [(0, 0), (width / 2, height / 2), (width - 1, height - 1), (width / 3, 0)] {
            let [across, down] = [(width - x).div_ceil(2), (height - y).div_ceil(3)];
            assert_same_part(&case.name, &picture, &whole, [x, y], [across, down]);
        }
    }
}

fn assert_same_part(name: &str, picture: &JpegPicture, whole: &Frame<'_>, first: [u32; 2], size: [u32; 2]) {
    let part = picture.region(first, size).unwrap();
    assert_eq!([part.width(), part.height()], size, "{name}");
    let (part, all) = (part.to_rgb8(), whole.to_rgb8());
    let row = 3 * size[0] as usize;
    for (y, part) in (first[1]..).zip(part.chunks_exact(row)) {
        let begin = 3 * (y * whole.width() + first[0]) as usize;
        assert!(part == &all[begin..][..row], "{name}: {size:?} at {first:?}, row {y}");
    }
}

#[test]
fn regions_and_reductions_are_upright_in_every_orientation() {
    let whole = decode(&common::bytes("exif_1.jpg")).unwrap();
    for orientation in 1..=8 {
        let name = format!("exif_{orientation}.jpg");
        let bytes = common::bytes(&name);
        let turned = decode(&bytes).unwrap();
        let picture = JpegPicture::read(&bytes, &DecodeLimits::default()).unwrap();
        for (first, size) in [([0, 0], [64, 48]), ([5, 7], [20, 9]), ([40, 1], [24, 47]), ([63, 47], [1, 1])] {
            assert_same_part(&name, &picture, &turned, first, size);
        }
        let half = picture.reduced(Reduction::Half).unwrap();
        assert_eq!([half.width(), half.height()], [32, 24], "{name}");
        // Of the pattern's fields, which are eight pixels wide.
        let (half, whole) = (half.to_rgb8(), whole.to_rgb8());
        for (x, y) in [(2, 2), (30, 2), (2, 22), (18, 10)] {
            let (small, large) = (3 * (y * 32 + x), 3 * (2 * y * 64 + 2 * x));
            for (small, large) in half[small..small + 3].iter().zip(&whole[large..large + 3]) {
                assert!(small.abs_diff(*large) < 16, "{name}");
            }
        }
    }
}

#[test]
fn a_region_beyond_the_picture_is_refused() {
    let picture = JpegPicture::read(&common::bytes("exif_6.jpg"), &DecodeLimits::default()).unwrap();
    for (first, size) in [([0, 0], [65, 1]), ([0, 0], [0, 1]), ([64, 0], [1, 1]), ([1, 0], [u32::MAX, 1])] {
        assert!(matches!(picture.region(first, size), Err(DecodeError::Region { .. })));
    }
}

/// With other bytes in its frame header: the marker, the precision, or others from there on.
fn with_frame(change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = common::bytes("exif_1.jpg");
    let at = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    change(&mut bytes[at..]);
    bytes
}

#[test]
fn processes_that_are_not_read_are_named() {
    for (codes, word) in [
        (&[0xC3, 0xCB][..], "lossless"),
        (&[0xC9, 0xCA], "arithmetic"),
        (&[0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE], "hierarchical"),
    ] {
        for &code in codes {
            let refused = decode(&with_frame(|frame| frame[1] = code));
            let Err(DecodeError::Unsupported { reason }) = refused else { panic!("{code:X}: {refused:?}") };
            assert!(reason.contains(word) || reason.contains("lossless"), "{code:X}: {reason}");
        }
    }
    let refused = decode(&with_frame(|frame| frame[4] = 12));
    assert!(matches!(&refused, Err(DecodeError::Unsupported { reason }) if reason.contains("12 bits")), "{refused:?}");
    let refused = decode(&with_frame(|frame| frame[5..7].fill(0)));
    assert!(matches!(&refused, Err(DecodeError::Unsupported { reason }) if reason.contains("height")), "{refused:?}");
}

#[test]
fn cut_anywhere_it_is_an_error_and_within_its_scans_cut_short() {
    for case in cases().iter().step_by(7) {
        let scan = case.bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
        for length in 3..case.bytes.len() {
            let refused = decode(&case.bytes[..length]);
            let expected = length < scan || matches!(refused, Err(DecodeError::Truncated { .. }));
            assert!(refused.is_err() && expected, "{} cut to {length}: {refused:?}", case.name);
        }
    }
}

#[test]
fn damaged_anywhere_it_is_a_picture_or_an_error() {
    for case in cases().iter().step_by(5) {
        for at in (2..case.bytes.len()).step_by(3) {
            for change in [0x5A, 0xFF, 0x01] {
                let mut damaged = case.bytes.clone();
                damaged[at] ^= change;
                // A size of millions of pixels would take its time.
                let limits = DecodeLimits { max_pixels: 1 << 16, ..DecodeLimits::default() };
                if let Ok(picture) = JpegPicture::read(&damaged, &limits) {
                    drop(picture.reduced(Reduction::Quarter));
                }
                drop(Frame::decode(&damaged, &limits));
            }
        }
    }
}

#[test]
fn a_missing_restart_marker_or_scan_is_damage() {
    let cases = cases();
    let restarts = cases.iter().find(|case| case.bytes.windows(2).any(|pair| pair == [0xFF, 0xD1])).unwrap();
    let mut bytes = restarts.bytes.clone();
    let at = bytes.windows(2).position(|pair| pair == [0xFF, 0xD1]).unwrap();
    bytes[at + 1] = 0xD5;
    assert!(matches!(decode(&bytes), Err(DecodeError::Damaged { reason }) if reason.contains("restart")));
    let alone = cases.iter().find(|case| case.name.starts_with("ycc 444 alone")).unwrap();
    let scans = alone.bytes.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).unwrap();
    let without = [&alone.bytes[..scans], &[0xFF, 0xD9]].concat();
    assert!(matches!(decode(&without), Err(DecodeError::Damaged { reason }) if reason.contains("no scan")));
}

#[test]
fn a_progressive_picture_that_was_never_sharpened_is_cut_short() {
    for script in ["spectral", "successive", "deep"] {
        let cases = cases();
        let case = cases.iter().find(|case| case.name.starts_with(&format!("ycc 420 {script}"))).unwrap();
        let scans = case.bytes.windows(2).enumerate().filter(|(_, pair)| *pair == [0xFF, 0xDA]).map(|(at, _)| at);
        for scan in scans.skip(4) {
            let coarse = [&case.bytes[..scan], &[0xFF, 0xD9]].concat();
            let refused = decode(&coarse);
            assert!(
                matches!(refused, Err(DecodeError::Truncated { .. } | DecodeError::Damaged { .. })),
                "{}: {refused:?}",
                case.name
            );
        }
    }
}
