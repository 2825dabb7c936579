//! The tables of a policy file.

use std::collections::BTreeMap;

use clearlane_embed::Population;
use clearlane_store::{Category, Direction, DocumentKind, EndorsementKind};
use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use crate::policy::{LeapDayBirthday, Likelihood, Modality, PadRule, PortId};

/// Every table of rules says where the rules come from. Nothing reads it but people.
type Source = String;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PolicyFile {
    pub(super) name: String,
    pub(super) in_force_from: Date,
    pub(super) in_force_until: Option<Spanned<Date>>,
    pub(super) time_zone: Spanned<String>,
    pub(super) ports: Spanned<Vec<PortFile>>,
    pub(super) travellers: TravellersFile,
    pub(super) age: AgeFile,
    pub(super) consent: ConsentFile,
    pub(super) eligible: Spanned<Vec<EligibleFile>>,
    pub(super) excluded: ExcludedFile,
    pub(super) capture: CaptureFile,
    pub(super) enrolment: EnrolmentFile,
    pub(super) comparison: ComparisonFile,
    #[serde(default)]
    pub(super) evidence: Vec<EvidenceFile>,
    pub(super) fusion: FusionFile,
    pub(super) model_upgrade: ModelUpgradeFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortFile {
    pub(super) id: Spanned<PortId>,
    pub(super) zh: String,
    pub(super) en: String,
    pub(super) directions: Spanned<Vec<Direction>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TravellersFile {
    pub(super) populations: Spanned<Vec<Spanned<Population>>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AgeFile {
    pub(super) minimum: Spanned<i16>,
    pub(super) leap_day_birthday: LeapDayBirthday,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsentFile {
    pub(super) scope: Spanned<Vec<Modality>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EligibleFile {
    pub(super) category: Category,
    pub(super) documents: Spanned<Vec<DocumentKind>>,
    pub(super) endorsements: Spanned<Vec<EndorsementKind>>,
    pub(super) multiple_entry: Option<Spanned<bool>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExcludedFile {
    pub(super) documents: Vec<DocumentKind>,
    pub(super) endorsements: Vec<EndorsementKind>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CaptureFile {
    pub(super) best_frames: Spanned<usize>,
    pub(super) second_face: Spanned<f32>,
    pub(super) pad: PadRule,
    pub(super) pad_threshold: Spanned<f32>,
    pub(super) agreement_fmr: Spanned<f64>,
    pub(super) quality: BTreeMap<String, Spanned<f32>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EnrolmentFile {
    pub(super) templates: Spanned<usize>,
    pub(super) agreement_fmr: Spanned<f64>,
    pub(super) duplicate_fpir: Spanned<f64>,
    pub(super) quality: BTreeMap<String, Spanned<f32>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ComparisonFile {
    pub(super) fpir: Spanned<f64>,
    pub(super) fmr: Spanned<f64>,
    pub(super) margin: Spanned<f32>,
    pub(super) budget_ms: Spanned<u64>,
    pub(super) gallery_age_ms: Option<Spanned<u64>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvidenceFile {
    pub(super) matcher: Spanned<String>,
    pub(super) threshold: Option<Spanned<f64>>,
    pub(super) likelihood: Option<Spanned<Likelihood>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FusionFile {
    pub(super) rule: Spanned<FusionName>,
    pub(super) face_floor: Option<Spanned<f32>>,
    pub(super) face: Option<Spanned<Likelihood>>,
    pub(super) threshold: Option<Spanned<f64>>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelUpgradeFile {
    pub(super) coverage: Spanned<f64>,
    #[serde(rename = "source")]
    _source: Source,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FusionName {
    FaceOnly,
    Both,
    Either,
    Weighted,
}
