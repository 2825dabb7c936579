//! A JPEG 2000 file that asks its decoder for more than the limits allow is refused, however it hides that: what is checked is what
//! is decoded.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_embed::{DecodeError, DecodeLimits, Frame};
use common::bytes;

/// Marker codes (ISO/IEC 15444-1, table A.2).
const SIZ: u8 = 0x51;
const COD: u8 = 0x52;
const QCD: u8 = 0x5C;
const POC: u8 = 0x5F;

/// Somewhat more than what the picture takes.
const LIMITS: DecodeLimits =
    DecodeLimits { max_pixels: 1 << 20, max_file_bytes: 64 << 20, max_memory_bytes: 1 << 19, max_scans: 1 };

/// A codestream: the segments of its main header, and its tile-parts from their headers on, with the number of their tile.
#[derive(Clone)]
struct Codestream {
    header: Vec<(u8, Vec<u8>)>,
    parts: Vec<(u16, Vec<u8>)>,
}

impl Codestream {
    fn read(bytes: &[u8]) -> Self {
        let mut rest = &bytes[2..];
        let (mut header, mut parts) = (Vec::new(), Vec::new());
        while rest[1] != 0xD9 {
            let length = 2 + usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            if rest[1] == 0x90 {
                let part = u32::from_be_bytes(rest[6..10].try_into().unwrap()) as usize;
                parts.push((u16::from_be_bytes([rest[4], rest[5]]), rest[12..part].to_vec()));
                rest = &rest[part..];
            } else {
                header.push((rest[1], rest[4..length].to_vec()));
                rest = &rest[length..];
            }
        }
        Self { header, parts }
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0x4F];
        for (code, parameters) in &self.header {
            bytes.extend(segment(*code, parameters));
        }
        for (tile, part) in &self.parts {
            let length = 12 + part.len() as u32;
            bytes.extend(segment(0x90, &[&tile.to_be_bytes()[..], &length.to_be_bytes(), &[0, 0]].concat()));
            bytes.extend(part);
        }
        bytes.extend([0xFF, 0xD9]);
        bytes
    }

    fn parameters(&mut self, code: u8) -> &mut Vec<u8> {
        &mut self.header.iter_mut().find(|(found, _)| *found == code).unwrap().1
    }
}

fn segment(code: u8, parameters: &[u8]) -> Vec<u8> {
    [&[0xFF, code], &(parameters.len() as u16 + 2).to_be_bytes()[..], parameters].concat()
}

fn pattern() -> Codestream {
    Codestream::read(&bytes("pattern.j2k"))
}

/// The pattern, changed.
fn with(change: &dyn Fn(&mut Codestream)) -> Vec<u8> {
    let mut changed = pattern();
    change(&mut changed);
    changed.write()
}

/// The picture's coding style with precincts of one sample each, of three resolutions: lists and trees a sample.
fn small_blocks() -> Vec<u8> {
    let mut style = pattern().parameters(COD).clone();
    style[0] |= 1;
    style.extend([0x00, 0x11, 0x11]);
    style
}

fn boxed(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], &kind, content].concat()
}

/// The pattern's file with other boxes in its header, and with any codestreams.
fn file(in_header: &[u8], codestreams: &[&[u8]]) -> Vec<u8> {
    let whole = bytes("pattern.jp2");
    let at = |kind: &[u8]| whole.windows(4).position(|four| four == kind).unwrap() - 4;
    let header = [&whole[at(b"jp2h") + 8..at(b"jp2c")], in_header].concat();
    let boxes = codestreams.iter().flat_map(|codestream| boxed(*b"jp2c", codestream));
    [&whole[..at(b"jp2h")], &boxed(*b"jp2h", &header)].concat().into_iter().chain(boxes).collect()
}

fn pixels(bytes: &[u8]) -> Vec<u8> {
    Frame::decode(bytes, &LIMITS).unwrap().to_rgb8().to_vec()
}

#[test]
fn what_a_codestream_asks_for_counts_wherever_it_says_so() {
    let memory = |bytes: &[u8]| matches!(Frame::decode(bytes, &LIMITS), Err(DecodeError::MemoryLimit { .. }));
    let small = small_blocks();
    assert!(memory(&with(&|it| *it.parameters(COD) = small.clone())), "in the main header");
    assert!(memory(&with(&|it| it.parts[3].1.splice(0..0, segment(COD, &small)).for_each(drop))), "in a tile's header");
    let component = [&[0, 1], &small[5..]].concat();
    assert!(memory(&with(&|it| it.header.push((0x53, component.clone())))), "of one component");
    let more = |it: &mut Codestream| it.parts.push((0, [&segment(COD, &small)[..], &[0xFF, 0x93]].concat()));
    assert!(memory(&with(&more)), "in another part of a tile");
    // Blocks of four columns and 1024 rows, of a picture that has one row: each holds four samples, and not 4096.
    let flat = |it: &mut Codestream| {
        it.parameters(SIZ)[2..10].copy_from_slice(&[0, 0, 0x10, 0, 0, 0, 0, 1]);
        it.parameters(SIZ)[18..26].copy_from_slice(&[0, 0, 0x10, 0, 0, 0, 0, 1]);
        it.parameters(COD)[6..8].copy_from_slice(&[0, 8]);
        it.parts.truncate(1);
    };
    assert!(memory(&with(&flat)), "of a flat picture");
    assert!(memory(&with(&|it| it.parameters(COD)[8] |= 4)), "in segments of codewords");
    let parts = |it: &mut Codestream| (0..9).for_each(|tile| it.parts.extend(vec![(tile, vec![0xFF, 0x93]); 254]));
    assert!(memory(&with(&parts)), "in parts of tiles");
    let data = |it: &mut Codestream| it.parts[0].1.extend(vec![0; 200_000]);
    assert!(memory(&with(&data)), "in the data of code blocks");
    let profile = boxed(*b"colr", &[&[2, 0, 0][..], &vec![0; 300_000]].concat());
    assert!(memory(&file(&profile, &[&pattern().write()])), "in a colour profile");
    let palette = boxed(*b"pclr", &[&[0xFF, 0xFF, 3, 7, 7, 7][..], &vec![0; 3 * 0xFFFF]].concat());
    assert!(memory(&file(&palette, &[&pattern().write()])), "in a palette");
    // A page of A4 at 300 points an inch is within what a picture may take where nothing else is said.
    let page = |it: &mut Codestream| {
        it.parameters(SIZ)[2..10].copy_from_slice(&[0, 0, 0x09, 0xB0, 0, 0, 0x0D, 0xB4]);
        it.parameters(SIZ)[18..26].copy_from_slice(&[0, 0, 0x09, 0xB0, 0, 0, 0x0D, 0xB4]);
        it.parts.truncate(1);
    };
    let page = Frame::decode(&with(&page), &DecodeLimits::default());
    assert!(!matches!(page, Err(DecodeError::MemoryLimit { .. })), "{page:?}");
}

#[test]
fn what_would_have_a_decoder_work_without_end_is_not_supported() {
    let reason = |change: &dyn Fn(&mut Codestream)| match Frame::decode(&with(change), &LIMITS) {
        Err(DecodeError::Unsupported { reason }) => reason,
        other => panic!("{other:?}"),
    };
    let change = [0, 0, 0, 1, 3, 3, 0];
    for header in [true, false] {
        let segmented = |code: u8, parameters: &[u8]| {
            reason(&|it| {
                if header {
                    it.header.push((code, parameters.to_vec()));
                } else {
                    it.parts[0].1.splice(0..0, segment(code, parameters)).for_each(drop);
                }
            })
        };
        assert_eq!(segmented(POC, &change), "JPEG 2000 that changes its order of progression");
        assert_eq!(segmented(0x60, &[0, 0, 0, 0, 0]), "JPEG 2000 with packed packet headers");
        assert_eq!(segmented(0x61, &[0]), "JPEG 2000 with packed packet headers");
        assert_eq!(segmented(0x7F, &[]), "JPEG 2000 with a segment of kind 7F");
    }
    // The last column that there is: a precinct would end beyond it, where a decoder's sums begin again from zero.
    let last = |it: &mut Codestream| {
        let size = it.parameters(SIZ);
        size[2..10].copy_from_slice(&[0xFF, 0xFF, 0x80, 1, 0xFF, 0xFF, 0x80, 1]);
        size[10..18].copy_from_slice(&[0xFF, 0xFF, 0x80, 0, 0xFF, 0xFF, 0x80, 0]);
        size[26..34].copy_from_slice(&[0xFF, 0xFF, 0x80, 0, 0xFF, 0xFF, 0x80, 0]);
        it.parts.truncate(1);
    };
    assert_eq!(reason(&last), "JPEG 2000 with coordinates beyond 2^31");
    // A row of 4097 blocks in each of 60 precincts.
    let thin = |it: &mut Codestream| {
        it.parameters(SIZ)[2..10].copy_from_slice(&[0, 0, 0x40, 4, 0, 0, 0, 60]);
        it.parameters(SIZ)[18..26].copy_from_slice(&[0, 0, 0x40, 4, 0, 0, 0, 60]);
        *it.parameters(COD) = vec![1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0x0F];
        it.parts.truncate(1);
    };
    assert_eq!(reason(&thin), "JPEG 2000 with so many code blocks side by side");
}

#[test]
fn a_tile_that_does_not_say_its_length_is_not_supported() {
    let mut bytes = pattern().write();
    let last = bytes.windows(2).rposition(|pair| pair == [0xFF, 0x90]).unwrap();
    bytes[last + 6..last + 10].fill(0);
    assert!(matches!(Frame::decode(&bytes, &LIMITS), Err(DecodeError::Unsupported { .. })));
}

#[test]
fn what_two_readers_could_take_for_two_pictures_is_refused() {
    let damaged = |bytes: &[u8]| matches!(Frame::decode(bytes, &LIMITS), Err(DecodeError::Damaged { .. }));
    // A segment within another, for a reader that goes by the parameters and not by the length.
    let hidden = segment(COD, &small_blocks());
    for code in [SIZ, COD] {
        assert!(damaged(&with(&|it| it.parameters(code).extend(&hidden))), "in {code:x}");
    }
    let steps = [&[0, 0x42][..], &[0x48, 0].repeat(7)].concat();
    for (code, parameters) in [(0x53, vec![0, 0, 2, 4, 4, 0, 1]), (0x5D, steps), (0x5E, vec![0, 0, 0])] {
        let legal = with(&|it| it.header.push((code, parameters.clone())));
        assert!(!damaged(&legal), "{code:x}");
        assert!(damaged(&with(&|it| it.header.push((code, [&parameters[..], &hidden].concat())))), "in {code:x}");
    }
    // The end of the codestream within a tile's header, steps for more levels than there are, and parts of too many and of no tile.
    assert!(Frame::decode(&with(&|it| it.parts[0].1.splice(0..0, [0xFF, 0xD9]).for_each(drop)), &LIMITS).is_err());
    assert!(damaged(&with(&|it| it.parameters(QCD).extend(vec![0x48; 60_000]))));
    assert!(damaged(&with(&|it| it.parts.extend(vec![(0, vec![0xFF, 0x93]); 256]))));
    assert!(damaged(&with(&|it| it.parts.push((9, vec![0xFF, 0x93])))));
}

#[test]
fn what_means_nothing_to_a_picture_is_passed_over() {
    let mut picture = pattern();
    picture.header.push((0x64, b"\0\x01a comment".to_vec()));
    picture.header.push((0x63, vec![0; 12]));
    picture.parts[0].1.splice(0..0, segment(0x64, b"\0\x01of a tile"));
    // A marker without parameters (A.2): what comes after it is a marker again.
    picture.parts[0].1.splice(0..0, [0xFF, 0x30]);
    let expected = pixels(&bytes("pattern.j2k"));
    assert_eq!(pixels(&picture.write()), expected);
    assert_eq!(pixels(&[&picture.write()[..], b"and what comes after it"].concat()), expected);
}

#[test]
fn of_several_codestreams_the_first_is_decoded() {
    let first = pattern();
    let mut other = pattern();
    *other.parameters(COD) = small_blocks();
    // A picture of 1.7 thousand million tiles.
    let mut tiles = pattern();
    tiles.parameters(SIZ)[18..26].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    tiles.parameters(SIZ)[2..10].copy_from_slice(&[0, 0, 0xA0, 0, 0, 0, 0xA0, 0]);
    let expected = pixels(&file(&[], &[&first.write()]));
    for other in [other, tiles] {
        assert_eq!(pixels(&file(&[], &[&first.write(), &other.write()])), expected);
        assert!(Frame::decode(&file(&[], &[&other.write(), &first.write()]), &LIMITS).is_err());
    }
    assert!(Frame::decode(&file(&[], &[b"no codestream", &first.write()]), &LIMITS).is_err());
}

#[test]
fn a_palette_makes_no_more_channels_than_a_picture_has() {
    let codestream = pattern().write();
    let unsupported = |boxes: &[u8]| {
        matches!(Frame::decode(&file(boxes, &[&codestream]), &LIMITS), Err(DecodeError::Unsupported { .. }))
    };
    let palette = |columns: u8| boxed(*b"pclr", &[&[0, 1, columns][..], &vec![7; 2 * usize::from(columns)]].concat());
    let mapping = |entries: usize| boxed(*b"cmap", &[0, 0, 1, 0].repeat(entries));
    assert!(!unsupported(&[palette(3), mapping(3)].concat()));
    assert!(unsupported(&[palette(3), mapping(100_000)].concat()));
    assert!(unsupported(&palette(200)));
}
