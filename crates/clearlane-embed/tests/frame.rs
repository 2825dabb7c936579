//! Frames in every pixel format mean the same picture, with or without padding, and refuse what does not fit.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_embed::{
    AlignedFace, DecodeLimits, Frame, FrameError, PixelFormat, REFERENCE_LANDMARKS, Rotation, YuvColour,
};
use proptest::prelude::*;

/// A smooth colour picture: 4:2:0 chroma must not be what a test sees.
fn picture(width: usize, height: usize) -> Vec<u8> {
    let wave = |t: f64| (127.5 + 90.0 * t.sin()) as u8;
    (0..height)
        .flat_map(|y| {
            (0..width).flat_map(move |x| [wave(x as f64 / 40.0), wave(y as f64 / 35.0), wave((x + y) as f64 / 50.0)])
        })
        .collect()
}

/// Floating-point YUV of full precision, in units of 8-bit levels: ITU-R BT.601-7 §2.5.1 and 2.5.3, BT.709-6 §3.
fn yuv_as(colour: YuvColour, pixel: &[u8]) -> [f64; 3] {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(|v| f64::from(v) / 255.0);
    let (red, blue) = match colour {
        YuvColour::Bt601Limited | YuvColour::Bt601Full => (0.299, 0.114),
        YuvColour::Bt709Limited | YuvColour::Bt709Full => (0.2126, 0.0722),
    };
    let y = red * r + (1.0 - red - blue) * g + blue * b;
    let (cb, cr) = ((b - y) / (2.0 - 2.0 * blue), (r - y) / (2.0 - 2.0 * red));
    match colour {
        YuvColour::Bt601Limited | YuvColour::Bt709Limited => [16.0 + 219.0 * y, 128.0 + 224.0 * cb, 128.0 + 224.0 * cr],
        YuvColour::Bt601Full | YuvColour::Bt709Full => [255.0 * y, 128.0 + 255.0 * cb, 128.0 + 255.0 * cr],
    }
}

fn yuv(pixel: &[u8]) -> [u8; 3] {
    yuv_as(YuvColour::Bt601Limited, pixel).map(|value| value.round() as u8)
}

/// Ten bits in the upper part of sixteen, lower byte first, with rubbish in the bits that are not used.
fn ten_bits(value: f64) -> [u8; 2] {
    (((value * 4.0).round().clamp(0.0, 1023.0) as u16) << 6 | 0x2A).to_le_bytes()
}

fn padded(rows: &[u8], row: usize, stride: usize) -> Vec<u8> {
    rows.chunks_exact(row).flat_map(|r| r.iter().copied().chain(std::iter::repeat_n(0xEE, stride - row))).collect()
}

/// The picture in a pixel format and a YUV colour, `pad` bytes after each row: planes as each format's definition has them.
fn frame_as(format: PixelFormat, colour: YuvColour, width: usize, height: usize, pad: usize) -> Frame<'static> {
    let rgb = picture(width, height);
    let exact = |x: usize, y: usize| yuv_as(colour, &rgb[3 * (y.min(height - 1) * width + x.min(width - 1))..][..3]);
    let at = |x: usize, y: usize| exact(x, y).map(|value| value.round().clamp(0.0, 255.0) as u8);
    let everywhere = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let (pairs, chroma_rows) = (width.div_ceil(2), height.div_ceil(2));
    let halves = || (0..chroma_rows).flat_map(|y| (0..pairs).map(move |x| (2 * x, 2 * y)));
    let row_pairs = || (0..height).flat_map(|y| (0..pairs).map(move |x| (2 * x, y)));
    let packed = |row: usize, bytes: Vec<u8>| {
        Frame::new(format, width as u32, height as u32, row + pad, padded(&bytes, row, row + pad))
    };
    let planar = |row: usize, luma: Vec<u8>, chroma_row: usize, chroma: Vec<u8>| {
        let stride = row + pad;
        let chroma_stride = match format {
            PixelFormat::I420 => stride.div_ceil(2),
            PixelFormat::Nv12 => stride.next_multiple_of(2),
            _ => stride.max(chroma_row),
        };
        // Of P010 both planes have one stride.
        let stride = if format == PixelFormat::P010 { chroma_stride } else { stride };
        let mut bytes = padded(&luma, row, stride);
        bytes.extend(padded(&chroma, chroma_row, chroma_stride));
        Frame::new(format, width as u32, height as u32, stride, bytes)
    };
    let luma = || everywhere().map(|(x, y)| at(x, y)[0]).collect();
    let frame = match format {
        PixelFormat::Rgb8 => packed(3 * width, rgb.clone()),
        PixelFormat::Bgr8 => packed(3 * width, rgb.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect()),
        PixelFormat::Rgba8 => packed(4 * width, rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 9]).collect()),
        PixelFormat::Bgra8 => packed(4 * width, rgb.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0], 9]).collect()),
        PixelFormat::Gray8 => packed(width, rgb.chunks_exact(3).map(|p| yuv(p)[0]).collect()),
        PixelFormat::Gray16 => {
            let wide = |p: &[u8]| (u16::from(yuv(p)[0]) * 257).to_le_bytes();
            packed(2 * width, rgb.chunks_exact(3).flat_map(wide).collect())
        }
        PixelFormat::Yuyv => packed(
            4 * pairs,
            row_pairs().flat_map(|(x, y)| [at(x, y)[0], at(x, y)[1], at(x + 1, y)[0], at(x, y)[2]]).collect(),
        ),
        PixelFormat::Uyvy => packed(
            4 * pairs,
            row_pairs().flat_map(|(x, y)| [at(x, y)[1], at(x, y)[0], at(x, y)[2], at(x + 1, y)[0]]).collect(),
        ),
        PixelFormat::Nv12 => {
            planar(width, luma(), 2 * pairs, halves().flat_map(|(x, y)| [at(x, y)[1], at(x, y)[2]]).collect())
        }
        PixelFormat::I420 => {
            let plane = |part: usize| halves().map(move |(x, y)| at(x, y)[part]).collect::<Vec<u8>>();
            planar(width, luma(), pairs, [plane(1), plane(2)].concat())
        }
        PixelFormat::P010 => {
            let luma = everywhere().flat_map(|(x, y)| ten_bits(exact(x, y)[0])).collect();
            let chroma = |(x, y)| [ten_bits(exact(x, y)[1]), ten_bits(exact(x, y)[2])].concat();
            planar(2 * width, luma, 4 * pairs, halves().flat_map(chroma).collect())
        }
    };
    frame.unwrap().with_yuv_colour(colour)
}

fn frame(format: PixelFormat, width: usize, height: usize, pad: usize) -> Frame<'static> {
    frame_as(format, YuvColour::Bt601Limited, width, height, pad)
}

fn largest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn is_grey(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::Gray8 | PixelFormat::Gray16)
}

/// What a format keeps of the picture, and how much its rounding may change.
fn expected(format: PixelFormat, width: usize, height: usize) -> (Vec<u8>, u8) {
    let rgb = picture(width, height);
    match format {
        PixelFormat::Rgb8 | PixelFormat::Bgr8 | PixelFormat::Rgba8 | PixelFormat::Bgra8 => (rgb, 0),
        grey if is_grey(grey) => (rgb.chunks_exact(3).flat_map(|pixel| [yuv(pixel)[0]; 3]).collect(), 0),
        _ => (rgb, 6),
    }
}

const COLOURS: [YuvColour; 4] =
    [YuvColour::Bt601Limited, YuvColour::Bt601Full, YuvColour::Bt709Limited, YuvColour::Bt709Full];

#[test]
fn every_format_in_every_colour_gives_the_rgb_picture() {
    for (width, height) in [(64, 48), (63, 47), (1, 1), (2, 3), (35, 2)] {
        for format in PixelFormat::ALL {
            let (expected, allowed) = expected(format, width, height);
            for (pad, colour) in COLOURS.into_iter().flat_map(|colour| [(0, colour), (6, colour)]) {
                let difference = largest_difference(&frame_as(format, colour, width, height, pad).to_rgb8(), &expected);
                assert!(difference <= allowed, "{format:?} {colour:?} {width} x {height} + {pad}: {difference}");
            }
        }
    }
}

#[test]
fn luma_is_that_of_the_picture_in_every_format() {
    let (width, height) = (33, 10);
    let luma: Vec<u8> = frame(PixelFormat::Gray8, width, height, 0).luma_rows().flat_map(|row| row.to_vec()).collect();
    for format in PixelFormat::ALL {
        let found: Vec<u8> = frame(format, width, height, 6).luma_rows().flat_map(|row| row.to_vec()).collect();
        // Luma of RGB has the full range, that of the YUV test pictures not.
        let allowed = if expected(format, width, height).1 == 0 && !is_grey(format) { 24 } else { 1 };
        assert!(largest_difference(&found, &luma) <= allowed, "{format:?}");
    }
}

#[test]
fn the_aligned_face_is_the_same_from_every_format() {
    let cut = |format| AlignedFace::cut(&frame(format, 160, 140, 10), &REFERENCE_LANDMARKS).unwrap();
    let (colour, grey) = (cut(PixelFormat::Rgb8), cut(PixelFormat::Gray8));
    for format in PixelFormat::ALL {
        let expected = if is_grey(format) { &grey } else { &colour };
        assert!(largest_difference(cut(format).as_rgb8(), expected.as_rgb8()) <= 6, "{format:?}");
    }
}

/// The pixels of a picture, turned clockwise by so many quarters, one after the other.
fn turned(rgb: &[u8], width: usize, height: usize, quarters: usize) -> (Vec<u8>, usize, usize) {
    let (mut pixels, mut width, mut height) = (rgb.to_vec(), width, height);
    for _ in 0..quarters {
        let at = |x: usize, y: usize| pixels[3 * (y * width + x)..][..3].to_vec();
        let turned = (0..width).flat_map(|y| (0..height).flat_map(move |x| [(y, x)])).collect::<Vec<_>>();
        pixels = turned.into_iter().flat_map(|(y, x)| at(y, height - 1 - x)).collect();
        (width, height) = (height, width);
    }
    (pixels, width, height)
}

#[test]
fn a_turned_frame_of_every_format_is_the_upright_picture() {
    for (width, height) in [(64, 48), (63, 47), (5, 2)] {
        for format in PixelFormat::ALL {
            let plain = frame(format, width, height, 4);
            for (quarters, rotation) in Rotation::ALL.into_iter().enumerate() {
                let (pixels, upright_width, upright_height) = turned(&plain.to_rgb8(), width, height, quarters);
                let frame = plain.clone().with_rotation(rotation);
                assert_eq!((frame.width() as usize, frame.height() as usize), (upright_width, upright_height));
                assert_eq!(&*frame.to_rgb8(), &pixels[..], "{format:?} by {}", rotation.degrees());
            }
        }
    }
}

#[test]
fn the_aligned_face_of_a_turned_frame_is_that_of_the_upright_picture() {
    for (quarters, rotation) in Rotation::ALL.into_iter().enumerate() {
        for format in PixelFormat::ALL {
            let frame = frame(format, 150, 140, 0).with_rotation(rotation);
            let upright = Frame::rgb8(frame.width(), frame.height(), frame.to_rgb8().into_owned()).unwrap();
            let [ours, theirs] = [&frame, &upright].map(|frame| AlignedFace::cut(frame, &REFERENCE_LANDMARKS).unwrap());
            assert!(largest_difference(ours.as_rgb8(), theirs.as_rgb8()) <= 1, "{format:?}, {quarters} quarters");
        }
    }
}

#[test]
fn an_unpadded_rgb_frame_is_not_copied() {
    let pixels = picture(8, 8);
    let frame = Frame::rgb8(8, 8, &pixels).unwrap();
    assert_eq!(frame.to_rgb8().as_ptr(), pixels.as_ptr());
}

#[test]
fn nv12_planes_may_lie_in_two_buffers() {
    let whole = frame(PixelFormat::Nv12, 32, 16, 0);
    let pixels: Vec<u8> = picture(32, 16).chunks_exact(3).map(|p| yuv(p)[0]).collect();
    let joined = Frame::nv12(32, 16, (&pixels[..], 32), (vec![128; 32 * 8], 32)).unwrap();
    let grey = joined.to_rgb8();
    assert!(grey.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    assert_eq!(whole.to_rgb8().len(), grey.len());
}

#[test]
fn full_range_and_bt709_are_told_apart() {
    let white = |colour| {
        let frame = Frame::nv12(2, 2, (vec![235; 4], 2), (vec![128; 2], 2)).unwrap().with_yuv_colour(colour);
        frame.to_rgb8()[0]
    };
    assert_eq!(white(YuvColour::Bt601Limited), 255);
    assert_eq!(white(YuvColour::Bt709Limited), 255);
    assert_eq!(white(YuvColour::Bt601Full), 235);
    let red = |colour| {
        let frame = Frame::nv12(2, 2, (vec![100; 4], 2), (vec![128, 200, 128, 200][..2].to_vec(), 2)).unwrap();
        frame.with_yuv_colour(colour).to_rgb8()[0]
    };
    assert!(red(YuvColour::Bt709Limited) > red(YuvColour::Bt601Limited));
}

#[test]
fn geometry_that_does_not_fit_is_refused() {
    let new =
        |width, height, stride, length| Frame::new(PixelFormat::Rgb8, width, height, stride, vec![0; length]).map(drop);
    assert_eq!(new(0, 4, 0, 0), Err(FrameError::Size { width: 0, height: 4 }));
    assert_eq!(new(4, 40_000, 12, 0), Err(FrameError::Size { width: 4, height: 40_000 }));
    assert_eq!(new(4, 4, 11, 1000), Err(FrameError::Stride { stride: 11, row: 12 }));
    assert_eq!(new(4, 4, 16, 59), Err(FrameError::TooShort { len: 59, needed: 60 }));
    assert_eq!(new(4, 4, 16, 60), Ok(()));
    assert_eq!(new(4, 4, usize::MAX, 60), Err(FrameError::TooShort { len: 60, needed: usize::MAX }));
    let chroma = Frame::new(PixelFormat::Nv12, 4, 4, 4, vec![0; 23]).unwrap_err();
    assert_eq!(chroma, FrameError::TooShort { len: 7, needed: 8 });
}

#[test]
fn decoded_and_camera_frames_are_one_type() {
    let decoded = Frame::decode(&common::bytes("pattern.png"), &DecodeLimits::default()).unwrap();
    assert_eq!(decoded.format(), PixelFormat::Rgb8);
}

proptest! {
    #[test]
    fn no_geometry_panics(
        width in 0u32..70, height in 0u32..70, stride in 0usize..300, length in 0usize..20_000,
        format in prop::sample::select(PixelFormat::ALL.to_vec()),
        rotation in prop::sample::select(Rotation::ALL.to_vec()),
    ) {
        if let Ok(frame) = Frame::new(format, width, height, stride, vec![7; length]) {
            let frame = frame.with_rotation(rotation);
            prop_assert_eq!(frame.to_rgb8().len(), 3 * (width * height) as usize);
            prop_assert_eq!(frame.luma_rows().map(|row| row.len()).sum::<usize>(), (width * height) as usize);
        }
    }
}
