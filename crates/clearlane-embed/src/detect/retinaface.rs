//! RetinaFace (Deng et al., CVPR 2020) as its `PyTorch` implementation exports it: boxes, probabilities and landmarks for two priors a
//! cell of the strides 8, 16 and 32, the outputs in any order.

use ndarray::ArrayD;

use super::{Face, Family, STRIDES, cells, grid};
use crate::geometry::{BoundingBox, Point};
use crate::manifest::InputSpec;

pub(super) struct RetinaFace;

/// The sides of each stride's priors, in input pixels, and the variances that offsets are divided by: `cfg_mnet` and `cfg_re50` of
/// that implementation.
const PRIORS: [[f32; 2]; 3] = [[16.0, 32.0], [64.0, 128.0], [256.0, 512.0]];
const CENTRE_VARIANCE: f32 = 0.1;
const SIZE_VARIANCE: f32 = 0.2;

/// By how much two probabilities that add up to 1 miss it at most: in quantised files by a step or two of a 256th.
const ROUNDING: f32 = 0.02;

impl Family for RetinaFace {
    fn decode(
        &self,
        outputs: &[ArrayD<f32>],
        input: &InputSpec,
        min_score: f32,
        faces: &mut Vec<Face>,
    ) -> Result<(), String> {
        let cells_of = |stride| {
            let (columns, rows) = grid(input, stride);
            columns * rows
        };
        let count = PRIORS[0].len() * STRIDES.map(cells_of).iter().sum::<usize>();
        let (boxes, classes, landmarks) =
            (rows::<4>(outputs, count)?, rows::<2>(outputs, count)?, rows::<10>(outputs, count)?);
        // Exports of the network in training leave the softmax out.
        let is_probability = |[no, yes]: &[f32; 2]| (no + yes - 1.0).abs() < ROUNDING && no.min(*yes) > -ROUNDING;
        let are_numbers = |row: &&[f32; 2]| row.iter().all(|value| value.is_finite());
        let are_probabilities = classes.iter().filter(are_numbers).all(is_probability);
        let score = |[no, yes]: [f32; 2]| if are_probabilities { yes } else { 1.0 / (1.0 + (no - yes).exp()) };
        let priors = STRIDES.into_iter().zip(PRIORS).flat_map(|(stride, sides)| {
            let stride_pixels = stride as f32;
            let centre = move |(x, y): (f32, f32)| ((x + 0.5) * stride_pixels, (y + 0.5) * stride_pixels);
            cells(input, stride).flat_map(move |cell| sides.map(|side| (centre(cell), side)))
        });
        for ((((x, y), side), &classes), (sides, points)) in priors.zip(classes).zip(boxes.iter().zip(landmarks)) {
            let score = score(classes);
            if !are_numbers(&&classes) || score < min_score {
                continue;
            }
            let place = |right: f32, down: f32| {
                Point::new(x + right * CENTRE_VARIANCE * side, y + down * CENTRE_VARIANCE * side)
            };
            let [right, down, width, height] = *sides;
            let middle = place(right, down);
            let half = |size: f32| side * (size * SIZE_VARIANCE).exp() / 2.0;
            let (aside, above) = (half(width), half(height));
            faces.push(Face {
                bounding_box: BoundingBox {
                    x0: middle.x - aside,
                    y0: middle.y - above,
                    x1: middle.x + aside,
                    y1: middle.y + above,
                },
                landmarks: std::array::from_fn(|index| place(points[2 * index], points[2 * index + 1])),
                score,
            });
        }
        Ok(())
    }
}

/// The output that has rows of so many values.
fn rows<const N: usize>(outputs: &[ArrayD<f32>], count: usize) -> Result<&[[f32; N]], String> {
    let output = outputs.iter().find(|output| output.shape().last() == Some(&N));
    let output = output.ok_or_else(|| format!("expected an output of {count} x {N} values"))?;
    match output.as_slice().map(<[f32]>::as_chunks) {
        Some((rows, [])) if rows.len() == count => Ok(rows),
        _ => Err(format!("expected {count} x {N} values, got an output of shape {:?}", output.shape())),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, ArrayD};

    use super::*;
    use crate::manifest::ColourOrder;

    /// The scores that are found where all rows but the first two are background.
    fn scores(rows: [[f32; 2]; 2], background: [f32; 2]) -> Vec<f32> {
        let input = InputSpec { width: 64, height: 64, colour: ColourOrder::Bgr, mean: [0.0; 3], std: [1.0; 3] };
        let count = 2 * (64 + 16 + 4);
        let classes =
            Array3::from_shape_fn((1, count, 2), |(_, row, class)| rows.get(row).unwrap_or(&background)[class]);
        let zeros = |columns| Array3::zeros((1, count, columns)).into_dyn();
        let outputs: [ArrayD<f32>; 3] = [zeros(4), classes.into_dyn(), zeros(10)];
        let mut faces = Vec::new();
        RetinaFace.decode(&outputs, &input, 0.5, &mut faces).expect("the outputs are RetinaFace's");
        faces.iter().map(|face| face.score).collect()
    }

    #[test]
    fn probabilities_of_a_quantised_network_and_beside_what_is_no_number_stay_probabilities() {
        let step = 1.0 / 256.0;
        let sure = [255.0 * step, 0.0];
        assert_eq!(scores([[0.25, 0.75], [0.5 * step, 255.0 * step]], sure), [0.75, 255.0 * step]);
        assert_eq!(scores([[f32::NAN, 0.9], [0.25, 0.75]], [1.0, 0.0]), [0.75]);
        // What adds up to anything else is not yet one.
        let logits = scores([[-1.0, 1.0], [0.0, -3.0]], [4.0, -4.0]);
        assert!(
            logits.len() == 1 && (f64::from(logits[0]) - 1.0 / (1.0 + (-2.0_f64).exp())).abs() < 1e-6,
            "{logits:?}"
        );
    }
}
