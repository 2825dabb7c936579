//! Frames in every pixel format mean the same picture, with or without padding, and refuse what does not fit.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_embed::{AlignedFace, DecodeLimits, Frame, FrameError, PixelFormat, REFERENCE_LANDMARKS, YuvColour};
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

/// Floating-point BT.601, limited range: ITU-R BT.601-7, §2.5.1 and 2.5.3.
fn yuv(pixel: &[u8]) -> [u8; 3] {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(|v| f64::from(v) / 255.0);
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    let (cb, cr) = ((b - y) / 1.772, (r - y) / 1.402);
    [16.0 + 219.0 * y, 128.0 + 224.0 * cb, 128.0 + 224.0 * cr].map(|v: f64| v.round() as u8)
}

fn padded(rows: &[u8], row: usize, stride: usize) -> Vec<u8> {
    rows.chunks_exact(row).flat_map(|r| r.iter().copied().chain(std::iter::repeat_n(0xEE, stride - row))).collect()
}

/// The picture in a pixel format, `pad` bytes after each row.
fn frame(format: PixelFormat, width: usize, height: usize, pad: usize) -> Frame<'static> {
    let rgb = picture(width, height);
    let at = |x: usize, y: usize| yuv(&rgb[3 * (y.min(height - 1) * width + x.min(width - 1))..][..3]);
    let (row, bytes): (usize, Vec<u8>) = match format {
        PixelFormat::Rgb8 => (3 * width, rgb.clone()),
        PixelFormat::Bgr8 => (3 * width, rgb.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect()),
        PixelFormat::Gray8 => (width, rgb.chunks_exact(3).map(|p| yuv(p)[0]).collect()),
        PixelFormat::Yuyv => {
            let pairs = |y| (0..width.div_ceil(2)).map(move |x| (x, y));
            let bytes = (0..height).flat_map(pairs).flat_map(|(x, y)| {
                let (left, right) = (at(2 * x, y), at(2 * x + 1, y));
                [left[0], left[1], right[0], left[2]]
            });
            (4 * width.div_ceil(2), bytes.collect())
        }
        PixelFormat::Nv12 => {
            let luma: Vec<u8> = rgb.chunks_exact(3).map(|p| yuv(p)[0]).collect();
            let (cw, ch) = (width.div_ceil(2), height.div_ceil(2));
            let chroma: Vec<u8> = (0..ch)
                .flat_map(|y| {
                    (0..cw).flat_map(move |x| {
                        let p = at(2 * x, 2 * y);
                        [p[1], p[2]]
                    })
                })
                .collect();
            let stride = width + pad;
            let chroma_stride = stride.next_multiple_of(2);
            let mut bytes = padded(&luma, width, stride);
            bytes.extend(padded(&chroma, 2 * cw, chroma_stride.max(2 * cw)));
            return Frame::new(format, width as u32, height as u32, stride, bytes).unwrap();
        }
    };
    Frame::new(format, width as u32, height as u32, row + pad, padded(&bytes, row, row + pad)).unwrap()
}

fn largest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

const COLOUR_FORMATS: [PixelFormat; 4] = [PixelFormat::Rgb8, PixelFormat::Bgr8, PixelFormat::Nv12, PixelFormat::Yuyv];

#[test]
fn every_format_gives_the_rgb_picture() {
    for (width, height) in [(64, 48), (63, 47), (1, 1), (2, 3)] {
        let expected = picture(width, height);
        for format in COLOUR_FORMATS {
            for pad in [0, 6] {
                let difference = largest_difference(&frame(format, width, height, pad).to_rgb8(), &expected);
                let allowed = if matches!(format, PixelFormat::Rgb8 | PixelFormat::Bgr8) { 0 } else { 6 };
                assert!(difference <= allowed, "{format:?} {width} x {height} + {pad}: {difference}");
            }
        }
    }
}

#[test]
fn the_aligned_face_is_the_same_from_every_format() {
    let cut = |format| AlignedFace::cut(&frame(format, 160, 140, 10), &REFERENCE_LANDMARKS).unwrap();
    let expected = cut(PixelFormat::Rgb8);
    for format in COLOUR_FORMATS {
        assert!(largest_difference(cut(format).as_rgb8(), expected.as_rgb8()) <= 6, "{format:?}");
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
        format in prop::sample::select(vec![
            PixelFormat::Rgb8, PixelFormat::Bgr8, PixelFormat::Gray8, PixelFormat::Nv12, PixelFormat::Yuyv,
        ]),
    ) {
        if let Ok(frame) = Frame::new(format, width, height, stride, vec![7; length]) {
            prop_assert_eq!(frame.to_rgb8().len(), 3 * (width * height) as usize);
        }
    }
}
