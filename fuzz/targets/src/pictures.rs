//! Picture files of every format, to a template; and portraits in a chip's data group 2.

use clearlane_embed::{DecodeLimits, ExtractError, Frame, Portrait, Rotation};

use crate::models::tiny_extractor;

/// What headers of pictures are made of.
pub(crate) const PIECES: &[&[u8]] = &[
    b"\xff\xd8\xff",
    b"\xff\xc0\0\x11\x08",
    b"\xff\xc2\0\x11\x08",
    b"\xff\xc4",
    b"\xff\xda",
    b"\xff\xdd\0\x04\0\x01",
    b"\xff\xd0",
    b"\xff\xd9",
    b"\xff\xff",
    b"\xff\0",
    b"\x89PNG\r\n\x1a\n",
    b"IDAT",
    b"tRNS",
    b"P5 3 3 255\n",
    b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nENDHDR\n",
    b"BM",
    b"RIFF",
    b"WEBPVP8 ",
    b"WEBPVP8L",
    b"WEBPVP8X",
    b"Exif\0\0II*\0\x08\0\0\0",
    b"\xff\x4f\xff\x51",
    b"\xff\x52\0\x0c",
    b"\xff\x90\0\x0a",
    b"\xff\x93",
    b"\xff\x5f\0\x09",
    b"jp2c",
    b"pclr",
    b"cmap",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\x75\x82\xff\xff",
    b"\x7f\x61",
    b"\x5f\x2e",
    b"FAC\x00010\0",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
];

/// Limits that keep a run short: what is larger is refused, which is tested with it.
fn limits() -> DecodeLimits {
    DecodeLimits { max_pixels: 1 << 16, max_file_bytes: 1 << 18, max_memory_bytes: 8 << 20, max_scans: 8 }
}

/// A picture file of any format, decoded within small limits and taken to a template.
pub(crate) fn pictures(bytes: &[u8]) {
    match Frame::decode(bytes, &limits()) {
        Ok(frame) => to_template(&frame),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A data group 2 or a facial record: its portrait lies within it, and is decoded within small limits.
pub(crate) fn portraits(bytes: &[u8]) {
    let Ok(portrait) = Portrait::find(bytes) else { return };
    assert!(portrait.image().len() <= bytes.len());
    let _ = portrait.encoding();
    if let Ok(frame) = portrait.decode(&limits()) {
        assert_eq!(Frame::decode_dg2(bytes, &limits()).unwrap().to_rgb8()[..], frame.to_rgb8()[..]);
    }
}

/// All that is made of a frame. What comes out has to be within the frame, finite and of unit length.
pub(crate) fn to_template(frame: &Frame<'_>) {
    let [width, height] = [frame.width() as usize, frame.height() as usize];
    assert!(width * height <= 1 << 16);
    // Before all pixels are made: of a JPEG, the detector takes a reduced picture.
    match tiny_extractor().extract_any(frame) {
        Ok(extraction) => {
            let length: f32 = extraction.template.as_slice().iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-3, "{length}");
            assert!(extraction.face.score.is_finite());
            assert!(extraction.face.landmarks.iter().all(|point| point.x.is_finite() && point.y.is_finite()));
        }
        Err(ExtractError::Model(error)) => assert!(!error.to_string().is_empty()),
        Err(_) => {}
    }
    assert_eq!(frame.to_rgb8().len(), 3 * width * height);
    // Rows as they lie in memory: a quarter turn is not applied.
    let quarter = matches!(frame.rotation(), Rotation::Clockwise90 | Rotation::Clockwise270);
    let (width, height) = if quarter { (height, width) } else { (width, height) };
    let rows: Vec<_> = frame.luma_rows().map(|row| row.len()).collect();
    assert_eq!(rows, vec![width; height]);
}
