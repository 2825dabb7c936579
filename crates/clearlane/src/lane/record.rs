//! The crossing record of a passage. It never holds a face, a template or a document.

use std::collections::BTreeSet;

use clearlane_store::{NewRecord, Outcome, StoreError};
use jiff::Timestamp;

use super::Lane;
use crate::decision::{Comparison, Decision};
use crate::reason::Reason;

impl Lane {
    /// Writes the record, durably, and gives its number.
    pub(super) fn record(
        &self,
        decision: &Decision,
        comparison: Option<&Comparison>,
        time: Timestamp,
    ) -> Result<u64, StoreError> {
        // Codes without their data: a record says why a traveller was referred, not when which document expired.
        let reasons: BTreeSet<_> = decision.reasons().iter().map(Reason::code).collect();
        self.references.register().append_record(&NewRecord {
            time,
            port: self.port.to_string(),
            lane: self.name.clone(),
            direction: self.direction,
            outcome: if decision.is_admission() { Outcome::Admit } else { Outcome::Refer },
            subject: comparison.map(|comparison| comparison.subject),
            score: comparison.map(|comparison| comparison.score),
            threshold: comparison.map(|comparison| comparison.threshold),
            margin: comparison.and_then(|comparison| comparison.margin),
            model: Some(self.references.model()),
            reasons: reasons.into_iter().collect::<Vec<_>>().join(" "),
        })
    }
}
