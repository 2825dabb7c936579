//! YuNet (Wu et al., 2023, as libfacedetection.train exports it): for each of the strides 8, 16 and 32 one prior a cell;
//! class and objectness scores, boxes as a shifted centre and a logarithmic size, landmarks as shifts, in strides.

use ndarray::ArrayD;

use super::{Face, Family, STRIDES, cells, grid, values};
use crate::geometry::{BoundingBox, Point};
use crate::manifest::InputSpec;

pub(super) struct YuNet;

impl Family for YuNet {
    fn decode(
        &self,
        outputs: &[ArrayD<f32>],
        input: &InputSpec,
        min_score: f32,
        faces: &mut Vec<Face>,
    ) -> Result<(), String> {
        for (level, stride) in STRIDES.into_iter().enumerate() {
            let (columns, rows) = grid(input, stride);
            let priors = columns * rows;
            let output = |kind: usize, columns| values(outputs, kind * STRIDES.len() + level, priors, columns);
            let (classes, objectness) = (output(0, 1)?, output(1, 1)?);
            let (boxes, landmarks) = (output(2, 4)?, output(3, 10)?);
            let stride = stride as f32;
            for (prior, (x, y)) in cells(input, stride as usize).enumerate() {
                let score = (classes[prior].clamp(0.0, 1.0) * objectness[prior].clamp(0.0, 1.0)).sqrt();
                if score.is_nan() || score < min_score {
                    continue;
                }
                let value = |i: usize| boxes[4 * prior + i];
                let (centre_x, centre_y) = ((x + value(0)) * stride, (y + value(1)) * stride);
                let (half_width, half_height) = (value(2).exp() * stride / 2.0, value(3).exp() * stride / 2.0);
                let point = |i: usize| {
                    let at = 10 * prior + 2 * i;
                    Point::new((x + landmarks[at]) * stride, (y + landmarks[at + 1]) * stride)
                };
                faces.push(Face {
                    bounding_box: BoundingBox {
                        x0: centre_x - half_width,
                        y0: centre_y - half_height,
                        x1: centre_x + half_width,
                        y1: centre_y + half_height,
                    },
                    landmarks: std::array::from_fn(point),
                    score,
                });
            }
        }
        Ok(())
    }
}
