//! Claims that may be used once: the ones that were.

use jiff::Timestamp;
use rusqlite::params;

use crate::{Register, Result};

impl Register {
    /// Notes, durably and for all processes, that the claim with this nonce is used. `false`: it was used before. It is
    /// remembered until `keep_until`, which must not be before the claim's own end.
    pub fn spend_claim(&self, nonce: [u8; 16], keep_until: Timestamp) -> Result<bool> {
        self.write(|transaction| {
            transaction
                .prepare_cached("DELETE FROM claim WHERE keep_until < ?1")?
                .execute([Timestamp::now().as_millisecond()])?;
            let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO claim VALUES (?1, ?2)")?;
            Ok(insert.execute(params![nonce, keep_until.as_millisecond()])? == 1)
        })
    }
}
