//! SCRFD with key points (Guo et al., ICLR 2022, as InsightFace exports it): for each of the strides 8, 16 and 32 two
//! anchors a cell; scores, then distances from the anchor to the box's sides, then landmark offsets, all in strides.

use ndarray::ArrayD;

use super::{Face, Family, STRIDES, cells, grid, values};
use crate::geometry::{BoundingBox, Point};
use crate::manifest::InputSpec;

pub(super) struct Scrfd;

const ANCHORS: usize = 2;

impl Family for Scrfd {
    fn decode(
        &self,
        outputs: &[ArrayD<f32>],
        input: &InputSpec,
        min_score: f32,
        faces: &mut Vec<Face>,
    ) -> Result<(), String> {
        for (level, stride) in STRIDES.into_iter().enumerate() {
            let (columns, rows) = grid(input, stride);
            let anchors = columns * rows * ANCHORS;
            let scores = values(outputs, level, anchors, 1)?;
            let boxes = values(outputs, STRIDES.len() + level, anchors, 4)?;
            let landmarks = values(outputs, 2 * STRIDES.len() + level, anchors, 10)?;
            let stride = stride as f32;
            let centres = cells(input, stride as usize).flat_map(|cell| [cell; ANCHORS]);
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
