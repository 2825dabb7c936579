//! Frames of ever new sizes through one extractor: `cargo run --release -p clearlane-embed --example frame_sizes -- PICTURE
//! [SIZES]`.
//!
//! A face on canvases of 5,000 different sizes, from 96 × 96 to 1280 × 960, in no order. After each tenth it prints how much
//! memory the process holds, as Linux says, and for how many frames a template was made.

#[path = "../tests/memory/mod.rs"]
mod memory;

use std::error::Error;

use clearlane_embed::{DecodeLimits, Extractor, Frame, Models, PixelFormat, Selection};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let picture = arguments.next().ok_or("usage: frame_sizes PICTURE [SIZES]")?;
    let count = arguments.next().map_or(Ok(5_000), |count| count.parse())?;
    let models = Models::builtin()?;
    let extractor =
        Extractor::new(models.detector(models.default_detector()?)?, models.embedder(models.default_embedder()?)?)
            .with_selection(Selection::Largest);
    let face = Frame::open(picture, &DecodeLimits::default())?;
    let rgb = face.to_rgb8();
    let (mut templates, mut largest) = (0_u64, 0);
    let mut canvas = Vec::new();
    println!("{:>6}  {:>12}  {:>10}", "sizes", "resident MiB", "templates");
    for number in 0..count {
        let (width, height) = size(number);
        // The picture's upper left part, repeated where the canvas is larger.
        canvas.clear();
        for y in 0..height {
            let row = (y % face.height() as usize) * face.width() as usize;
            canvas.extend((0..width).flat_map(|x| {
                let at = 3 * (row + x % face.width() as usize);
                [rgb[at], rgb[at + 1], rgb[at + 2]]
            }));
        }
        let frame = Frame::new(PixelFormat::Rgb8, width as u32, height as u32, 3 * width, &canvas)?;
        templates += u64::from(extractor.extract(&frame).is_ok());
        if (number + 1) % (count / 10).max(1) == 0 {
            let resident = memory::held("VmRSS").unwrap_or(0);
            largest = largest.max(resident);
            println!("{:>6}  {:>12.1}  {templates:>10}", number + 1, resident as f64 / f64::from(1 << 20));
        }
    }
    Ok(())
}

/// A size of its own for each number below a million: steps that share no factor with the ranges.
fn size(number: usize) -> (usize, usize) {
    (96 + number * 631 % 1185, 96 + (number / 1185 + number * 389) % 865)
}
