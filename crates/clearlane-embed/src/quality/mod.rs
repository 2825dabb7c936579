//! Quality components of ISO/IEC 29794-5:2025, under the standard's names.
//!
//! Each has a native value in its own unit and a component value of 0 (worst) to 100. Mappings are those of the standard
//! as its reference implementation (OFIQ 1.0) states them, but for what five landmarks cannot give: see each
//! [`Component`]. A component value is a statement about the capture, not a probability of anything.
//!
//! What covers a face is seen by a model for it, [`Occlusion`], and *not assessed* without one. Four components are never
//! assessed: the unified score, which is a face embedder's norm (`MagFace`), and those that tell open eyes, closed mouths and
//! neutral faces from others, for which there are no examples to learn from here. [`Quality::standard`] names them all, with a
//! value or without.

mod background;
mod blocks;
mod colour;
mod component;
mod doubt;
mod exposure;
mod occlusion;
mod placement;
mod pose;

use serde::{Serialize, Serializer};

use crate::align::{AlignError, AlignedFace, FacePatch};
use crate::detect::Face;
use crate::frame::Frame;

pub use component::Component;
pub use doubt::Doubt;
pub use occlusion::Occlusion;
pub use pose::{Pose, estimate_pose};

<<<<<<< HEAD
/// A quality component of ISO/IEC 29794-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Component {
    /// The mean length of the luminance's gradient (Sobel) in the background, in 8-bit levels; 81 samples lie between the eyes.
    /// Background is what lies beside and above an ellipse in which a head with its hair has room; the standard takes a network
    /// that parses the picture. Not assessed where less than a quarter of it is in the frame.
    BackgroundUniformity,
    /// How alike the histograms of both cheeks are: the sum of their minima, in [0, 1]. Taken over 32 levels, since the
    /// cheeks of an aligned face have few pixels; the standard takes 256.
    IlluminationUniformity,
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
    /// The variance of the Laplacian of the aligned face's luminance (in units of 8-bit levels squared). The standard
    /// takes a trained forest here; the component value is this project's own mapping, 50 at a variance of 5.4, where blur begins to cost
    /// recognition.
    Sharpness,
    /// How much larger the luminance's steps between the 8 × 8 blocks of a JPEG are than those inside of them: 1 where there
    /// are no blocks. The standard takes a network here; the component value is this project's own mapping, 50 at 2.8. Sees no
    /// artefacts of JPEG 2000, and none in a picture that was scaled afterwards. Not assessed of faces under 32 pixels.
    CompressionArtifacts,
    /// The distance of the cheeks' mean colour from the colours of skin, in CIELAB: 0 within them, and of a picture without
    /// colours; 100 where it is greenish or bluish, as where red and blue are exchanged.
    NaturalColour,
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
}

impl Component {
    /// All of them, in the standard's order.
    pub const ALL: [Self; 20] = [
        Self::BackgroundUniformity,
        Self::IlluminationUniformity,
        Self::LuminanceMean,
        Self::LuminanceVariance,
        Self::UnderExposurePrevention,
        Self::OverExposurePrevention,
        Self::DynamicRange,
        Self::Sharpness,
        Self::CompressionArtifacts,
        Self::NaturalColour,
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
    ];

    /// The names of the standard's 28 components, in its order: those of [`Component::ALL`] and those that need a network.
    pub const STANDARD: [&'static str; 28] = [
        "UnifiedQualityScore",
        "BackgroundUniformity",
        "IlluminationUniformity",
        "LuminanceMean",
        "LuminanceVariance",
        "UnderExposurePrevention",
        "OverExposurePrevention",
        "DynamicRange",
        "Sharpness",
        "CompressionArtifacts",
        "NaturalColour",
        "SingleFacePresent",
        "EyesOpen",
        "MouthClosed",
        "EyesVisible",
        "MouthOcclusionPrevention",
        "FaceOcclusionPrevention",
        "InterEyeDistance",
        "HeadSize",
        "LeftwardCropOfTheFaceImage",
        "RightwardCropOfTheFaceImage",
        "MarginAboveOfTheFaceImage",
        "MarginBelowOfTheFaceImage",
        "HeadPoseYaw",
        "HeadPosePitch",
        "HeadPoseRoll",
        "ExpressionNeutrality",
        "NoHeadCoverings",
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
            Self::BackgroundUniformity => "BackgroundUniformity",
            Self::IlluminationUniformity => "IlluminationUniformity",
            Self::LuminanceMean => "LuminanceMean",
            Self::LuminanceVariance => "LuminanceVariance",
            Self::UnderExposurePrevention => "UnderExposurePrevention",
            Self::OverExposurePrevention => "OverExposurePrevention",
            Self::DynamicRange => "DynamicRange",
            Self::Sharpness => "Sharpness",
            Self::CompressionArtifacts => "CompressionArtifacts",
            Self::NaturalColour => "NaturalColour",
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
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

=======
>>>>>>> wocc
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

/// The text that stands for how components are measured and mapped in [`Quality::recipe`]: a change there means another number here.
const MEASURING: &str = concat!("clearlane-embed ", env!("CARGO_PKG_VERSION"), ", quality 2");

/// The quality of one face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    measures: Vec<Measure>,
}

impl Quality {
<<<<<<< HEAD
    /// What stands for how components are measured, and for which there are: a caller who keeps qualities keeps them under it, beside
    /// what else they depend on, the detector among it.
    #[must_use]
    pub fn recipe() -> String {
        let names = Component::ALL.map(Component::name);
        format!("{MEASURING}: {}", names.join(", "))
    }

    /// Measures `face`, one of the `faces` of this frame.
=======
    /// Measures `face`, one of the `faces` of this frame, without a model for occlusion.
>>>>>>> wocc
    pub fn assess(frame: &Frame<'_>, face: &Face, faces: &[Face]) -> Result<Self, AlignError> {
        let patch = FacePatch::new(frame, &face.landmarks)?;
        Self::of_patch(frame, &patch, &patch.aligned(), face, faces)
    }

    /// The same from the face's part of the frame and the aligned face.
    pub(crate) fn of_patch(
        frame: &Frame<'_>,
        patch: &FacePatch,
        aligned: &AlignedFace,
        face: &Face,
        faces: &[Face],
    ) -> Result<Self, AlignError> {
        let pose = estimate_pose(&face.landmarks);
        let mut measures = placement::assess(frame, face, faces, &pose);
        measures.extend(pose.measures());
        measures.extend(exposure::assess(frame, &patch.pixels, &face.landmarks)?);
        measures.extend(background::assess(frame, patch));
        measures.extend(blocks::assess(frame, patch));
        measures.push(colour::assess(aligned));
        Ok(Self { measures: Vec::new() }.with(measures))
    }

    /// The same with measures more, such as those of [`Occlusion::assess`].
    #[must_use]
    pub fn with(mut self, measures: impl IntoIterator<Item = Measure>) -> Self {
        self.measures.extend(measures);
        self.measures.sort_by_key(|measure| measure.component);
        self
    }

    /// Every component that was assessed, in the order of [`Component`].
    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// The names of the standard's 28 components, in its order, each with its measure; `None` where it is not assessed.
    pub fn standard(&self) -> impl Iterator<Item = (&'static str, Option<Measure>)> {
        let measure = |name| Component::from_name(name).and_then(|component| self.get(component));
        Component::STANDARD.into_iter().map(move |name| (name, measure(name)))
    }

    /// One component; `None` where it is not assessed.
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
    /// A map from the names of the standard's 28 components to the native and the component value of each, or to null where it
    /// is not assessed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.standard())
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
