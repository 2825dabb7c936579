//! What makes a face's comparison scores doubtful, in words.

use std::fmt;

use clearlane_template::Language;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::{Component, Measure, Quality};

/// A component whose value is so low that scores with this face are doubtful. Shown as `blurred (Sharpness 1)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    measure: Measure,
    rule: Rule,
}

/// When a component makes scores doubtful, and what is wrong then.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rule {
    /// The component value under which it does.
    below: u8,
    english: &'static str,
    chinese: &'static str,
}

impl Quality {
    /// What makes scores with this face doubtful, worst first: the components under the value that [`Component::doubtful_below`]
    /// states, by their share of it. A dark face is not called blurred as well: its edges are faint however sharp it is.
    ///
    /// The values were chosen so that good pictures are not named: each names at most 1.6 % of the 9,690 pictures of LFW in
    /// which the built-in detector finds a face, and at most 1.3 % of the 550 plain and enrolment captures of the fictional
    /// people. What is named errs more: of 7,466 mated pairs of LFW (built-in embedder, FMR 0.1 %), 14.3 % of the pairs with a
    /// picture that is named do not match, and 6.6 % of the others (counted when eyes had to be half hidden to be named).
    #[must_use]
    pub fn doubts(&self) -> Vec<Doubt> {
        let mut doubts: Vec<Doubt> = self.measures.iter().copied().filter_map(Doubt::of).collect();
        if doubts.iter().any(Doubt::is_dark) {
            doubts.retain(|doubt| doubt.measure.component != Component::Sharpness);
        }
        let share = |doubt: &Doubt| f32::from(doubt.measure.value) / f32::from(doubt.rule.below);
        doubts.sort_by(|one, other| share(one).total_cmp(&share(other)));
        doubts
    }
}

impl Component {
    /// The component value under which scores are doubtful; see [`Quality::doubts`]. `None` where no value says so: of the
    /// background and the place in the frame, which scores do not depend on, and where good pictures have any value. The
    /// cheeks of some pictures in a hundred of LFW have no level in common.
    #[must_use]
    pub fn doubtful_below(self) -> Option<u8> {
        rule(self, 0.0).map(|rule| rule.below)
    }
}

impl Doubt {
    fn of(measure: Measure) -> Option<Self> {
        let rule = rule(measure.component, measure.native).filter(|rule| measure.value < rule.below)?;
        Some(Self { measure, rule })
    }

    fn is_dark(&self) -> bool {
        self.measure.component == Component::LuminanceMean && self.measure.native < MIDDLE_GREY
    }

    /// The component with its values.
    #[must_use]
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// What is wrong with the picture, in a few words.
    #[must_use]
    pub fn phrase(&self, language: Language) -> &'static str {
        language.of((self.rule.english, self.rule.chinese))
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.rule.english, self.measure.component, self.measure.value)
    }
}

impl Serialize for Doubt {
    /// `{"component": "Sharpness", "native": 3.1, "value": 1, "phrase": {"en": "blurred", "zh": "图像模糊"}}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Phrase {
            en: &'static str,
            zh: &'static str,
        }
        let mut doubt = serializer.serialize_struct("Doubt", 4)?;
        doubt.serialize_field("component", self.measure.component.name())?;
        doubt.serialize_field("native", &self.measure.native)?;
        doubt.serialize_field("value", &self.measure.value)?;
        doubt.serialize_field("phrase", &Phrase { en: self.rule.english, zh: self.rule.chinese })?;
        doubt.end()
    }
}

/// A mean luminance between those of dark and of bright faces.
const MIDDLE_GREY: f32 = 0.5;

/// The rule for a component with this native value. Behind each: its share of LFW, and what the value means.
fn rule(component: Component, native: f32) -> Option<Rule> {
    let (below, english, chinese) = match component {
        // 0.6 %: a mean under 0.24 or over 0.76 of full luminance.
        Component::LuminanceMean if native < MIDDLE_GREY => (70, "dim", "光线过暗"),
        Component::LuminanceMean => (70, "too bright", "光线过亮"),
        // 0.7 %.
        Component::LuminanceVariance => (60, "too little or too much contrast", "对比度异常"),
        // None.
        Component::UnderExposurePrevention => (50, "mostly black", "曝光不足"),
        // 0.4 %: a twenty-fifth of the face.
        Component::OverExposurePrevention => (20, "burnt out", "曝光过度"),
        // 0.8 %: a variance under 5.4, as of a Gaussian blur of 0.04 eye distances.
        Component::Sharpness => (50, "blurred", "图像模糊"),
        // None: JPEG at a quality of 15 to 20.
        Component::CompressionArtifacts => (35, "compressed too much", "压缩失真"),
        // 0.6 %, and 99.6 % with red and blue exchanged: 22 from the colours of skin.
        Component::NaturalColour => {
            (20, "unnatural colours, as of red and blue exchanged", "肤色异常, 红蓝通道可能互换")
        }
        // 1.1 %: another is nine tenths as large.
        Component::SingleFacePresent => (10, "another face as large", "另有大小相近的人脸"),
        // 1.6 %: 91 % of the eyes behind dark or mirrored glasses, and 0.3 % of others, in glare, in shadow and from the side.
        Component::EyesVisible => (90, "eyes covered, as by dark glasses", "眼部被遮挡, 如佩戴墨镜"),
        // 0.2 % of a random 4,342 of them.
        Component::MouthOcclusionPrevention => (50, "mouth covered, as by a mask", "口部被遮挡, 如佩戴口罩"),
        // None.
        Component::FaceOcclusionPrevention => (50, "face covered", "面部被遮挡"),
        // 0.2 %: 31 pixels.
        Component::InterEyeDistance => (13, "too few pixels", "人脸像素过少"),
        // 0.2 % and 0.1 %: six tenths of an eye distance, where cheeks end.
        Component::LeftwardCropOfTheFaceImage => (5, "cut on the left", "人脸左侧被裁切"),
        Component::RightwardCropOfTheFaceImage => (5, "cut on the right", "人脸右侧被裁切"),
        // 0.8 %: 40 degrees.
        Component::HeadPoseYaw => (60, "turned away", "侧脸"),
        // 0.4 %: 37 degrees.
        Component::HeadPosePitch => (65, "looking up or down", "仰头或低头"),
        // None: 30 degrees.
        Component::HeadPoseRoll => (75, "tilted", "头部倾斜"),
        Component::BackgroundUniformity
        | Component::IlluminationUniformity
        | Component::DynamicRange
        | Component::HeadSize
        | Component::MarginAboveOfTheFaceImage
        | Component::MarginBelowOfTheFaceImage
        // Templates do not depend on what is worn above the brows.
        | Component::NoHeadCoverings => return None,
    };
    Some(Rule { below, english, chinese })
}
