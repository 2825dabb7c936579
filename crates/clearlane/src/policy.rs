//! The rules of a port, as data: who may pass, and what a decision needs.
//!
//! A policy is a TOML file, so that a change of the rules is a change of the file. Every table of rules names its
//! `source`. Reading validates all of it: an unknown key, kind or value out of range is an error with its line. No rule has
//! a silent default: what a decision needs is written in the file, or the file is refused. Left out may be what adds to the
//! rules, not what they rest on: the policy's last day, a floor of quality, a matcher that the rule of fusion does not use.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use clearlane_embed::{Component, Extractor, Population};
use clearlane_store::{Category, DocumentKind, EndorsementKind};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

mod earlier;
mod error;
mod file;
mod port_entry;

pub use error::{NotAssessed, Place, PolicyError, PolicyProblem};
pub use port_entry::{ParsePortIdError, PortEntry, PortId};

/// The longest policy file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The rules of one or several ports, read from TOML and validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) name: String,
    pub(crate) in_force: (Date, Option<Date>),
    pub(crate) time_zone: TimeZone,
    pub(crate) ports: BTreeMap<PortId, PortEntry>,
    /// Whom the lanes serve: at least one, none twice.
    pub(crate) populations: Vec<Population>,
    pub(crate) age: AgeRule,
    pub(crate) consent: Vec<Modality>,
    pub(crate) eligible: Vec<EligibleRule>,
    pub(crate) excluded_documents: Vec<DocumentKind>,
    pub(crate) excluded_endorsements: Vec<EndorsementKind>,
    pub(crate) capture: CaptureRule,
    pub(crate) enrolment: EnrolmentRule,
    pub(crate) comparison: ComparisonRule,
    pub(crate) fusion: FusionRule,
    /// The share of the enrolled, in (0, 1], that a model covers before a lane goes over to it.
    pub(crate) coverage: f64,
}

/// The youngest age, and when those born on 29 February reach it in a common year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AgeRule {
    pub(crate) minimum: i16,
    pub(crate) leap_day: LeapDayBirthday,
}

/// The day of a common year on which those born on 29 February become a year older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LeapDayBirthday {
    /// 28 February.
    #[serde(rename = "02-28")]
    February28,
    /// 1 March: nobody is taken for older than they are.
    #[serde(rename = "03-01")]
    March1,
}

/// One way to be eligible: a category with one of some documents, and with one of some endorsements unless none is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EligibleRule {
    pub(crate) category: Category,
    pub(crate) documents: Vec<DocumentKind>,
    pub(crate) endorsements: Vec<EndorsementKind>,
    pub(crate) multiple_entry: bool,
}

/// A biometric characteristic that a traveller may consent to have collected and used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modality {
    /// The face.
    Face,
    /// Fingerprints.
    Fingerprint,
}

/// What a capture must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CaptureRule {
    /// Floors of quality component values, 0 to 100.
    pub(crate) quality: Vec<(Component, f32)>,
    /// Frames of one passage that make the probe, best quality first. All are judged.
    pub(crate) best_frames: usize,
    /// The false match rate at whose threshold two frames show one person.
    pub(crate) agreement_fmr: f64,
    /// The largest size, as a share of the traveller's face by length, that a further face in a frame may have.
    pub(crate) second_face: f32,
    pub(crate) pad: PadRule,
    /// The probability of a bona fide presentation from which on a face is taken for one, in [0, 1].
    pub(crate) pad_threshold: f32,
}

/// What presentation attack detection (PAD) has to say before anybody passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PadRule {
    /// Nothing.
    Off,
    /// Nothing against the traveller: a score that was assessed must reach the threshold.
    IfAssessed,
    /// Every frame with a face was assessed, and each reaches the threshold.
    Required,
}

/// What an enrolment must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EnrolmentRule {
    /// Floors of quality component values, 0 to 100.
    pub(crate) quality: Vec<(Component, f32)>,
    /// Templates that are kept of one subject, of the best pictures.
    pub(crate) templates: usize,
    /// The false match rate at whose threshold two pictures show one person.
    pub(crate) agreement_fmr: f64,
    /// The share of new faces that the search for duplicates may take for somebody enrolled.
    pub(crate) duplicate_fpir: f64,
}

/// What a comparison must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ComparisonRule {
    pub(crate) fpir: f64,
    pub(crate) fmr: f64,
    pub(crate) margin: f32,
    pub(crate) budget: Duration,
    /// How old the answer of a gallery may be that is kept elsewhere; `None` where the policy serves no such port.
    pub(crate) gallery_age: Option<Duration>,
}

/// A matcher's calibration to log-likelihood ratios, natural logarithm: `slope * score + intercept`, the affine map that
/// logistic regression fits (Brümmer & du Preez, "Application-independent evaluation of speaker detection", 2006).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Likelihood {
    pub(crate) slope: f64,
    pub(crate) intercept: f64,
    pub(crate) weight: f64,
}

/// How the face's score and those of other matchers make one decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FusionRule {
    /// The face passes; no other matcher is asked.
    FaceOnly,
    /// The face passes, and so does every matcher, each at its own threshold.
    Both { matchers: Vec<(String, f64)> },
    /// The face passes, or it reaches `face_floor` and one of the matchers passes.
    Either { face_floor: f32, matchers: Vec<(String, f64)> },
    /// The face reaches `face_floor`, and the weighted sum of all log-likelihood ratios reaches `threshold`.
    Weighted { face_floor: f32, face: Likelihood, matchers: Vec<(String, Likelihood)>, threshold: f64 },
}

impl Policy {
    /// Reads and validates a policy file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        let read = |source| PolicyError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let limit = MAX_FILE_BYTES + 1;
        let length = File::open(path).map_err(read)?.take(limit).read_to_string(&mut text).map_err(read)?;
        if length as u64 == limit {
            return Err(PolicyError::TooLarge { path: path.to_owned() });
        }
        file::read(&text, Some(path))
    }

    /// Reads and validates the text of a policy.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        file::read(text, None)
    }

    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ports in the pilot.
    #[must_use]
    pub fn ports(&self) -> &BTreeMap<PortId, PortEntry> {
        &self.ports
    }

    /// The populations that the lanes serve. A port opens with a model that was calibrated on each of them, and at every rate
    /// the strictest of their thresholds counts.
    #[must_use]
    pub fn populations(&self) -> &[Population] {
        &self.populations
    }

    /// The time zone in which a passage's day is taken.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// The false positive identification rate that a search may have, in (0, 1).
    #[must_use]
    pub fn fpir(&self) -> f64 {
        self.comparison.fpir
    }

    /// The time that a decision may take.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.comparison.budget
    }

    /// How old the answer of a gallery may be that is kept elsewhere: whoever was revoked is admitted by nobody after that.
    /// `None` where the policy does not say, and serves no such port.
    #[must_use]
    pub fn gallery_age(&self) -> Option<Duration> {
        self.comparison.gallery_age
    }

    /// The share of the enrolled, in (0, 1], that must have a template of a new model before a lane goes over to it.
    #[must_use]
    pub fn upgrade_coverage(&self) -> f64 {
        self.coverage
    }

    /// The same rules without other matchers: the face decides alone. For evaluations.
    #[must_use]
    pub fn face_only(mut self) -> Self {
        self.fusion = FusionRule::FaceOnly;
        self
    }

    /// Whether the extractor can assess all of these components.
    pub(crate) fn assessed<'f>(
        floors: impl IntoIterator<Item = &'f (Component, f32)>,
        extractor: &Extractor,
    ) -> Result<(), NotAssessed> {
        let mut components = floors.into_iter().map(|(component, _)| *component);
        let unseen = components.find(|component| !extractor.assesses(*component));
        unseen.map_or(Ok(()), |component| Err(NotAssessed { component }))
    }

    /// The first moment at which the policy is in force.
    #[must_use]
    pub fn opening(&self) -> Timestamp {
        let (from, _) = self.in_force;
        from.to_zoned(self.time_zone.clone()).map_or(Timestamp::MIN, |midnight| midnight.timestamp())
    }
}
