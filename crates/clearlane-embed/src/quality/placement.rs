//! How large the face is, where it stands in the frame, and whether it is alone.

use super::{Component, Measure, Pose, measure, sigmoid};
use crate::detect::Face;
use crate::frame::Frame;

/// From the eyes to the chin, in distances from the eyes to the mouth: the proportions of a mean adult face (eyes to
/// stomion about 65 mm, eyes to menton about 110 mm; Farkas, Anthropometry of the Head and Face, 1994).
const CHIN_OVER_MOUTH: f32 = 1.7;

pub(super) fn assess(frame: &Frame<'_>, face: &Face, faces: &[Face], pose: &Pose) -> Vec<Measure> {
    let (width, height) = (frame.width() as f32, frame.height() as f32);
    let [left_eye, right_eye, _, left_mouth, right_mouth] = face.landmarks;
    let eyes = left_eye.middle(right_eye);
    let distance = left_eye.distance(right_eye);
    let to_chin = CHIN_OVER_MOUTH * eyes.distance(left_mouth.middle(right_mouth));
    let inter_eye = distance / pose.yaw.to_radians().cos().max(0.1);
    let head = to_chin / height;
    let crop = |component, native| measure(component, native, 100.0 * sigmoid(native, 0.9, 0.1));
    vec![
        single_face_present(face, faces),
        measure(Component::InterEyeDistance, inter_eye, 100.0 * sigmoid(inter_eye, 70.0, 20.0)),
        measure(Component::HeadSize, head, 200.0 * (1.0 - sigmoid((head - 0.45).abs(), 0.0, 0.05))),
        crop(Component::LeftwardCropOfTheFaceImage, left_eye.x / distance),
        crop(Component::RightwardCropOfTheFaceImage, (width - right_eye.x) / distance),
        margin(Component::MarginAboveOfTheFaceImage, eyes.y / to_chin, 1.4),
        margin(Component::MarginBelowOfTheFaceImage, (height - eyes.y) / to_chin, 1.8),
    ]
}

fn single_face_present(face: &Face, faces: &[Face]) -> Measure {
    let area = |face: &Face| face.bounding_box.area();
    let others = faces.iter().filter(|other| other.bounding_box != face.bounding_box);
    let second = others.map(area).fold(0.0, f32::max);
    let (largest, second) = (area(face).max(second), area(face).min(second));
    let native = if largest > 0.0 { (second / largest).sqrt() } else { 1.0 };
    measure(Component::SingleFacePresent, native, 100.0 * (1.0 - native))
}

fn margin(component: Component, native: f32, middle: f32) -> Measure {
    measure(component, native, 100.0 * sigmoid(native, middle, 0.1))
}
