//! SCRFD with key points (Guo et al., ICLR 2022, as InsightFace exports it): for each of the strides 8, 16 and 32 two
//! anchors a cell, or for those up to 128 one; scores, then distances from the anchor to the box's sides, then landmark offsets, all
//! in strides.

use ndarray::ArrayD;

use super::{Face, Family, cells, grid, values};
use crate::geometry::{BoundingBox, Point};
use crate::manifest::InputSpec;

pub(super) struct Scrfd;

/// The strides in input pixels and the anchors a cell of a network with so many outputs.
fn layout(outputs: usize) -> (&'static [usize], usize) {
    const STRIDES: [usize; 5] = [8, 16, 32, 64, 128];
    if outputs == 3 * STRIDES.len() { (&STRIDES, 1) } else { (&STRIDES[..3], 2) }
}

impl Family for Scrfd {
    fn decode(
        &self,
        outputs: &[ArrayD<f32>],
        input: &InputSpec,
        min_score: f32,
        faces: &mut Vec<Face>,
    ) -> Result<(), String> {
        let (strides, anchors_a_cell) = layout(outputs.len());
        for (level, &stride) in strides.iter().enumerate() {
            let (columns, rows) = grid(input, stride);
            let anchors = columns * rows * anchors_a_cell;
            let scores = values(outputs, level, anchors, 1)?;
            let boxes = values(outputs, strides.len() + level, anchors, 4)?;
            let landmarks = values(outputs, 2 * strides.len() + level, anchors, 10)?;
            let centres = cells(input, stride).flat_map(|cell| std::iter::repeat_n(cell, anchors_a_cell));
            let stride = stride as f32;
            for (anchor, ((x, y), &score)) in centres.zip(scores).enumerate() {
                if score.is_nan() || score < min_score {
                    continue;
                }
                let (x, y) = (x * stride, y * stride);
                let side = |i: usize| boxes[4 * anchor + i] * stride;
                let point = |i: usize| {
                    let at = 10 * anchor + 2 * i;
                    Point::new(x + landmarks[at] * stride, y + landmarks[at + 1] * stride)
                };
                faces.push(Face {
                    bounding_box: BoundingBox { x0: x - side(0), y0: y - side(1), x1: x + side(2), y1: y + side(3) },
                    landmarks: std::array::from_fn(point),
                    score,
                });
            }
        }
        Ok(())
    }
}
