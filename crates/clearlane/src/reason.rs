//! Why a traveller is referred to an officer: reasons as data.

use std::borrow::Cow;

use clearlane_embed::Component;
use clearlane_store::{Category, Direction, DocumentKind, EndorsementKind};
use clearlane_template::SubjectId;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::claim::ClaimRefusal;
use crate::policy::Modality;
use crate::policy::PortId;

mod phrase;

pub use clearlane_template::Language;

/// One reason why the lane did not open. A referral carries all that apply.
///
/// As JSON: `{"reason": "under-age", "age": 13, "minimum": 14}`. No reason names a document number, a face or a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "reason", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    // Capture.
    /// No frame of the passage shows a face.
    NoFace,
    /// A picture of an enrolment shows more than one face, or a frame shows a further one that is larger beside the
    /// traveller's than the policy allows.
    SeveralFaces {
        /// How many faces it shows.
        faces: usize,
    },
    /// No frame reached a quality floor of the policy.
    QualityTooLow {
        /// The quality component, in JSON by its name in ISO/IEC 29794-5.
        measure: Component,
        /// The best component value, 0 to 100.
        value: f32,
        /// The policy's floor.
        floor: f32,
    },
    /// The face is too far away.
    FaceTooSmall {
        /// Pixels between the eyes.
        eye_distance: f32,
        /// What the lane asks for.
        minimum: f32,
    },
    /// The frame's border cuts the face.
    FaceCut {
        /// The part of the face outside of the frame, in [0, 1].
        outside: f32,
    },
    /// The landmarks are not those of an upright face: the picture may be turned, or it shows no face.
    FaceNotUpright,
    /// The policy requires presentation attack detection (PAD), and a frame with a face was not assessed.
    PadNotAssessed,
    /// A PAD score of the passage does not reach the policy's threshold, or is none.
    PadFailed {
        /// The lowest probability of a bona fide presentation, 0 to 1.
        score: f32,
        /// The policy's threshold.
        threshold: f32,
    },
    /// The frames of the passage, or the pictures of an enrolment, do not show one person.
    FramesDisagree {
        /// The lowest comparison score between two frames.
        score: f32,
        /// What they must reach.
        threshold: f32,
    },

    // Comparison.
    /// Nobody in the gallery reached the threshold.
    NoCandidate {
        /// The threshold for this gallery.
        threshold: f32,
    },
    /// Another subject's score is too close to the candidate's.
    MarginTooSmall {
        /// The other subject.
        runner_up: SubjectId,
        /// By how much the candidate leads.
        margin: f32,
        /// By how much it must lead.
        required: f32,
    },
    /// The face is not that of the reference.
    NotMatched {
        /// The comparison score.
        score: f32,
        /// What it must reach.
        threshold: f32,
    },
    /// The search did not see the whole gallery inside of its budget.
    PartialSearch {
        /// References that were searched.
        scanned: usize,
        /// References in the gallery.
        total: usize,
    },
    /// The gallery, which is kept elsewhere, gave no whole answer.
    GalleryIncomplete {
        /// What is missing, and why.
        why: String,
    },
    /// The answer of the gallery, which is kept elsewhere, is older than the policy bears.
    GalleryOutdated {
        /// What the answer is of.
        as_of: Timestamp,
        /// How old it may be, in milliseconds.
        max_age_ms: u64,
    },
    /// The calibration gives no threshold for a gallery of this size.
    ThresholdUnknown {
        /// References in the gallery.
        entries: usize,
    },
    /// The traveller was last seen so long before the decision that somebody else may stand before the camera.
    TravellerGone {
        /// Milliseconds since the last frame that shows them.
        seen_ms: u64,
    },
    /// The decision took longer than its budget.
    BudgetExceeded {
        /// Milliseconds spent.
        spent_ms: u64,
        /// Milliseconds allowed.
        budget_ms: u64,
    },

    // Other evidence.
    /// The policy asks for another matcher's score, and none was given.
    EvidenceMissing {
        /// The matcher.
        matcher: String,
    },
    /// Another matcher's score is under its threshold.
    EvidenceTooLow {
        /// The matcher.
        matcher: String,
        /// Its score, on its own scale.
        score: f64,
        /// Its threshold in the policy.
        threshold: f64,
    },
    /// Another matcher's score is of another person than the face's candidate.
    EvidenceOfAnother {
        /// The matcher.
        matcher: String,
    },
    /// A matcher's score is not a number within ±1e9.
    EvidenceInvalid {
        /// The matcher.
        matcher: String,
    },
    /// The weighted log-likelihood ratio of all matchers is too low.
    FusionTooLow {
        /// The sum, in nats.
        log_likelihood: f64,
        /// What it must reach.
        threshold: f64,
    },

    // The claim.
    /// No frame shows a claim.
    NoClaim,
    /// The portrait of the shown document gives no template.
    PortraitUnusable,
    /// The claim (a QR code) was refused.
    ClaimRefused {
        /// Why.
        refusal: ClaimRefusal,
    },

    // Enrolment.
    /// The same face is enrolled under another identity.
    DuplicateFace {
        /// The other subject.
        subject: SubjectId,
        /// The comparison score.
        score: f32,
        /// From which score on two faces are taken for one person's.
        threshold: f32,
    },
    /// Another application of the same import shows the same face.
    DuplicateApplication {
        /// That application's key.
        key: String,
    },

    /// Nothing shows that a picture is the subject's: it is none that they were enrolled from, and no model that knows them
    /// was there to compare it.
    PictureUnproven,

    // The register.
    /// The subject is not in the register, or was revoked.
    NotEnrolled,
    /// The enrolment has ended.
    EnrolmentExpired {
        /// The last day it was valid.
        expired: Date,
    },
    /// The register failed its check, or was not checked: nobody passes.
    RegisterNotSound,
    /// The lane's clock is behind the newest crossing record, or far ahead of it: days and expiries cannot be judged.
    ImplausibleClock {
        /// The time of the newest record.
        newest: Timestamp,
    },
    /// The passage could not be recorded: nobody passes unrecorded.
    NotRecorded,
    /// An error inside of the lane; the log says which.
    InternalError {
        /// The stage in which it arose.
        stage: Cow<'static, str>,
    },

    // Eligibility.
    /// The port is not in the pilot.
    PortNotInPilot {
        /// The port.
        port: PortId,
    },
    /// The port is in the pilot, but not in this direction.
    DirectionNotInPilot {
        /// The port.
        port: PortId,
        /// The direction.
        direction: Direction,
    },
    /// The policy is not in force on the day.
    PolicyNotInForce,
    /// Too young on the day.
    UnderAge {
        /// Years of age on the day; negative if born later.
        age: i16,
        /// Years required.
        minimum: i16,
    },
    /// The register does not know the traveller's day of birth.
    BirthUnknown,
    /// The register does not know the traveller's category.
    CategoryUnknown,
    /// No rule admits the traveller's category.
    CategoryNotEligible {
        /// The category.
        category: Category,
    },
    /// No consent was given.
    NoConsent,
    /// The consent was given later than the passage.
    ConsentNotYetGiven,
    /// The consent was withdrawn.
    ConsentWithdrawn,
    /// The consent does not cover everything that the policy needs.
    ConsentScope {
        /// What it does not cover.
        missing: Modality,
    },
    /// The traveller holds an official-duty document, which excludes them.
    OfficialDuty,
    /// None of the traveller's documents is of a kind that the rule for the category accepts.
    NoEligibleDocument,
    /// A document of an accepted kind is not valid yet.
    DocumentNotYetValid {
        /// Its kind.
        document: DocumentKind,
        /// Its first day.
        from: Date,
    },
    /// A document of an accepted kind has expired.
    DocumentExpired {
        /// Its kind.
        document: DocumentKind,
        /// Its last day.
        expired: Date,
    },
    /// The document holds no endorsement of an accepted kind.
    NoEligibleEndorsement {
        /// The document's kind.
        document: DocumentKind,
    },
    /// An endorsement of an accepted kind is not valid yet.
    EndorsementNotYetValid {
        /// Its kind.
        endorsement: EndorsementKind,
        /// Its first day.
        from: Date,
    },
    /// An endorsement of an accepted kind has expired.
    EndorsementExpired {
        /// Its kind.
        endorsement: EndorsementKind,
        /// Its last day.
        expired: Date,
    },
    /// An endorsement of an accepted kind does not allow multiple entries.
    NotMultipleEntry {
        /// Its kind.
        endorsement: EndorsementKind,
    },
}

impl Reason {
    /// The kind of reason in one word, as in JSON: `under-age`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
