//! What makes a face's comparison scores doubtful, in words.

use std::fmt;

use clearlane_template::Language;
use serde::{Serialize, Serializer};

use super::{Component, Measure, Quality};

/// A component whose value is so low that a score with this face is doubtful. Written `blurred (Sharpness 1)`; as JSON
/// `{"component": "Sharpness", "native": 3.1, "value": 1, "phrase": "blurred"}`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    measure: Measure,
    english: &'static str,
    chinese: &'static str,
}

impl Quality {
    /// What makes scores with this face doubtful, worst first: the components under the value that [`Component::doubtful_below`]
    /// states.
    #[must_use]
    pub fn doubts(&self) -> Vec<Doubt> {
        let mut doubts: Vec<Doubt> = self.measures.iter().filter_map(Doubt::of).collect();
        doubts.sort_by_key(|doubt| doubt.measure.value);
        doubts
    }
}

impl Component {
    /// The component value under which a score is doubtful; `None` where no value makes one so.
    #[must_use]
    pub fn doubtful_below(self) -> Option<u8> {
        match self {
            Self::LuminanceMean => Some(70),
            Self::LuminanceVariance => Some(60),
            Self::UnderExposurePrevention => Some(50),
            Self::OverExposurePrevention => Some(20),
            Self::Sharpness => Some(2),
            Self::CompressionArtifacts => Some(35),
            Self::NaturalColour => Some(20),
            Self::SingleFacePresent => Some(10),
            Self::InterEyeDistance => Some(13),
            Self::LeftwardCropOfTheFaceImage | Self::RightwardCropOfTheFaceImage => Some(5),
            Self::HeadPoseYaw => Some(60),
            Self::HeadPosePitch => Some(65),
            Self::HeadPoseRoll => Some(75),
            Self::BackgroundUniformity
            | Self::IlluminationUniformity
            | Self::DynamicRange
            | Self::HeadSize
            | Self::MarginAboveOfTheFaceImage
            | Self::MarginBelowOfTheFaceImage => None,
        }
    }
}

impl Doubt {
    fn of(measure: &Measure) -> Option<Self> {
        let doubtful = measure.component.doubtful_below().is_some_and(|least| measure.value < least);
        let (english, chinese) = phrases(measure).filter(|_| doubtful)?;
        Some(Self { measure: *measure, english, chinese })
    }

    /// The component with its values.
    #[must_use]
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// What is wrong with the picture, in a few words.
    #[must_use]
    pub fn phrase(&self, language: Language) -> &'static str {
        language.of((self.english, self.chinese))
    }
}
fn phrases(_: &Measure) -> Option<(&'static str, &'static str)> { Some(("x", "x")) }
