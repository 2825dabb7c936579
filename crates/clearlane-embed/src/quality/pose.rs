//! Head pose from five landmarks: a rough estimate, within some ten degrees, good enough to tell frontal from turned.

use serde::Serialize;

use super::{Component, Measure, measure};
use crate::align::REFERENCE_LANDMARKS;
use crate::geometry::Point;

/// How far the nose tip stands before the plane of the eyes, in eye distances: 28 mm of 63 mm in the mean head that
/// head-pose tutorials and OpenCV samples use.
const NOSE_DEPTH: f32 = 0.44;
/// The same for the mouth corners.
const MOUTH_DEPTH: f32 = 0.03;

/// Head pose in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pose {
    /// Positive where the face turns towards the right of the picture.
    pub yaw: f32,
    /// Positive where the face looks up.
    pub pitch: f32,
    /// Positive where the head leans clockwise in the picture.
    pub roll: f32,
}

impl Pose {
    pub(super) fn measures(&self) -> [Measure; 3] {
        let of = |component, degrees: f32| measure(component, degrees, 100.0 * degrees.to_radians().cos().powi(2));
        [
            of(Component::HeadPoseYaw, self.yaw),
            of(Component::HeadPosePitch, self.pitch),
            of(Component::HeadPoseRoll, self.roll),
        ]
    }
}

/// The pose that turns a mean head's landmarks onto these under weak perspective (the POS step of DeMenthon & Davis,
/// IJCV 1995): least squares for the two visible rows of scale × rotation, which are then read as roll · yaw · pitch.
#[must_use]
pub fn estimate_pose(landmarks: &[Point; 5]) -> Pose {
    let [row_x, row_y] = visible_rows(landmarks);
    let roll = row_y[0].atan2(row_x[0]);
    let (sin, cos) = roll.sin_cos();
    let unrolled_x: [f32; 3] = std::array::from_fn(|i| cos * row_x[i] + sin * row_y[i]);
    let unrolled_y: [f32; 3] = std::array::from_fn(|i| cos * row_y[i] - sin * row_x[i]);
    let pitch = (-unrolled_y[2]).atan2(unrolled_y[1]);
    let yaw = (unrolled_x[2] * pitch.cos() + unrolled_x[1] * pitch.sin()).atan2(unrolled_x[0]);
    Pose { yaw: yaw.to_degrees(), pitch: pitch.to_degrees(), roll: roll.to_degrees() }
}

/// The rows for x and y of the linear map from the mean head (x right, y down, z towards the camera) to the picture.
fn visible_rows(landmarks: &[Point; 5]) -> [[f32; 3]; 2] {
    let head = mean_head();
    let centre = |points: &dyn Fn(usize) -> f32| (0..5).map(points).sum::<f32>() / 5.0;
    let (middle_x, middle_y) = (centre(&|i| landmarks[i].x), centre(&|i| landmarks[i].y));
    let mut square = [[0.0f32; 3]; 3];
    let mut mixed = [[0.0f32; 3]; 2];
    for (point, landmark) in head.iter().zip(landmarks) {
        for i in 0..3 {
            for j in 0..3 {
                square[i][j] += point[i] * point[j];
            }
            mixed[0][i] += (landmark.x - middle_x) * point[i];
            mixed[1][i] += (landmark.y - middle_y) * point[i];
        }
    }
    mixed.map(|row| solve(&square, row))
}

/// The reference landmarks with depth, centred, in pixels of an aligned face.
fn mean_head() -> [[f32; 3]; 5] {
    let eye_distance = REFERENCE_LANDMARKS[0].distance(REFERENCE_LANDMARKS[1]);
    let depths = [0.0, 0.0, NOSE_DEPTH, MOUTH_DEPTH, MOUTH_DEPTH].map(|depth| depth * eye_distance);
    let points: [[f32; 3]; 5] =
        std::array::from_fn(|i| [REFERENCE_LANDMARKS[i].x, REFERENCE_LANDMARKS[i].y, depths[i]]);
    let mean: [f32; 3] = std::array::from_fn(|axis| points.iter().map(|point| point[axis]).sum::<f32>() / 5.0);
    points.map(|point| std::array::from_fn(|axis| point[axis] - mean[axis]))
}

/// Cramer's rule for a symmetric 3 × 3 system; the mean head spans all three axes, so that the determinant is not zero.
fn solve(matrix: &[[f32; 3]; 3], right: [f32; 3]) -> [f32; 3] {
    let determinant = |m: &[[f32; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(matrix);
    std::array::from_fn(|column| {
        let mut replaced = *matrix;
        for (row, value) in replaced.iter_mut().zip(right) {
            row[column] = value;
        }
        determinant(&replaced) / whole
    })
}
