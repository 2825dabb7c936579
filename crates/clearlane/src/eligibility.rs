//! Who may pass where and when: the policy's rules applied to what the register knows of a subject.

use clearlane_store::{Consent, Details, Direction, Document, Endorsement, Entries};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::policy::PortId;
use crate::policy::{AgeRule, EligibleRule, LeapDayBirthday, Modality, Policy};
use crate::reason::Reason;

impl Policy {
    /// Why a subject with these details may not pass at `port` in `direction` at `time`: every reason that applies, in the
    /// order of the policy's tables. Empty where the subject is eligible.
    ///
    /// Days are those of the policy's time zone. First and last days of validity count as valid.
    #[must_use]
    pub fn ineligibility(
        &self,
        details: &Details,
        port: &PortId,
        direction: Direction,
        time: Timestamp,
    ) -> Vec<Reason> {
        let day = time.to_zoned(self.time_zone.clone()).date();
        let mut reasons = self.place(port, direction, day);
        reasons.extend(details.expires.filter(|last| *last < day).map(|expired| Reason::EnrolmentExpired { expired }));
        match details.birth {
            Some(birth) => reasons.extend(self.age.refuses(birth, day)),
            None => reasons.push(Reason::BirthUnknown),
        }
        reasons.extend(self.consent_refuses(details.consent.as_ref(), time));
        if self.on_official_duty(&details.documents, day) {
            reasons.push(Reason::OfficialDuty);
        }
        reasons.extend(self.documents(details, day));
        reasons
    }

    fn place(&self, port: &PortId, direction: Direction, day: Date) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let (from, until) = self.in_force;
        if day < from || until.is_some_and(|until| day > until) {
            reasons.push(Reason::PolicyNotInForce);
        }
        match self.ports.get(port) {
            None => reasons.push(Reason::PortNotInPilot { port: port.clone() }),
            Some(known) if !known.directions.contains(&direction) => {
                reasons.push(Reason::DirectionNotInPilot { port: port.clone(), direction });
            }
            Some(_) => {}
        }
        reasons
    }

    /// Why a consent does not carry the use of this subject's face at `time`.
    pub(crate) fn consent_refuses(&self, consent: Option<&Consent>, time: Timestamp) -> Vec<Reason> {
        let Some(consent) = consent else { return vec![Reason::NoConsent] };
        let mut reasons = Vec::new();
        if consent.given > time {
            reasons.push(Reason::ConsentNotYetGiven);
        }
        if consent.withdrawn.is_some_and(|withdrawn| withdrawn <= time) {
            reasons.push(Reason::ConsentWithdrawn);
        }
        let covered = |modality: &Modality| match modality {
            Modality::Face => consent.scope.face,
            Modality::Fingerprint => consent.scope.fingerprint,
        };
        let missing = self.consent.iter().filter(|modality| !covered(modality));
        reasons.extend(missing.map(|&missing| Reason::ConsentScope { missing }));
        reasons
    }

    /// A valid official-duty document or endorsement excludes its holder, whatever else they hold.
    fn on_official_duty(&self, documents: &[Document], day: Date) -> bool {
        documents.iter().any(|document| {
            let held = in_time(document.valid_from, document.expires, day);
            let endorsed = |endorsement: &Endorsement| {
                self.excluded_endorsements.contains(&endorsement.kind)
                    && in_time(endorsement.valid_from, endorsement.expires, day)
            };
            held && (self.excluded_documents.contains(&document.kind) || document.endorsements.iter().any(endorsed))
        })
    }

    /// One document that satisfies one rule is enough; without any, what is wrong with each that comes near.
    fn documents(&self, details: &Details, day: Date) -> Vec<Reason> {
        let Some(category) = details.category else { return vec![Reason::CategoryUnknown] };
        let rules: Vec<_> = self.eligible.iter().filter(|rule| rule.category == category).collect();
        if rules.is_empty() {
            return vec![Reason::CategoryNotEligible { category }];
        }
        let mut reasons = Vec::new();
        for rule in rules {
            for document in details.documents.iter().filter(|document| rule.documents.contains(&document.kind)) {
                match rule.refuses(document, day) {
                    refusals if refusals.is_empty() => return refusals,
                    refusals => reasons.extend(refusals),
                }
            }
        }
        if reasons.is_empty() {
            reasons.push(Reason::NoEligibleDocument);
        }
        reasons
    }
}

impl EligibleRule {
    fn refuses(&self, document: &Document, day: Date) -> Vec<Reason> {
        let kind = document.kind;
        if let Some(from) = document.valid_from.filter(|from| *from > day) {
            return vec![Reason::DocumentNotYetValid { document: kind, from }];
        }
        if document.expires < day {
            return vec![Reason::DocumentExpired { document: kind, expired: document.expires }];
        }
        if self.endorsements.is_empty() {
            return Vec::new();
        }
        let mut reasons = Vec::new();
        let accepted = document.endorsements.iter().filter(|endorsement| self.endorsements.contains(&endorsement.kind));
        for endorsement in accepted {
            match self.refuses_endorsement(endorsement, day) {
                Some(reason) => reasons.push(reason),
                None => return Vec::new(),
            }
        }
        if reasons.is_empty() {
            reasons.push(Reason::NoEligibleEndorsement { document: kind });
        }
        reasons
    }

    fn refuses_endorsement(&self, endorsement: &Endorsement, day: Date) -> Option<Reason> {
        let kind = endorsement.kind;
        if let Some(from) = endorsement.valid_from.filter(|from| *from > day) {
            return Some(Reason::EndorsementNotYetValid { endorsement: kind, from });
        }
        if endorsement.expires < day {
            return Some(Reason::EndorsementExpired { endorsement: kind, expired: endorsement.expires });
        }
        let enough = !self.multiple_entry || endorsement.entries == Entries::Multiple;
        (!enough).then_some(Reason::NotMultipleEntry { endorsement: kind })
    }
}

impl AgeRule {
    fn refuses(self, birth: Date, day: Date) -> Option<Reason> {
        let age = self.years(birth, day);
        (age < self.minimum).then_some(Reason::UnderAge { age, minimum: self.minimum })
    }

    /// Completed years of age on `day`: a year is completed on the birthday itself.
    fn years(self, birth: Date, day: Date) -> i16 {
        let born_on_leap_day = (birth.month(), birth.day()) == (2, 29);
        let birthday = match self.leap_day {
            LeapDayBirthday::February28 if born_on_leap_day && !day.in_leap_year() => (2, 28),
            // In a common year no day is 29 February, so 1 March is the first day that is not before it.
            LeapDayBirthday::February28 | LeapDayBirthday::March1 => (birth.month(), birth.day()),
        };
        day.year() - birth.year() - i16::from((day.month(), day.day()) < birthday)
    }
}

fn in_time(from: Option<Date>, last: Date, day: Date) -> bool {
    from.is_none_or(|from| from <= day) && day <= last
}
