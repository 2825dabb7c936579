//! Reasons in an officer's words.

use clearlane_embed::Component;

use super::{Language, Reason};

impl Reason {
    /// The reason as a short phrase for an officer's screen; its data stand beside it.
    #[must_use]
    pub fn phrase(&self, language: Language) -> &'static str {
        language.of(self.phrases())
    }

    fn phrases(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoFace => ("no face to be seen", "未检测到人脸"),
            Self::SeveralFaces { .. } => ("more than one face", "检测到多张人脸"),
            Self::QualityTooLow { measure, .. } => {
                covered(*measure).unwrap_or(("picture not good enough", "图像质量不足"))
            }
            Self::FaceTooSmall { .. } => ("face too far away", "人脸距离过远"),
            Self::FaceCut { .. } => ("face not wholly in the picture", "人脸未完整入镜"),
            Self::FaceNotUpright => ("face not upright in the picture", "人脸在画面中未正立"),
            Self::PadNotAssessed => ("presentation attack detection missing", "未进行活体检测"),
            Self::PadFailed { .. } => ("presentation attack suspected", "活体检测未通过"),
            Self::FramesDisagree { .. } => ("pictures of different people", "多帧图像并非同一人"),
            Self::NoCandidate { .. } => ("not found among those enrolled", "未匹配到备案人员"),
            Self::MarginTooSmall { .. } => ("two people too alike", "存在相似人员, 无法区分"),
            Self::NotMatched { .. } => ("face does not match", "人脸比对不一致"),
            Self::PartialSearch { .. } => ("search not finished in time", "检索未在时限内完成"),
            Self::GalleryIncomplete { .. } => ("gallery not wholly within reach", "备案库未能完整检索"),
            Self::GalleryOutdated { .. } => ("gallery not up to date", "备案库数据未及时更新"),
            Self::ThresholdUnknown { .. } => ("no threshold for this gallery", "当前库容无可用阈值"),
            Self::TravellerGone { .. } => ("traveller no longer before the camera", "旅客已离开镜头"),
            Self::BudgetExceeded { .. } => ("took too long", "处理超时"),
            Self::EvidenceMissing { .. } => ("another check is missing", "缺少其他核验结果"),
            Self::EvidenceTooLow { .. } => ("another check failed", "其他核验未通过"),
            Self::EvidenceOfAnother { .. } => ("another check is of another person", "其他核验结果属于他人"),
            Self::EvidenceInvalid { .. } => ("another check gave no usable number", "其他核验结果无效"),
            Self::FusionTooLow { .. } => ("all checks together are not enough", "综合核验未通过"),
            Self::NoClaim => ("no QR code to be read", "未读取到二维码"),
            Self::PortraitUnusable => ("portrait of the document not usable", "证件照片无法使用"),
            Self::ClaimRefused { .. } => ("QR code refused", "二维码无效"),
            Self::DuplicateFace { .. } => ("face enrolled under another identity", "该人脸已以其他身份备案"),
            Self::DuplicateApplication { .. } => ("same face in another application", "该人脸出现在另一份申请中"),
            Self::PictureUnproven => ("nothing shows whose picture it is", "无法证实照片属于本人"),
            Self::NotEnrolled => ("not enrolled", "未备案"),
            Self::EnrolmentExpired { .. } => ("enrolment has ended", "备案已过期"),
            Self::RegisterNotSound => ("register not checked, or damaged", "备案库未经核验或已损坏"),
            Self::ImplausibleClock { .. } => ("clock of the lane is wrong", "通道时钟异常"),
            Self::NotRecorded => ("passage could not be recorded", "通行记录无法保存"),
            Self::InternalError { .. } => ("internal error", "系统内部错误"),
            Self::PortNotInPilot { .. } => ("port not in the pilot", "本口岸不在试点范围"),
            Self::DirectionNotInPilot { .. } => ("direction not in the pilot", "本方向不在试点范围"),
            Self::PolicyNotInForce => ("rules not in force on this day", "规则当日未生效"),
            Self::UnderAge { .. } => ("too young", "未满规定年龄"),
            Self::BirthUnknown => ("day of birth not known", "出生日期不详"),
            Self::CategoryUnknown => ("category not known", "人员类别不详"),
            Self::CategoryNotEligible { .. } => ("category not eligible", "人员类别不适用"),
            Self::NoConsent => ("no consent", "未授权同意"),
            Self::ConsentNotYetGiven => ("consent given later", "授权尚未生效"),
            Self::ConsentWithdrawn => ("consent withdrawn", "已撤回授权"),
            Self::ConsentScope { .. } => ("consent does not cover this", "授权范围不足"),
            Self::OfficialDuty => ("holds an official-duty document", "持公务证件"),
            Self::NoEligibleDocument => ("no eligible document", "无适用证件"),
            Self::DocumentNotYetValid { .. } => ("document not valid yet", "证件尚未生效"),
            Self::DocumentExpired { .. } => ("document has expired", "证件已过期"),
            Self::NoEligibleEndorsement { .. } => ("no eligible endorsement", "无适用签注"),
            Self::EndorsementNotYetValid { .. } => ("endorsement not valid yet", "签注尚未生效"),
            Self::EndorsementExpired { .. } => ("endorsement has expired", "签注已过期"),
            Self::NotMultipleEntry { .. } => ("endorsement not for multiple entries", "非多次往返签注"),
        }
    }
}

/// What an officer sees where something covers the face.
fn covered(component: Component) -> Option<(&'static str, &'static str)> {
    match component {
        Component::EyesVisible => Some(("eyes covered", "眼部被遮挡")),
        Component::MouthOcclusionPrevention => Some(("mouth covered", "口部被遮挡")),
        Component::FaceOcclusionPrevention => Some(("face covered", "面部被遮挡")),
        Component::NoHeadCoverings => Some(("head covered", "头部有遮盖物")),
        _ => None,
    }
}
