//! Frames of every pixel format with any extents, strides and lengths.

use std::time::{Duration, Instant};

use clearlane::{ReadBudget, read_claim_text};
use clearlane_embed::{Frame, MAX_SIDE, PixelFormat, Rotation};

use crate::models::COLOURS;
use crate::{Steer, pictures::to_template};

/// The most pixels that are looked at.
const MOST: u64 = 1 << 12;

/// Bytes choose format, extents, stride, length, colour and rotation, then fill the buffer.
pub(crate) fn frames(bytes: &[u8]) {
    let mut steer = Steer::new(bytes);
    let format = steer.one_of(&PixelFormat::ALL);
    let hostile = steer.below(4) == 0;
    let mut side = || if hostile { steer.number() } else { 1 + u32::from(steer.byte()) % 80 };
    let [width, height] = [side(), side()];
    // As Rust computes it, a row of so many pixels could overflow where `usize` has 32 bits; there it is refused before.
    let row = format.row_bytes(width.min(MAX_SIDE));
    let stride = match steer.below(4) {
        0 => row,
        1 => row + steer.below(9),
        2 => row.saturating_sub(steer.below(3)),
        _ => steer.number() as usize ^ (steer.number() as usize) << 32,
    };
    let (colour, rotation) = (steer.one_of(&COLOURS), steer.one_of(&Rotation::ALL));
    let needed = stride.saturating_mul(height as usize).saturating_mul(2).min(1 << 16);
    let length = if steer.flip() { needed } else { needed - steer.number() as usize % (needed + 1) };
    let [split, chroma_stride] = [steer.number() as usize % (length + 1), steer.number() as usize];
    let two_planes = steer.below(4) == 0;
    let fill = steer.rest();
    let mut data: Vec<u8> = fill.iter().copied().cycle().take(length).collect();
    data.resize(length, 0x55);

    let frame = if two_planes {
        let (luma, chroma) = data.split_at(split);
        let chroma_stride = if hostile { chroma_stride } else { stride.saturating_add(chroma_stride % 4) };
        Frame::nv12(width, height, (luma, stride), (chroma, chroma_stride))
    } else {
        Frame::new(format, width, height, stride, &data[..])
    };
    let frame = match frame {
        Ok(frame) => frame.with_yuv_colour(colour),
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!((1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height));
    if u64::from(width) * u64::from(height) > MOST {
        return;
    }
    let upright = frame.to_rgb8().into_owned();
    let turned = frame.clone().with_rotation(rotation);
    let [across, down] = [turned.width(), turned.height()].map(|side| side as usize);
    // What was at (x, y) is at another place of the picture that stands upright.
    let [w, h] = [width as usize, height as usize];
    let mut expected = vec![0; upright.len()];
    for (at, pixel) in upright.as_chunks::<3>().0.iter().enumerate() {
        let (x, y) = (at % w, at / w);
        let (x, y) = match rotation {
            Rotation::None => (x, y),
            Rotation::Clockwise90 => (h - 1 - y, x),
            Rotation::Clockwise180 => (w - 1 - x, h - 1 - y),
            Rotation::Clockwise270 => (y, w - 1 - x),
        };
        expected[3 * (y * across + x)..][..3].copy_from_slice(pixel);
    }
    assert_eq!(expected.len(), 3 * across * down);
    assert!(turned.to_rgb8()[..] == expected[..], "{format:?}, {width} x {height}, stride {stride}, {rotation:?}");
    to_template(&turned);
    let read = read_claim_text(&turned, &mut ReadBudget::until(Instant::now() + Duration::from_mins(5)));
    assert_eq!(read, Ok(None), "a claim in noise");
}
