//! Presentation attack detection (ISO/IEC 30107-1) by small networks on crops around the face, after Minivision's
//! Silent-Face-Anti-Spoofing: each network sees the face's box enlarged by its own factor, and the mean of their live
//! probabilities is the PAD score. This is no certified PAD; it has been measured on no benchmark here.

use clearlane_infer::{Network, Wiped};

use crate::error::ModelError;
use crate::frame::{Frame, PixelFormat};
use crate::geometry::BoundingBox;
use crate::manifest::{InputSpec, ModelEntry, Task};
use crate::tensor::stretched;

/// The PAD stage: one or several networks. `Send + Sync`; any number of threads may share one.
pub struct Liveness {
    parts: Vec<Part>,
}

struct Part {
    name: String,
    network: Network,
    input: InputSpec,
    crop: f32,
    live_class: usize,
}

impl Liveness {
    /// Loads the stage from manifest entries with their ONNX bytes; at least one.
    pub fn new<'a>(models: impl IntoIterator<Item = (&'a ModelEntry, &'a [u8])>) -> Result<Self, ModelError> {
        let parts = models.into_iter().map(|(entry, onnx)| Part::new(entry, onnx)).collect::<Result<Vec<_>, _>>()?;
        if parts.is_empty() {
            return Err(ModelError::NoneForTask { task: "liveness" });
        }
        Ok(Self { parts })
    }

    /// The PAD score of a face in a frame: the mean probability of a live face, in [0, 1].
    pub fn assess(&self, frame: &Frame<'_>, face: &BoundingBox) -> Result<f32, ModelError> {
        let mut sum = 0.0;
        for part in &self.parts {
            sum += part.live_probability(frame, face)?;
        }
        Ok(sum / self.parts.len() as f32)
    }
}

impl std::fmt::Debug for Liveness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.parts.iter().map(|part| &part.name)).finish()
    }
}

impl Part {
    fn new(entry: &ModelEntry, onnx: &[u8]) -> Result<Self, ModelError> {
        let Task::Liveness { crop, live_class } = entry.task else {
            return Err(ModelError::Task { name: entry.name.clone(), wanted: "liveness" });
        };
        let network = Network::from_onnx(onnx, [3, entry.input.height, entry.input.width])
            .map_err(|source| ModelError::Network { name: entry.name.clone(), source })?;
        let classes: usize = network.outputs().first().map_or(0, |output| output.shape().iter().product());
        if live_class >= classes {
            let problem = format!("{classes} classes, so that class {live_class} is none of them");
            return Err(ModelError::Outputs { name: entry.name.clone(), problem });
        }
        Ok(Self { name: entry.name.clone(), network, input: entry.input.clone(), crop, live_class })
    }

    fn live_probability(&self, frame: &Frame<'_>, face: &BoundingBox) -> Result<f32, ModelError> {
        let region = enlarged(face, self.crop, (frame.width() as usize, frame.height() as usize));
        let cut = region.cut(frame);
        let outputs_error = |problem: String| ModelError::Outputs { name: self.name.clone(), problem };
        let cut = Frame::new(PixelFormat::Rgb8, region.width as u32, region.height as u32, 3 * region.width, &*cut)
            .map_err(|error| outputs_error(error.to_string()))?;
        let outputs = self
            .network
            .run(stretched(&cut, &self.input).view())
            .map_err(|source| ModelError::Network { name: self.name.clone(), source })?;
        let logits: Vec<f32> = outputs.first().map(|output| output.iter().copied().collect()).unwrap_or_default();
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
        let probability = exponentials.get(self.live_class).map(|live| live / exponentials.iter().sum::<f32>());
        match probability {
            Some(probability) if probability.is_finite() => Ok(probability),
            _ => Err(outputs_error(format!("logits {logits:?} give no probability"))),
        }
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
    /// The region's pixels as packed RGB.
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
