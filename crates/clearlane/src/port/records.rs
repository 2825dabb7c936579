//! The crossing records of a port, to be read.

use clearlane_store::{ChainReport, Direction, Record, RecordQuery, Records as Rows, StoreError, Subject};

use super::Parts;
use crate::print::PrintedRecord;

/// The crossing records in a port's register. Each record that is read is verified against the chain.
#[derive(Clone, Copy)]
pub struct Records<'p>(&'p Parts);

impl<'p> Records<'p> {
    pub(super) fn new(port: &'p Parts) -> Self {
        Self(port)
    }

    /// The records that `query` asks for, in the order in which they were written.
    #[must_use]
    pub fn list(&self, query: RecordQuery) -> Rows<'p> {
        self.0.references.register().records(query)
    }

    /// The last record that `query` asks for.
    pub fn last(&self, query: &RecordQuery) -> Result<Option<Record>, StoreError> {
        self.0.references.register().last_record(query)
    }

    /// The last passage that a lane admitted `subject` to, ready to be printed, in `direction` where one is given; `None`
    /// where there is none, or where the port has no policy to name ports and time zone.
    pub fn print_last(
        &self,
        subject: &Subject,
        direction: Option<Direction>,
    ) -> Result<Option<PrintedRecord>, StoreError> {
        let Some(rules) = &self.0.rules else { return Ok(None) };
        let register = self.0.references.register();
        PrintedRecord::last(register, &rules.policy, subject, None, direction, (self.0.clock)())
    }

    /// Verifies the whole chain of records.
    pub fn verify(&self, progress: impl FnMut(u64, u64)) -> Result<ChainReport, StoreError> {
        self.0.references.register().verify_records(progress)
    }
}
