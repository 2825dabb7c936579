//! Claims that may be used once: the ones that were.
//!
//! Those whose nonces begin with the same 14 bits share a leaf of the claims' tree, so that it is known of a claim that it
//! was not used.

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use crate::canonical::Canonical;
use crate::error::Sql as _;
use crate::state::State;
use crate::table::{ENCODING, Table};
use crate::tables::ClaimRow;
use crate::tree::{self, Hash, NONE, Tree};
use crate::{Fault, Register, Result, Row};

/// Bits of a nonce that say which leaf it belongs to: with a day's claims in the register, a few share one.
const PLACE_BITS: u32 = 14;

/// How much longer than asked for a claim is remembered: it must still be known to a clock that was set back.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

impl Register {
    /// Notes, durably and for all processes, that the claim with this nonce is used. `false`: it was used before. It is
    /// remembered until a day after `until`, the claim's own end.
    pub fn spend_claim(&self, nonce: [u8; 16], until: Timestamp) -> Result<bool> {
        self.write(|state| spend(state, nonce, until))
    }
}

/// Notes that a claim is used, unless it was used before.
pub(crate) fn spend(state: &mut State<'_>, nonce: [u8; 16], until: Timestamp) -> Result<bool> {
    let place = place(&nonce);
    let mut claims = sharing(state, place)?;
    if state.leaf(Tree::Claims, place)? != hash(&claims) {
        return Err(Row::Claims(place).refused(Fault::Unbound));
    }
    if claims.iter().any(|claim| claim.nonce == nonce) {
        return Ok(false);
    }
    // Those that share the leaf and have ended long ago are forgotten with it: by the records' time, which no clock that is
    // set ahead can move far.
    if let Some(clock) = state.root.clock {
        claims.retain(|claim| claim.keep_until >= clock);
        let mut delete = state
            .connection
            .prepare_cached("DELETE FROM claim WHERE nonce BETWEEN ?1 AND ?2 AND keep_until < ?3")
            .sql()?;
        let (first, last) = range(place);
        delete.execute(params![first, last, clock.as_millisecond()]).sql()?;
    }
    let keep_until = until.saturating_add(REMEMBERED).unwrap_or(Timestamp::MAX);
    let claim = ClaimRow { nonce, keep_until, encoding: ENCODING };
    claim.insert(state.connection)?;
    claims.push(claim);
    claims.sort_by_key(|claim| claim.nonce);
    state.set_leaf(Tree::Claims, place, hash(&claims));
    Ok(true)
}

/// The claims that share a leaf, sorted by their nonces.
pub(crate) fn sharing(state: &State<'_>, place: u64) -> Result<Vec<ClaimRow>> {
    let (first, last) = range(place);
    let rows =
        ClaimRow::select(state.connection, "WHERE nonce BETWEEN ?1 AND ?2 ORDER BY nonce", params![first, last])?;
    rows.into_iter().collect::<Result<_, _>>().map_err(|fault| Row::Claims(place).refused(fault))
}

/// The leaf of claims.
pub(crate) fn hash(claims: &[ClaimRow]) -> Hash {
    if claims.is_empty() {
        return NONE;
    }
    let mut rows = Canonical::new();
    for claim in claims {
        claim.encode(&mut rows);
    }
    tree::leaf(&rows)
}

/// Which leaf a nonce belongs to.
pub(crate) fn place(nonce: &[u8; 16]) -> u64 {
    u64::from(u16::from_be_bytes([nonce[0], nonce[1]]) >> (16 - PLACE_BITS))
}

/// The first and the last nonce of a leaf.
fn range(place: u64) -> ([u8; 16], [u8; 16]) {
    let first = (place as u16) << (16 - PLACE_BITS);
    let last = first | ((1 << (16 - PLACE_BITS)) - 1);
    let (mut from, mut to) = ([0; 16], [0xff; 16]);
    from[..2].copy_from_slice(&first.to_be_bytes());
    to[..2].copy_from_slice(&last.to_be_bytes());
    (from, to)
}
