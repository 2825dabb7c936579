//! The bytes of a claim.

use clearlane_template::SubjectId;
use jiff::Timestamp;

use super::{Claim, ClaimRefusal, MAX_CLAIM_PORTS};
use crate::policy::PortId;

pub(super) const SIGNATURE_LENGTH: usize = 64;

/// The longest claim: every port's id has at most 32 bytes.
pub(super) const MAX_LENGTH: usize = 8 + 16 + 8 + 8 + 8 + 16 + 1 + MAX_CLAIM_PORTS * 33 + SIGNATURE_LENGTH;

/// Eight bytes that name a public key.
pub(super) type KeyId = [u8; 8];

/// Everything of a claim but its signature.
pub(super) fn encode(key: KeyId, claim: &Claim) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAX_LENGTH);
    bytes.extend(key);
    bytes.extend(claim.register);
    bytes.extend(claim.subject.0.to_be_bytes());
    bytes.extend(claim.issued.as_second().to_be_bytes());
    bytes.extend(claim.expires.as_second().to_be_bytes());
    bytes.extend(claim.nonce);
    bytes.push(claim.ports.len() as u8);
    for port in &claim.ports {
        bytes.push(port.as_str().len() as u8);
        bytes.extend(port.as_str().as_bytes());
    }
    bytes
}

/// The key that is said to have signed, and the claim; no byte may be left over.
pub(super) fn decode(unsigned: &[u8]) -> Result<(KeyId, Claim), ClaimRefusal> {
    let mut rest = Rest(unsigned);
    let (key, register) = (rest.array()?, rest.array()?);
    let subject = SubjectId(u64::from_be_bytes(rest.array()?));
    let mut time = || Timestamp::from_second(i64::from_be_bytes(rest.array()?)).map_err(|_| ClaimRefusal::Malformed);
    let (issued, expires) = (time()?, time()?);
    let nonce = rest.array()?;
    let count = usize::from(rest.byte()?);
    if !(1..=MAX_CLAIM_PORTS).contains(&count) {
        return Err(ClaimRefusal::Malformed);
    }
    let ports = (0..count).map(|_| rest.port()).collect::<Result<_, _>>()?;
    if rest.0.is_empty() {
        Ok((key, Claim { register, subject, ports, issued, expires, nonce }))
    } else {
        Err(ClaimRefusal::Malformed)
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ClaimRefusal> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ClaimRefusal::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ClaimRefusal> {
        self.take(N)?.try_into().map_err(|_| ClaimRefusal::Malformed)
    }

    fn byte(&mut self) -> Result<u8, ClaimRefusal> {
        Ok(self.array::<1>()?[0])
    }

    fn port(&mut self) -> Result<PortId, ClaimRefusal> {
        let length = usize::from(self.byte()?);
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| ClaimRefusal::Malformed)?;
        text.parse().map_err(|_| ClaimRefusal::Malformed)
    }
}
