//! Claims: a signed, short-lived, single-use statement of who a traveller says they are, shown as a QR code for a 1:1
//! comparison.
//!
//! A claim proves that the issuer gave it out; who shows it is for the face to prove. It holds the register's id and its
//! number of a subject, and nothing else about them. Its text is `CLEARLANE2:` and the base32 (RFC 4648, unpadded) of these bytes,
//! integers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | id of the issuer's key: the first bytes of the SHA-256 of its public key |
//! | 16 | id of the register that the subject is in: the claim is good at its lanes alone |
//! | 8 | subject |
//! | 8 | issued, seconds of the Unix epoch, signed |
//! | 8 | expires, likewise: the claim is good before this second |
//! | 16 | nonce |
//! | 1 | number of ports, 1 to 8 |
//! | 1 + n, for each port | length and bytes of the port's id |
//! | 64 | Ed25519 signature (RFC 8032) over `clearlane claim 2`, a zero byte, and all bytes before the signature |

use std::time::Duration;

use clearlane_template::SubjectId;
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::PortId;

mod bytes;
mod key;
mod qr;
mod read;

pub use key::{ClaimIssuer, ClaimKeyError, ClaimVerifier, IssueError};
pub use qr::{QrError, read_claim_text};
pub use read::{MAX_READ_STEPS, ReadBudget, ReadStopped};

/// The longest time from issue to expiry.
pub const MAX_CLAIM_LIFETIME: Duration = Duration::from_mins(10);

/// The most ports that a claim may name.
pub const MAX_CLAIM_PORTS: usize = 8;

/// By how much an issuer's clock may run ahead of the lane's.
const CLOCK_SKEW: Duration = Duration::from_secs(30);

const PREFIX: &str = "CLEARLANE2:";

/// What a claim says. Only [`ClaimVerifier::verify`] says whether it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The register that the subject is in, by [`Register::id`](clearlane_store::Register::id).
    pub register: [u8; 16],
    /// Who the traveller says they are.
    pub subject: SubjectId,
    /// Where the claim is good.
    pub ports: Vec<PortId>,
    /// When it was issued, to the second.
    pub issued: Timestamp,
    /// From when on it is good no longer, to the second.
    pub expires: Timestamp,
    /// What makes it this one claim: a register remembers it once the claim was used.
    pub nonce: [u8; 16],
}

/// A claim with its issuer's signature, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedClaim {
    claim: Claim,
    text: String,
}

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClaimRefusal {
    /// The text is no claim, or not a whole one.
    #[error("it is no claim of this version")]
    Malformed,
    /// The issuer's key is none that this lane trusts.
    #[error("its issuer is not trusted here")]
    UnknownIssuer,
    /// The signature is not the issuer's: the claim was forged or altered.
    #[error("its signature is not the issuer's")]
    Forged,
    /// It was issued in the future.
    #[error("it was issued in the future")]
    NotYetValid,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// It is good for longer than any claim may be.
    #[error("it is good for longer than a claim may be")]
    LivesTooLong,
    /// It is of another register.
    #[error("it is of another register")]
    OtherRegister,
    /// It is good at other ports.
    #[error("it is for another port")]
    OtherPort,
    /// It was used before.
    #[error("it was used before")]
    Replayed,
}

impl SignedClaim {
    /// What the claim says.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The text in the QR code.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn new(claim: Claim, signed: &[u8]) -> Self {
        Self { claim, text: format!("{PREFIX}{}", BASE32_NOPAD.encode(signed)) }
    }
}

/// The bytes that a claim's text stands for.
fn decode(text: &str) -> Result<Vec<u8>, ClaimRefusal> {
    let digits = text.strip_prefix(PREFIX).ok_or(ClaimRefusal::Malformed)?;
    if digits.len() > bytes::MAX_LENGTH * 8 / 5 + 1 {
        return Err(ClaimRefusal::Malformed);
    }
    BASE32_NOPAD.decode(digits.as_bytes()).map_err(|_| ClaimRefusal::Malformed)
}
