//! The picture that `inspect --out` writes: boxes and landmarks drawn in, aligned faces at the right.

use std::io::Cursor;
use std::path::Path;

use clearlane_embed::{ALIGNED_SIDE, AlignedFace, Face};
use image::{ImageFormat, Rgb, RgbImage};

use crate::failure::{Failure, Result};
use crate::output::write_whole;

const BOX: Rgb<u8> = Rgb([0, 220, 90]);
const LANDMARKS: [Rgb<u8>; 5] =
    [Rgb([255, 60, 60]), Rgb([60, 140, 255]), Rgb([255, 220, 0]), Rgb([255, 60, 255]), Rgb([0, 230, 230])];

/// Writes the PNG at `path`, whole or not at all.
pub(super) fn write(picture: &RgbImage, faces: &[Face], aligned: &[AlignedFace], path: &Path) -> Result<()> {
    let side = ALIGNED_SIDE as u32;
    let (width, height) = picture.dimensions();
    let columns = (aligned.len() as u32).div_ceil((height / side).max(1));
    let mut canvas = RgbImage::new(width + columns * side, height.max(side));
    image::imageops::replace(&mut canvas, picture, 0, 0);
    for face in faces {
        outline(&mut canvas, face, width, height);
    }
    let rows = (height / side).max(1);
    for (index, face) in aligned.iter().enumerate() {
        let (column, row) = (index as u32 / rows, index as u32 % rows);
        // An aligned face always has 112 x 112 pixels.
        let face = RgbImage::from_raw(side, side, face.as_rgb8().to_vec()).unwrap_or_default();
        image::imageops::replace(&mut canvas, &face, i64::from(width + column * side), i64::from(row * side));
    }
    let mut png = Vec::new();
    canvas.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).map_err(|error| Failure::writing(path, &error))?;
    write_whole(path, &png)
}

fn outline(canvas: &mut RgbImage, face: &Face, width: u32, height: u32) {
    let mut dot = |x: i64, y: i64, colour: Rgb<u8>| {
        if (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y) {
            canvas.put_pixel(x as u32, y as u32, colour);
        }
    };
    // Clamped just outside of the picture: a box that reaches far beyond costs no more to draw.
    let clamp = |value: f32, limit: u32| value.round().clamp(-1.0, limit as f32) as i64;
    let b = &face.bounding_box;
    let (x0, x1) = (clamp(b.x0, width), clamp(b.x1, width));
    let (y0, y1) = (clamp(b.y0, height), clamp(b.y1, height));
    for x in x0..=x1 {
        dot(x, y0, BOX);
        dot(x, y1, BOX);
    }
    for y in y0..=y1 {
        dot(x0, y, BOX);
        dot(x1, y, BOX);
    }
    for (point, colour) in face.landmarks.iter().zip(LANDMARKS) {
        let (x, y) = (point.x.round() as i64, point.y.round() as i64);
        let reach = (face.eye_distance() / 20.0).clamp(1.0, 12.0) as i64;
        for offset in -reach..=reach {
            dot(x + offset, y, colour);
            dot(x, y + offset, colour);
        }
    }
}
