//! The portrait of a passport's chip, of records written by hand from the standards' layouts: ICAO Doc 9303-10, ISO/IEC
//! 19794-5:2005 and ISO/IEC 39794-5:2019.
//!
//! `CLEARLANE_MUTATIONS=1000000` tries as many mutations of the records instead of a few thousand.
#![allow(clippy::unwrap_used)]

mod common;
#[cfg(target_os = "linux")]
mod memory;

use clearlane_embed::{DecodeError, DecodeLimits, Frame, Portrait, PortraitEncoding, PortraitError};
use common::bytes;

/// A data object: tag, length in the shortest definite form, value.
fn object(tag: u32, value: &[u8]) -> Vec<u8> {
    let tag = if tag > 0xFF { tag.to_be_bytes()[2..].to_vec() } else { vec![tag as u8] };
    let length = match value.len() {
        short @ 0..=0x7F => vec![short as u8],
        byte @ 0x80..=0xFF => vec![0x81, byte as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [tag, length, value.to_vec()].concat()
}

/// DG2 with one biometric information template around this data block.
fn data_group(format: u16, block: &[u8]) -> Vec<u8> {
    let header = [
        object(0x80, &[0x01, 0x01]),
        object(0x81, &[0x02]),
        object(0x87, &[0x01, 0x01]),
        object(0x88, &format.to_be_bytes()),
    ];
    let template = object(0x7F60, &[object(0xA1, &header.concat()), block.to_vec()].concat());
    object(0x75, &object(0x7F61, &[object(0x02, &[1]), template].concat()))
}

/// A facial record with so many feature points (19794-5:2005, tables 2 to 7).
fn facial_record(image: &[u8], points: u16) -> Vec<u8> {
    let block = 20 + 8 * u32::from(points) + 12 + image.len() as u32;
    let mut record = b"FAC\x00010\0".to_vec();
    record.extend((14 + block).to_be_bytes());
    record.extend(1_u16.to_be_bytes());
    record.extend(block.to_be_bytes());
    record.extend(points.to_be_bytes());
    // Gender, eye and hair colour; features, expression; pose and its uncertainty.
    record.extend([2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for point in 0..points {
        record.extend([1, 0x30 + point as u8, 0, 40, 0, 50, 0, 0]);
    }
    // Full frontal; JPEG or JPEG 2000; width, height; sRGB, static photograph, device, quality.
    record.extend([1, u8::from(!image.starts_with(&[0xFF, 0xD8])), 0, 96, 0, 128, 1, 2, 0, 0, 0, 0]);
    record.extend(image);
    record
}

/// A face image data block with what the application profile for travel documents asks for (39794-5:2019, annex A).
fn face_image_data_block(image: &[u8]) -> Vec<u8> {
    let format = if image.starts_with(&[0xFF, 0xD8]) { 2 } else { 3 };
    let size = [object(0x80, &[96]), object(0x81, &[0, 128])].concat();
    let information = [object(0xA0, &object(0x80, &[format])), object(0xA7, &size)].concat();
    let flat = [object(0x80, image), object(0xA1, &information)].concat();
    let representation = object(0xA1, &object(0xA0, &object(0xA0, &flat)));
    let block = object(0x30, &[object(0x80, &[1]), representation].concat());
    let version = [object(0x80, &[3]), object(0x81, &[0x07, 0xE3])].concat();
    object(0x65, &[object(0xA0, &version), object(0xA1, &block)].concat())
}

/// A record of each edition with each format of image, and how its portrait is encoded.
fn records() -> Vec<(Vec<u8>, PortraitEncoding, &'static str)> {
    let mut records = Vec::new();
    for name in ["portrait.jpg", "portrait.jp2"] {
        let image = bytes(name);
        for points in [0, 2] {
            let block = object(0x5F2E, &facial_record(&image, points));
            records.push((data_group(0x0008, &block), PortraitEncoding::Iso19794, name));
        }
        let block = face_image_data_block(&image);
        for block in [object(0xA1, &block), block] {
            records.push((data_group(0x001E, &object(0x7F2E, &block)), PortraitEncoding::Iso39794, name));
        }
    }
    records
}

#[test]
fn portraits_of_both_editions_are_read_in_both_formats() {
    for (record, encoding, name) in records() {
        let portrait = Portrait::find(&record).unwrap();
        assert_eq!(portrait.encoding(), encoding);
        assert_eq!(portrait.image(), bytes(name));
        let frame = Frame::decode_dg2(&record, &DecodeLimits::default()).unwrap();
        let found = Frame::decode(&record, &DecodeLimits::default()).unwrap();
        assert!(*found.to_rgb8() == *frame.to_rgb8());
        let expected = Frame::decode(&bytes(name), &DecodeLimits::default()).unwrap();
        assert_eq!((frame.width(), frame.height()), (96, 128));
        assert!(*frame.to_rgb8() == *expected.to_rgb8(), "{name}, {encoding:?}");
    }
}

#[test]
fn what_a_reader_may_leave_off_or_add_does_not_matter() {
    let image = bytes("portrait.jpg");
    let record = facial_record(&image, 1);
    let group = data_group(0x0008, &object(0x5F2E, &record));
    // The file's own tag and length; the bytes that the chip's file is longer.
    let inner = &group[4..];
    for bytes in [record.clone(), inner.to_vec(), [group.clone(), vec![0; 32]].concat()] {
        assert_eq!(Portrait::find(&bytes).unwrap().image(), image);
    }
    // The first of several.
    let other = facial_record(&bytes("portrait.jp2"), 0);
    let [one, two] = [&record, &other].map(|record| object(0x7F60, &object(0x5F2E, record)));
    let both = object(0x75, &object(0x7F61, &[object(0x02, &[2]), one, two].concat()));
    assert_eq!(Portrait::find(&both).unwrap().image(), image);
}

#[test]
fn what_is_no_portrait_is_said_to_be_so() {
    let find = |bytes: &[u8]| Portrait::find(bytes).unwrap_err();
    assert!(matches!(find(b""), PortraitError::NotDataGroup2));
    assert!(matches!(find(&bytes("portrait.jpg")), PortraitError::NotDataGroup2));
    let image = bytes("portrait.jpg");
    let empty = data_group(0x0008, &[]);
    assert!(matches!(find(&empty), PortraitError::Missing { part: "biometric data block" }));
    let mut newer = facial_record(&image, 0);
    newer[5] = b'3';
    assert!(matches!(find(&newer), PortraitError::Unsupported { .. }));
    let mut none = facial_record(&image, 0);
    none[13] = 0;
    assert!(matches!(find(&none), PortraitError::Missing { .. }));
    let mut points = facial_record(&image, 0);
    points[18..20].copy_from_slice(&u16::MAX.to_be_bytes());
    assert!(matches!(find(&points), PortraitError::Malformed { .. }));
    let png = facial_record(&bytes("pattern.png"), 0);
    assert!(matches!(find(&png), PortraitError::Unsupported { .. }));
    // Of no length, as ISO/IEC 8825 allows and ISO/IEC 7816 does not.
    assert!(matches!(find(&[0x75, 0x80, 0, 0]), PortraitError::Malformed { at: 1, .. }));
    let cut = facial_record(&image[..image.len() / 2], 0);
    let refused = Frame::decode_dg2(&cut, &DecodeLimits::default()).unwrap_err();
    assert!(matches!(refused, PortraitError::Picture(DecodeError::Truncated { .. })), "{refused:?}");
}

#[test]
fn a_record_cut_anywhere_is_an_error() {
    for (record, ..) in records() {
        for length in 0..record.len() {
            let refused = Portrait::find(&record[..length]).unwrap_err();
            assert!(matches!(refused, PortraitError::Truncated { .. } | PortraitError::NotDataGroup2), "{refused:?}");
        }
    }
}

#[test]
fn a_mutated_record_is_an_error_or_a_frame_and_takes_no_more_memory_than_allowed() {
    let mutations = std::env::var("CLEARLANE_MUTATIONS").map_or(4000, |count| count.parse().unwrap());
    let limits = DecodeLimits { max_pixels: 1 << 16, max_memory_bytes: 16 << 20, ..DecodeLimits::default() };
    let records = records();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let [mut frames, mut errors] = [0, 0];
    for mutation in 0..mutations {
        let mut record = records[mutation % records.len()].0.clone();
        for _ in 0..=random.below(4) {
            let at = match random.below(3) {
                // Where the structure is, twice as often as in the image.
                0 => random.below(record.len()),
                _ => random.below(record.len().min(400)),
            };
            match random.below(6) {
                0 => record[at] = random.below(256) as u8,
                1 => record[at] ^= 1 << random.below(8),
                2 => record[at] = [0, 1, 0x7F, 0x80, 0x84, 0xFF][random.below(6)],
                3 => record.truncate(at + 1),
                4 => drop(record.drain(at..(at + 1 + random.below(8)).min(record.len()))),
                _ => {
                    let copied = record[at..(at + 1 + random.below(16)).min(record.len())].to_vec();
                    record.splice(at..at, copied);
                }
            }
            if record.is_empty() {
                break;
            }
        }
        match Frame::decode_dg2(&record, &limits) {
            Ok(frame) => {
                frames += 1;
                assert!(u64::from(frame.width()) * u64::from(frame.height()) <= limits.max_pixels);
            }
            Err(_) => errors += 1,
        }
    }
    assert!(frames > 0 && errors > 0);
    println!("{mutations} mutations: {frames} frames, {errors} errors");
    #[cfg(target_os = "linux")]
    {
        let peak = memory::held("VmHWM").unwrap() >> 10;
        println!("at most {peak} KiB");
        assert!(peak < 200 << 10, "{peak} KiB");
    }
}

/// Numbers to choose by (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }
}
