//! Quality components of ISO/IEC 29794-5:2025 that need no further model, under the standard's names.
//!
//! Each has a native value in its own unit and a component value of 0 (worst) to 100. Mappings are those of the standard
//! as its reference implementation (OFIQ 1.0) states them, but for what five landmarks cannot give: see each
//! [`Component`]. A component value is a statement about the capture, not a probability of anything.

mod exposure;
mod placement;
mod pose;

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::align::{AlignError, FacePatch};
use crate::detect::Face;
use crate::frame::Frame;

pub use pose::{Pose, estimate_pose};

/// A quality component of ISO/IEC 29794-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Component {
    /// How much the second largest face competes: √(area of the second / area of the largest), 0 for one face.
    SingleFacePresent,
    /// Pixels between the eye centres, divided by the cosine of the estimated yaw.
    InterEyeDistance,
    /// The distance from the eyes to the chin over the frame's height. The chin is estimated, as everywhere here, to lie
    /// 1.7 times as far from the eyes as the mouth.
    HeadSize,
    /// The distance of the eye on the left of the picture to the left border, in eye distances.
    LeftwardCropOfTheFaceImage,
    /// The distance of the eye on the right of the picture to the right border, in eye distances.
    RightwardCropOfTheFaceImage,
    /// The distance of the eyes to the upper border, in eye-to-chin distances.
    MarginAboveOfTheFaceImage,
    /// The distance of the eyes to the lower border, in eye-to-chin distances.
    MarginBelowOfTheFaceImage,
    /// Degrees about the vertical axis; positive where the face turns towards the right of the picture. Estimated from
    /// five landmarks and a mean head.
    HeadPoseYaw,
    /// Degrees about the axis through the ears; positive upwards. Estimated as the yaw is.
    HeadPosePitch,
    /// Degrees in the picture's plane; positive clockwise. Estimated as the yaw is.
    HeadPoseRoll,
    /// The variance of the Laplacian of the aligned face's luminance (in units of 8-bit levels squared). The standard
    /// takes a trained forest here; the component value is this project's own mapping, 50 at a variance of 100.
    Sharpness,
    /// The mean luminance of the face, in [0, 1].
    LuminanceMean,
    /// The variance of the face's luminance, in [0, 1].
    LuminanceVariance,
    /// The part of the face with a luminance of at most 25, in [0, 1].
    UnderExposurePrevention,
    /// The part of the face with a luminance of at least 247, in [0, 1].
    OverExposurePrevention,
    /// The entropy of the face's luminance histogram, in bits.
    DynamicRange,
    /// How alike the histograms of both cheeks are: the sum of their minima, in [0, 1]. Taken over 32 levels, since the
    /// cheeks of an aligned face have few pixels; the standard takes 256.
    IlluminationUniformity,
}

impl Component {
    /// All of them, in the standard's order.
    pub const ALL: [Self; 17] = [
        Self::SingleFacePresent,
        Self::InterEyeDistance,
        Self::HeadSize,
        Self::LeftwardCropOfTheFaceImage,
        Self::RightwardCropOfTheFaceImage,
        Self::MarginAboveOfTheFaceImage,
        Self::MarginBelowOfTheFaceImage,
        Self::HeadPoseYaw,
        Self::HeadPosePitch,
        Self::HeadPoseRoll,
        Self::Sharpness,
        Self::LuminanceMean,
        Self::LuminanceVariance,
        Self::UnderExposurePrevention,
        Self::OverExposurePrevention,
        Self::DynamicRange,
        Self::IlluminationUniformity,
    ];

    /// The component of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.name() == name)
    }

    /// The standard's name, as in `HeadPoseYaw`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleFacePresent => "SingleFacePresent",
            Self::InterEyeDistance => "InterEyeDistance",
            Self::HeadSize => "HeadSize",
            Self::LeftwardCropOfTheFaceImage => "LeftwardCropOfTheFaceImage",
            Self::RightwardCropOfTheFaceImage => "RightwardCropOfTheFaceImage",
            Self::MarginAboveOfTheFaceImage => "MarginAboveOfTheFaceImage",
            Self::MarginBelowOfTheFaceImage => "MarginBelowOfTheFaceImage",
            Self::HeadPoseYaw => "HeadPoseYaw",
            Self::HeadPosePitch => "HeadPosePitch",
            Self::HeadPoseRoll => "HeadPoseRoll",
            Self::Sharpness => "Sharpness",
            Self::LuminanceMean => "LuminanceMean",
            Self::LuminanceVariance => "LuminanceVariance",
            Self::UnderExposurePrevention => "UnderExposurePrevention",
            Self::OverExposurePrevention => "OverExposurePrevention",
            Self::DynamicRange => "DynamicRange",
            Self::IlluminationUniformity => "IlluminationUniformity",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One component's value for one face.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// Which component.
    #[serde(skip)]
    pub component: Component,
    /// The value in the component's own unit.
    pub native: f32,
    /// The component value, 0 (worst) to 100.
    pub value: u8,
}

/// The quality of one face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    measures: Vec<Measure>,
}

impl Quality {
    /// Measures `face`, one of the `faces` of this frame.
    pub fn assess(frame: &Frame<'_>, face: &Face, faces: &[Face]) -> Result<Self, AlignError> {
        Self::of_patch(frame, &FacePatch::new(frame, &face.landmarks)?, face, faces)
    }

    /// The same from the face's part of the frame.
    pub(crate) fn of_patch(
        frame: &Frame<'_>,
        patch: &FacePatch,
        face: &Face,
        faces: &[Face],
    ) -> Result<Self, AlignError> {
        let pose = estimate_pose(&face.landmarks);
        let mut measures = placement::assess(frame, face, faces, &pose);
        measures.extend(pose.measures());
        measures.extend(exposure::assess(frame, &patch.pixels, &face.landmarks)?);
        Ok(Self { measures })
    }

    /// Every component, in the order of [`Component`].
    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// One component.
    #[must_use]
    pub fn get(&self, component: Component) -> Option<Measure> {
        self.measures.iter().find(|measure| measure.component == component).copied()
    }

    /// The component of the lowest value: what to tell the traveller or the operator first.
    #[must_use]
    pub fn weakest(&self) -> Option<Measure> {
        self.measures.iter().min_by_key(|measure| measure.value).copied()
    }
}

impl Serialize for Quality {
    /// A map from the component's name to its native and component value.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.measures.len()))?;
        for measure in &self.measures {
            map.serialize_entry(measure.component.name(), measure)?;
        }
        map.end()
    }
}

/// A measure whose component value is `value`, rounded and held within 0 to 100.
fn measure(component: Component, native: f32, value: f32) -> Measure {
    // A cast of NaN gives 0, the worst value.
    Measure { component, native, value: value.round().clamp(0.0, 100.0) as u8 }
}

/// The logistic function with its middle at `x0` and a width of `w` (OFIQ 1.0, "Sigmoid").
fn sigmoid(x: f32, x0: f32, w: f32) -> f32 {
    1.0 / (1.0 + ((x0 - x) / w).exp())
}
