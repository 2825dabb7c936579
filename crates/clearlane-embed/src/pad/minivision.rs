//! Minivision's Silent-Face-Anti-Spoofing: the network sees the face's box enlarged by the model's own factor and gives a
//! logit for each class; the score is the probability of the class of live faces.

use clearlane_infer::Wiped;
use ndarray::ArrayD;

use super::{Family, PadModel};
use crate::detect::Face;
use crate::frame::Frame;
use crate::geometry::BoundingBox;
use crate::tensor::{Input, stretched};

pub(super) struct Minivision;

impl Family for Minivision {
    fn input(&self, frame: &Frame<'_>, face: &Face, model: &PadModel) -> Result<Input, String> {
        let region = enlarged(&face.bounding_box, model.crop, (frame.width() as usize, frame.height() as usize));
        let ([x, y], [width, height]) =
            frame.part_in_memory([region.x as u32, region.y as u32], [region.width as u32, region.height as u32]);
        let there = Region { x: x as usize, y: y as usize, width: width as usize, height: height as usize };
        let rgb = there.cut(frame);
        let cut = Frame::rgb8(width, height, &*rgb).map_err(|error| error.to_string())?;
        Ok(stretched(&cut.with_rotation(frame.rotation()), &model.input))
    }

    fn score(&self, outputs: &[ArrayD<f32>], model: &PadModel) -> Result<f32, String> {
        let logits: Vec<f32> = outputs.first().map(|output| output.iter().copied().collect()).unwrap_or_default();
        // Of one class alone every picture would be.
        if logits.len() < 2 {
            return Err(format!("expected the logits of two classes or more, got {}", logits.len()));
        }
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
        let live = exponentials.get(model.live_class);
        let live =
            live.ok_or_else(|| format!("expected a class {}, got {} classes", model.live_class, logits.len()))?;
        let probability = live / exponentials.iter().sum::<f32>();
        if probability.is_finite() { Ok(probability) } else { Err("expected finite logits, got others".to_owned()) }
    }
}

/// A region of whole pixels inside a frame.
struct Region {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Region {
    /// The pixels of a region of the frame as it lies in memory, as packed RGB.
    fn cut(&self, frame: &Frame<'_>) -> Wiped<u8> {
        // Rows are read from even columns on.
        let odd = self.x % 2;
        let mut row = Wiped::zeroed(odd + self.width);
        let mut rgb = Wiped::zeroed(3 * self.width * self.height);
        for (y, out) in (self.y..).zip(rgb.chunks_exact_mut(3 * self.width)) {
            frame.row(y, self.x - odd, &mut row);
            for (out, &[r, g, b, _]) in out.as_chunks_mut().0.iter_mut().zip(&row[odd..]) {
                *out = [r, g, b];
            }
        }
        rgb
    }
}

/// The face's box enlarged about its centre by `factor`, or by less where the frame is too small for that, and shifted
/// so that it lies inside the frame: the crop that the networks were trained on.
fn enlarged(face: &BoundingBox, factor: f32, (width, height): (usize, usize)) -> Region {
    let (frame_width, frame_height) = (width as f32, height as f32);
    let factor =
        factor.min((frame_width - 1.0) / face.width().max(1.0)).min((frame_height - 1.0) / face.height().max(1.0));
    let place = |centre: f32, size: f32, limit: f32| {
        let start = (centre - size / 2.0).clamp(0.0, (limit - 1.0 - size).max(0.0));
        let end = (start + size).min(limit - 1.0);
        (start as usize, end as usize)
    };
    let centre = face.centre();
    let (x0, x1) = place(centre.x, face.width() * factor, frame_width);
    let (y0, y1) = place(centre.y, face.height() * factor, frame_height);
    Region { x: x0, y: y0, width: x1 - x0 + 1, height: y1 - y0 + 1 }
}
