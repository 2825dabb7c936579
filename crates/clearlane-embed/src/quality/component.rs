//! The quality components that are taken here, and those that the standard has besides.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    /// takes a trained forest here; the component value is this project's own mapping, 50 at a variance of 5.4, where blur makes
    /// scores doubtful.
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
    /// How much of both eyes something covers: dark glasses, a hand, hair, in [0, 1]. Estimated on the aligned face by a model for
    /// occlusion, as the next two and the last are; the standard takes a network that parses the picture, and landmarks.
    EyesVisible,
    /// How much of the mouth and of what is about it something covers: a mask, a scarf, a hand, in [0, 1].
    MouthOcclusionPrevention,
    /// How much of the face from the brows to the chin something covers, in [0, 1].
    FaceOcclusionPrevention,
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
    /// How much of the brow, as far as the aligned face shows it, a hat, a hood or a cloth covers, in [0, 1]. The standard takes
    /// the whole head. A hat that leaves the brow free is not seen.
    NoHeadCoverings,
}

impl Component {
    /// All of them, in the standard's order.
    pub const ALL: [Self; 24] = [
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
        Self::EyesVisible,
        Self::MouthOcclusionPrevention,
        Self::FaceOcclusionPrevention,
        Self::InterEyeDistance,
        Self::HeadSize,
        Self::LeftwardCropOfTheFaceImage,
        Self::RightwardCropOfTheFaceImage,
        Self::MarginAboveOfTheFaceImage,
        Self::MarginBelowOfTheFaceImage,
        Self::HeadPoseYaw,
        Self::HeadPosePitch,
        Self::HeadPoseRoll,
        Self::NoHeadCoverings,
    ];

    /// Those that a model for occlusion gives, and nothing else: without one they are not assessed.
    pub const OCCLUSION: [Self; 4] =
        [Self::EyesVisible, Self::MouthOcclusionPrevention, Self::FaceOcclusionPrevention, Self::NoHeadCoverings];

    /// Whether it says how well a face is recognised: what covers the head does not, and is a matter for rules alone.
    #[must_use]
    pub fn bears_on_recognition(self) -> bool {
        self != Self::NoHeadCoverings
    }

    /// The names of the standard's 28 components, in its order: those of [`Component::ALL`] and those that are never assessed.
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
            Self::EyesVisible => "EyesVisible",
            Self::MouthOcclusionPrevention => "MouthOcclusionPrevention",
            Self::FaceOcclusionPrevention => "FaceOcclusionPrevention",
            Self::InterEyeDistance => "InterEyeDistance",
            Self::HeadSize => "HeadSize",
            Self::LeftwardCropOfTheFaceImage => "LeftwardCropOfTheFaceImage",
            Self::RightwardCropOfTheFaceImage => "RightwardCropOfTheFaceImage",
            Self::MarginAboveOfTheFaceImage => "MarginAboveOfTheFaceImage",
            Self::MarginBelowOfTheFaceImage => "MarginBelowOfTheFaceImage",
            Self::HeadPoseYaw => "HeadPoseYaw",
            Self::HeadPosePitch => "HeadPosePitch",
            Self::HeadPoseRoll => "HeadPoseRoll",
            Self::NoHeadCoverings => "NoHeadCoverings",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// As its name.
impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A name that no component has which is taken here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no quality component of ISO/IEC 29794-5 that is taken here")]
pub struct UnknownComponent {
    /// The name.
    pub name: String,
}

impl FromStr for Component {
    type Err = UnknownComponent;

    fn from_str(name: &str) -> Result<Self, UnknownComponent> {
        Self::from_name(name).ok_or_else(|| UnknownComponent { name: name.to_owned() })
    }
}

impl<'de> Deserialize<'de> for Component {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
