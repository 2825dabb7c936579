//! What a traveller should do so that the next frame is better.

use clearlane_embed::Component;
use serde::Serialize;
use strum::IntoStaticStr;

use crate::reason::{Language, Reason};

/// What to tell a traveller while nothing is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Guidance {
    /// No face is seen.
    ShowFace,
    /// The face is too small.
    ComeCloser,
    /// The frame's border cuts the face.
    MoveToCentre,
    /// The face is turned away, up or down.
    LookHere,
    /// The head is tilted.
    HeadUpright,
    /// The face is blurred, or another good frame is needed.
    HoldStill,
    /// The face is too dark, or lit from one side.
    FaceTheLight,
    /// The face is too bright.
    AvoidGlare,
    /// Something covers the mouth.
    TakeOffMask,
    /// Something covers the eyes.
    TakeOffSunglasses,
    /// Something covers the head.
    TakeOffHat,
    /// Something covers the face.
    UncoverFace,
    /// Somebody else is too near.
    OneAtATime,
    /// Another matcher's score is missing, such as that of a fingerprint.
    OtherCheck,
}

impl Guidance {
    /// The kind in one word, as in JSON: `come-closer`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.into()
    }

    /// A short phrase for the lane's screen.
    #[must_use]
    pub fn phrase(self, language: Language) -> &'static str {
        language.of(match self {
            Self::ShowFace => ("look at the camera", "请面向摄像头"),
            Self::ComeCloser => ("come closer", "请靠近一些"),
            Self::MoveToCentre => ("stand in the middle", "请站在中间位置"),
            Self::LookHere => ("look here", "请正视前方"),
            Self::HeadUpright => ("hold your head upright", "请摆正头部"),
            Self::HoldStill => ("hold still", "请保持不动"),
            Self::FaceTheLight => ("face the light", "请面向光源"),
            Self::AvoidGlare => ("step out of the glare", "请避开强光"),
            Self::TakeOffMask => ("take off the mask", "请摘下口罩"),
            Self::TakeOffSunglasses => ("take off the sunglasses", "请摘下墨镜"),
            Self::TakeOffHat => ("take off the hat", "请摘下帽子"),
            Self::UncoverFace => ("uncover your face", "请勿遮挡面部"),
            Self::OneAtATime => ("one person at a time", "请单人通行"),
            Self::OtherCheck => ("give your fingerprint", "请按压指纹"),
        })
    }

    /// What helps most against the reasons why a frame was poor: the value that is the smallest share of its floor decides, since floors
    /// differ. Of a face that is turned away one eye is hidden too, and turning helps both.
    pub(super) fn of(reasons: &[Reason]) -> Self {
        let shortfall = |reason: &Reason| match reason {
            Reason::QualityTooLow { value, floor, .. } => 1.0 - value / floor,
            // A face that is cut or too small says nothing of its other qualities.
            _ => f32::INFINITY,
        };
        let worst = reasons.iter().max_by(|one, other| shortfall(one).total_cmp(&shortfall(other)));
        match worst {
            Some(Reason::FaceTooSmall { .. }) => Self::ComeCloser,
            Some(Reason::FaceCut { .. }) => Self::MoveToCentre,
            Some(Reason::FaceNotUpright) => Self::LookHere,
            Some(Reason::SeveralFaces { .. }) => Self::OneAtATime,
            Some(Reason::QualityTooLow { measure, .. }) => against(*measure),
            _ => Self::HoldStill,
        }
    }
}

/// What raises a quality component.
fn against(component: Component) -> Guidance {
    match component {
        Component::SingleFacePresent => Guidance::OneAtATime,
        // Of more pixels, each block of a JPEG covers less of the face.
        Component::InterEyeDistance | Component::HeadSize | Component::CompressionArtifacts => Guidance::ComeCloser,
        Component::BackgroundUniformity
        | Component::LeftwardCropOfTheFaceImage
        | Component::RightwardCropOfTheFaceImage
        | Component::MarginAboveOfTheFaceImage
        | Component::MarginBelowOfTheFaceImage => Guidance::MoveToCentre,
        Component::HeadPoseYaw | Component::HeadPosePitch => Guidance::LookHere,
        Component::HeadPoseRoll => Guidance::HeadUpright,
        Component::LuminanceMean
        | Component::LuminanceVariance
        | Component::UnderExposurePrevention
        | Component::DynamicRange
        | Component::IlluminationUniformity
        | Component::NaturalColour => Guidance::FaceTheLight,
        Component::OverExposurePrevention => Guidance::AvoidGlare,
        Component::MouthOcclusionPrevention => Guidance::TakeOffMask,
        Component::EyesVisible => Guidance::TakeOffSunglasses,
        Component::NoHeadCoverings => Guidance::TakeOffHat,
        Component::FaceOcclusionPrevention => Guidance::UncoverFace,
        // Sharpness, and whatever a later standard adds.
        _ => Guidance::HoldStill,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quality_component_has_words_of_its_own() {
        for component in Component::ALL {
            let guidance = against(component);
            assert_eq!(guidance == Guidance::HoldStill, component == Component::Sharpness, "{component}");
            let reason = Reason::QualityTooLow { measure: component, value: 0.0, floor: 20.0 };
            assert_eq!(Guidance::of(&[reason]), guidance);
        }
    }

    #[test]
    fn the_largest_shortfall_is_told_and_a_cut_face_before_all() {
        let low = |measure, value| Reason::QualityTooLow { measure, value, floor: 40.0 };
        let both = [low(Component::Sharpness, 35.0), low(Component::HeadPoseYaw, 5.0)];
        assert_eq!(Guidance::of(&both), Guidance::LookHere);
        let turned = [
            Reason::QualityTooLow { measure: Component::EyesVisible, value: 70.0, floor: 90.0 },
            Reason::QualityTooLow { measure: Component::HeadPoseYaw, value: 5.0, floor: 20.0 },
        ];
        assert_eq!(Guidance::of(&turned), Guidance::LookHere);
        let cut = [low(Component::HeadPoseYaw, 5.0), Reason::FaceCut { outside: 0.4 }];
        assert_eq!(Guidance::of(&cut), Guidance::MoveToCentre);
    }
}
