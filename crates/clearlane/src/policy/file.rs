//! Reading a policy file, and its validation.

mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use clearlane_embed::{Component, Population};
use jiff::tz::TimeZone;
use toml::Spanned;

use super::earlier::{EarlierCapture, EarlierFile};
use super::error::in_words;
use super::{
    AgeRule, CaptureRule, ComparisonRule, EligibleRule, EnrolmentRule, FusionRule, Likelihood, Modality, Place, Policy,
    PolicyError, PolicyProblem, PortEntry, PortId,
};
use crate::evidence::SCORE_LIMIT;
use tables::{
    CaptureFile, ComparisonFile, EligibleFile, EnrolmentFile, EvidenceFile, FusionFile, FusionName, ModelUpgradeFile,
    PolicyFile, PortFile, TravellersFile,
};

/// Reads the text of a policy; `path` is only named in errors.
pub(super) fn read(text: &str, path: Option<&Path>) -> Result<Policy, PolicyError> {
    let reader = Reader { text, path };
    let file: PolicyFile = toml::from_str(text).map_err(|error| reader.unreadable(&error))?;
    reader.validate(file)
}

struct Reader<'a> {
    text: &'a str,
    path: Option<&'a Path>,
}

/// The largest slope, intercept, weight and log-likelihood ratio that a policy may state: sums of them stay finite for every
/// score within [`SCORE_LIMIT`].
const LIKELIHOOD_LIMIT: f64 = 1e6;

impl Reader<'_> {
    fn unreadable(&self, error: &toml::de::Error) -> PolicyError {
        if let Ok(EarlierFile { capture: EarlierCapture { pad_required } }) = toml::from_str(self.text) {
            let instead = if *pad_required.get_ref() {
                "write `pad = \"required\"` for `pad-required = true`"
            } else {
                "write `pad = \"if-assessed\"`, or `pad = \"off\"`, for `pad-required = false`"
            };
            return self.invalid(&pad_required, "capture.pad-required", PolicyProblem::Replaced { instead });
        }
        let place = self.place(error.span().unwrap_or(0..0));
        PolicyError::Syntax { place, message: in_words(error.message()) }
    }

    fn validate(&self, file: PolicyFile) -> Result<Policy, PolicyError> {
        let until = file.in_force_until;
        if let Some(until) = until.as_ref().filter(|until| *until.get_ref() < file.in_force_from) {
            let problem = PolicyProblem::EndsBeforeItBegins { from: file.in_force_from, until: *until.get_ref() };
            return Err(self.invalid(until, "in-force-until", problem));
        }
        let time_zone = TimeZone::get(file.time_zone.get_ref()).map_err(|_| {
            let name = file.time_zone.get_ref().clone();
            self.invalid(&file.time_zone, "time-zone", PolicyProblem::UnknownTimeZone { name })
        })?;
        self.within(&file.age.minimum, "age.minimum", 0..=120, "[0, 120]")?;
        if !file.consent.scope.get_ref().contains(&Modality::Face) {
            return Err(self.invalid(&file.consent.scope, "consent.scope", PolicyProblem::WithoutFace));
        }
        Ok(Policy {
            name: file.name,
            in_force: (file.in_force_from, until.map(Spanned::into_inner)),
            time_zone,
            ports: self.ports(file.ports)?,
            populations: self.populations(file.travellers)?,
            age: AgeRule { minimum: file.age.minimum.into_inner(), leap_day: file.age.leap_day_birthday },
            consent: file.consent.scope.into_inner(),
            eligible: self.eligible(file.eligible)?,
            excluded_documents: file.excluded.documents,
            excluded_endorsements: file.excluded.endorsements,
            capture: self.capture(file.capture)?,
            enrolment: self.enrolment(file.enrolment)?,
            comparison: self.comparison(file.comparison)?,
            fusion: self.fusion(&file.fusion, &file.evidence)?,
            coverage: self.coverage(file.model_upgrade)?,
        })
    }

    fn ports(&self, ports: Spanned<Vec<PortFile>>) -> Result<BTreeMap<PortId, PortEntry>, PolicyError> {
        self.listed(&ports, "ports")?;
        let mut by_id = BTreeMap::new();
        for PortFile { id, zh, en, directions, .. } in ports.into_inner() {
            self.listed(&directions, "ports.directions")?;
            let port = PortEntry { zh, en, directions: directions.into_inner() };
            if by_id.insert(id.get_ref().clone(), port).is_some() {
                return Err(self.duplicate(&id, "ports.id"));
            }
        }
        Ok(by_id)
    }

    fn populations(&self, travellers: TravellersFile) -> Result<Vec<Population>, PolicyError> {
        let key = "travellers.populations";
        self.listed(&travellers.populations, key)?;
        let listed = travellers.populations.into_inner();
        let mut names = BTreeSet::new();
        if let Some(twice) = listed.iter().find(|population| !names.insert(population.get_ref())) {
            return Err(self.duplicate(twice, key));
        }
        Ok(listed.into_iter().map(Spanned::into_inner).collect())
    }

    fn eligible(&self, rules: Spanned<Vec<EligibleFile>>) -> Result<Vec<EligibleRule>, PolicyError> {
        self.listed(&rules, "eligible")?;
        rules.into_inner().into_iter().map(|rule| self.eligible_rule(rule)).collect()
    }

    fn eligible_rule(&self, rule: EligibleFile) -> Result<EligibleRule, PolicyError> {
        self.listed(&rule.documents, "eligible.documents")?;
        let key = "eligible.multiple-entry";
        let multiple_entry = match &rule.multiple_entry {
            Some(entry) if rule.endorsements.get_ref().is_empty() => {
                return Err(self.invalid(entry, key, PolicyProblem::WithoutEndorsements));
            }
            // Where no endorsement is asked for, none has entries.
            None if rule.endorsements.get_ref().is_empty() => false,
            entry => *self.needed(&rule.endorsements, entry.as_ref(), key)?.get_ref(),
        };
        Ok(EligibleRule {
            category: rule.category,
            documents: rule.documents.into_inner(),
            endorsements: rule.endorsements.into_inner(),
            multiple_entry,
        })
    }

    fn capture(&self, capture: CaptureFile) -> Result<CaptureRule, PolicyError> {
        self.within(&capture.best_frames, "capture.best-frames", 1..=64, "[1, 64]")?;
        // A face as large as the traveller's could be the traveller's.
        self.within(&capture.second_face, "capture.second-face", 0.0..=0.99, "[0, 0.99]")?;
        self.within(&capture.pad_threshold, "capture.pad-threshold", 0.0..=1.0, "[0, 1]")?;
        self.rate(&capture.agreement_fmr, "capture.agreement-fmr")?;
        Ok(CaptureRule {
            quality: self.quality(capture.quality, "capture.quality")?,
            best_frames: capture.best_frames.into_inner(),
            agreement_fmr: capture.agreement_fmr.into_inner(),
            second_face: capture.second_face.into_inner(),
            pad: capture.pad,
            pad_threshold: capture.pad_threshold.into_inner(),
        })
    }

    fn enrolment(&self, enrolment: EnrolmentFile) -> Result<EnrolmentRule, PolicyError> {
        self.within(&enrolment.templates, "enrolment.templates", 1..=16, "[1, 16]")?;
        self.rate(&enrolment.agreement_fmr, "enrolment.agreement-fmr")?;
        self.rate(&enrolment.duplicate_fpir, "enrolment.duplicate-fpir")?;
        Ok(EnrolmentRule {
            quality: self.quality(enrolment.quality, "enrolment.quality")?,
            templates: enrolment.templates.into_inner(),
            agreement_fmr: enrolment.agreement_fmr.into_inner(),
            duplicate_fpir: enrolment.duplicate_fpir.into_inner(),
        })
    }

    fn quality(
        &self,
        floors: BTreeMap<String, Spanned<f32>>,
        key: &'static str,
    ) -> Result<Vec<(Component, f32)>, PolicyError> {
        let checked = |(name, floor): (String, Spanned<f32>)| {
            self.within(&floor, key, 0.0..=100.0, "[0, 100]")?;
            let component = Component::from_name(&name);
            let unknown = || self.invalid(&floor, key, PolicyProblem::UnknownMeasure { name });
            Ok((component.ok_or_else(unknown)?, *floor.get_ref()))
        };
        floors.into_iter().map(checked).collect()
    }

    fn comparison(&self, comparison: ComparisonFile) -> Result<ComparisonRule, PolicyError> {
        self.rate(&comparison.fpir, "comparison.fpir")?;
        self.rate(&comparison.fmr, "comparison.fmr")?;
        self.within(&comparison.margin, "comparison.margin", 0.0..=2.0, "[0, 2]")?;
        self.within(&comparison.budget_ms, "comparison.budget-ms", 1..=600_000, "[1, 600000]")?;
        if let Some(age) = &comparison.gallery_age_ms {
            self.within(age, "comparison.gallery-age-ms", 1..=86_400_000, "[1, 86400000]")?;
        }
        Ok(ComparisonRule {
            fpir: comparison.fpir.into_inner(),
            fmr: comparison.fmr.into_inner(),
            margin: comparison.margin.into_inner(),
            budget: Duration::from_millis(comparison.budget_ms.into_inner()),
            gallery_age: comparison.gallery_age_ms.map(|age| Duration::from_millis(age.into_inner())),
        })
    }

    fn fusion(&self, fusion: &FusionFile, evidence: &[EvidenceFile]) -> Result<FusionRule, PolicyError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = evidence.iter().find(|rule| !names.insert(rule.matcher.get_ref())) {
            return Err(self.duplicate(&twice.matcher, "evidence.matcher"));
        }
        let rule = &fusion.rule;
        match (rule.get_ref(), evidence) {
            (FusionName::FaceOnly, []) => {
                self.unused(fusion.face_floor.as_ref(), "fusion.face-floor")?;
                self.thresholds(fusion, &[]).map(|_| FusionRule::FaceOnly)
            }
            (FusionName::FaceOnly, [first, ..]) => Err(self.invalid(&first.matcher, "evidence", PolicyProblem::Unused)),
            (_, []) => Err(self.invalid(rule, "fusion.rule", PolicyProblem::WithoutMatchers)),
            (FusionName::Both, _) => {
                self.unused(fusion.face_floor.as_ref(), "fusion.face-floor")?;
                Ok(FusionRule::Both { matchers: self.thresholds(fusion, evidence)? })
            }
            (FusionName::Either, _) => Ok(FusionRule::Either {
                face_floor: self.face_floor(fusion)?,
                matchers: self.thresholds(fusion, evidence)?,
            }),
            (FusionName::Weighted, _) => {
                let threshold = self.needed(rule, fusion.threshold.as_ref(), "fusion.threshold")?;
                let range = -LIKELIHOOD_LIMIT..=LIKELIHOOD_LIMIT;
                self.within(threshold, "fusion.threshold", range, "[-1e6, 1e6]")?;
                let face = self.likelihood(rule, fusion.face.as_ref(), "fusion.face")?;
                let (face_floor, threshold) = (self.face_floor(fusion)?, *threshold.get_ref());
                let matchers = self.likelihoods(evidence)?;
                Ok(FusionRule::Weighted { face_floor, face, matchers, threshold })
            }
        }
    }

    fn coverage(&self, ModelUpgradeFile { coverage, .. }: ModelUpgradeFile) -> Result<f64, PolicyError> {
        self.within(&coverage, "model-upgrade.coverage", f64::MIN_POSITIVE..=1.0, "(0, 1]")?;
        Ok(coverage.into_inner())
    }

    fn face_floor(&self, fusion: &FusionFile) -> Result<f32, PolicyError> {
        let floor = self.needed(&fusion.rule, fusion.face_floor.as_ref(), "fusion.face-floor")?;
        self.within(floor, "fusion.face-floor", -1.0..=1.0, "[-1, 1]")?;
        Ok(*floor.get_ref())
    }

    /// The matchers of a rule in which each has a threshold.
    fn thresholds(&self, fusion: &FusionFile, rules: &[EvidenceFile]) -> Result<Vec<(String, f64)>, PolicyError> {
        self.unused(fusion.face.as_ref(), "fusion.face")?;
        self.unused(fusion.threshold.as_ref(), "fusion.threshold")?;
        let checked = |rule: &EvidenceFile| {
            self.unused(rule.likelihood.as_ref(), "evidence.likelihood")?;
            let threshold = self.needed(&rule.matcher, rule.threshold.as_ref(), "evidence.threshold")?;
            self.within(threshold, "evidence.threshold", -SCORE_LIMIT..=SCORE_LIMIT, "[-1e9, 1e9]")?;
            Ok((rule.matcher.get_ref().clone(), *threshold.get_ref()))
        };
        rules.iter().map(checked).collect()
    }

    /// The matchers of a rule that adds log-likelihood ratios.
    fn likelihoods(&self, rules: &[EvidenceFile]) -> Result<Vec<(String, Likelihood)>, PolicyError> {
        let checked = |rule: &EvidenceFile| {
            self.unused(rule.threshold.as_ref(), "evidence.threshold")?;
            let likelihood = self.likelihood(&rule.matcher, rule.likelihood.as_ref(), "evidence.likelihood")?;
            Ok((rule.matcher.get_ref().clone(), likelihood))
        };
        rules.iter().map(checked).collect()
    }

    /// A matcher whose higher scores spoke against the claim would be calibrated the wrong way round.
    fn likelihood<T>(
        &self,
        beside: &Spanned<T>,
        likelihood: Option<&Spanned<Likelihood>>,
        key: &'static str,
    ) -> Result<Likelihood, PolicyError> {
        let likelihood = self.needed(beside, likelihood, key)?;
        let Likelihood { slope, intercept, weight } = *likelihood.get_ref();
        let positive = f64::MIN_POSITIVE..=LIKELIHOOD_LIMIT;
        let checks = [(slope, positive.clone()), (weight, positive), (intercept, -LIKELIHOOD_LIMIT..=LIKELIHOOD_LIMIT)];
        match checks.into_iter().find(|(value, range)| !range.contains(value)) {
            Some((value, _)) => {
                let range = "[-1e6, 1e6] (slope and weight above 0)";
                Err(self.invalid(likelihood, key, PolicyProblem::OutOfRange { value, range }))
            }
            None => Ok(*likelihood.get_ref()),
        }
    }

    fn needed<'v, T, U>(
        &self,
        beside: &Spanned<T>,
        value: Option<&'v Spanned<U>>,
        key: &'static str,
    ) -> Result<&'v Spanned<U>, PolicyError> {
        value.ok_or_else(|| self.invalid(beside, key, PolicyProblem::Missing))
    }

    fn unused<T>(&self, value: Option<&Spanned<T>>, key: &'static str) -> Result<(), PolicyError> {
        value.map_or(Ok(()), |value| Err(self.invalid(value, key, PolicyProblem::Unused)))
    }

    fn listed<T>(&self, list: &Spanned<Vec<T>>, key: &'static str) -> Result<(), PolicyError> {
        if list.get_ref().is_empty() { Err(self.invalid(list, key, PolicyProblem::Empty)) } else { Ok(()) }
    }

    fn within<T: PartialOrd + Copy + Number>(
        &self,
        value: &Spanned<T>,
        key: &'static str,
        range: RangeInclusive<T>,
        words: &'static str,
    ) -> Result<(), PolicyError> {
        if range.contains(value.get_ref()) {
            return Ok(());
        }
        let problem = PolicyProblem::OutOfRange { value: value.get_ref().number(), range: words };
        Err(self.invalid(value, key, problem))
    }

    fn rate(&self, value: &Spanned<f64>, key: &'static str) -> Result<(), PolicyError> {
        self.within(value, key, f64::MIN_POSITIVE..=0.5, "(0, 0.5]")
    }

    fn duplicate<T: Display>(&self, value: &Spanned<T>, key: &'static str) -> PolicyError {
        self.invalid(value, key, PolicyProblem::Duplicate { what: format!("`{}`", value.get_ref()) })
    }

    fn invalid<T>(&self, value: &Spanned<T>, key: &'static str, problem: PolicyProblem) -> PolicyError {
        PolicyError::Invalid { place: self.place(value.span()), key, problem }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            path: self.path.map(Path::to_owned),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// The numbers a policy holds, for an error to name.
trait Number {
    fn number(self) -> f64;
}

macro_rules! numbers {
    ($($kind:ty)+) => {
        $(impl Number for $kind {
            fn number(self) -> f64 {
                self as f64
            }
        })+
    };
}

numbers!(f32 f64 i16 u64 usize);
