//! The keys of claims: who issues, and whom a lane trusts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use clearlane_template::SubjectId;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::bytes::{self, KeyId, SIGNATURE_LENGTH};
use super::{CLOCK_SKEW, Claim, ClaimRefusal, MAX_CLAIM_LIFETIME, MAX_CLAIM_PORTS, SignedClaim};
use crate::policy::PortId;

const CONTEXT: &[u8] = b"clearlane claim 2\0";

/// Issues claims with an Ed25519 key, which is wiped when this is dropped.
pub struct ClaimIssuer {
    key: SigningKey,
}

/// The public keys of the issuers that a lane trusts; several, so that keys can be changed while claims are out.
#[derive(Clone, Debug, Default)]
pub struct ClaimVerifier {
    keys: BTreeMap<KeyId, VerifyingKey>,
}

/// Why a text is no key, or no key was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimKeyError {
    /// Not a private key as PKCS #8 PEM.
    #[error("expected an Ed25519 private key in PKCS #8 PEM, as `openssl genpkey -algorithm ed25519` writes it")]
    NotPrivate,
    /// Not a public key as SPKI PEM.
    #[error("expected an Ed25519 public key in PEM, as `openssl pkey -pubout` writes it")]
    NotPublic,
    /// The key is one of the few for which a signature proves nothing.
    #[error("the public key is weak (of small order): a signature under it proves nothing")]
    Weak,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoEntropy,
    /// The key could not be written as PEM.
    #[error("the key could not be written as PEM")]
    Encoding,
}

/// Why no claim was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// No port, or too many.
    #[error("a claim names 1 to {MAX_CLAIM_PORTS} ports, not {ports}")]
    Ports {
        /// How many were named.
        ports: usize,
    },
    /// The lifetime is under a second or over [`MAX_CLAIM_LIFETIME`].
    #[error("a claim is good for 1 to {} seconds, not {lifetime:?}", MAX_CLAIM_LIFETIME.as_secs())]
    Lifetime {
        /// What was asked for.
        lifetime: Duration,
    },
    /// The expiry lies beyond the calendar.
    #[error("the expiry lies beyond the calendar")]
    Time,
    /// The system gave no random bytes for the nonce.
    #[error("the system gave no random bytes")]
    NoEntropy,
}

impl ClaimIssuer {
    /// An issuer with a new random key.
    pub fn generate() -> Result<Self, ClaimKeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| ClaimKeyError::NoEntropy)?;
        let key = SigningKey::from_bytes(&seed);
        seed.zeroize();
        Ok(Self { key })
    }

    /// An issuer with a private key in PKCS #8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, ClaimKeyError> {
        SigningKey::from_pkcs8_pem(pem).map(|key| Self { key }).map_err(|_| ClaimKeyError::NotPrivate)
    }

    /// The private key as PKCS #8 PEM: whoever has it can issue claims.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, ClaimKeyError> {
        self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| ClaimKeyError::Encoding)
    }

    /// The public key as PEM, for the lanes.
    pub fn public_pem(&self) -> Result<String, ClaimKeyError> {
        self.key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| ClaimKeyError::Encoding)
    }

    /// A verifier that trusts this issuer only.
    #[must_use]
    pub fn verifier(&self) -> ClaimVerifier {
        let key = self.key.verifying_key();
        ClaimVerifier { keys: BTreeMap::from([(id(&key), key)]) }
    }

    /// A claim that `subject` of `register` may make once, at one of `ports`, from `now` on for `lifetime` (whole seconds).
    pub fn issue(
        &self,
        register: [u8; 16],
        subject: SubjectId,
        ports: &[PortId],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<SignedClaim, IssueError> {
        if !(1..=MAX_CLAIM_PORTS).contains(&ports.len()) {
            return Err(IssueError::Ports { ports: ports.len() });
        }
        if lifetime < Duration::from_secs(1) || lifetime > MAX_CLAIM_LIFETIME {
            return Err(IssueError::Lifetime { lifetime });
        }
        let issued = Timestamp::from_second(now.as_second()).map_err(|_| IssueError::Time)?;
        let expires =
            issued.checked_add(SignedDuration::from_secs(lifetime.as_secs() as i64)).map_err(|_| IssueError::Time)?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| IssueError::NoEntropy)?;
        let claim = Claim { register, subject, ports: ports.to_vec(), issued, expires, nonce };
        let mut signed = bytes::encode(id(&self.key.verifying_key()), &claim);
        signed.extend(self.key.sign(&[CONTEXT, &signed].concat()).to_bytes());
        Ok(SignedClaim::new(claim, &signed))
    }
}

impl ClaimVerifier {
    /// Trusts the issuer with this public key (PEM) as well.
    pub fn trust_pem(&mut self, pem: &str) -> Result<(), ClaimKeyError> {
        let key = VerifyingKey::from_public_key_pem(pem).map_err(|_| ClaimKeyError::NotPublic)?;
        if key.is_weak() {
            return Err(ClaimKeyError::Weak);
        }
        self.keys.insert(id(&key), key);
        Ok(())
    }

    /// The claim in `text`, if a trusted issuer signed it for `register` and `port`, and it is good `now`. Whether it was used before is
    /// for the register to say.
    pub fn verify(&self, text: &str, register: [u8; 16], port: &PortId, now: Timestamp) -> Result<Claim, ClaimRefusal> {
        let bytes = super::decode(text)?;
        let split = bytes.len().checked_sub(SIGNATURE_LENGTH).ok_or(ClaimRefusal::Malformed)?;
        let (unsigned, signature) = bytes.split_at(split);
        let (key, claim) = bytes::decode(unsigned)?;
        let key = self.keys.get(&key).ok_or(ClaimRefusal::UnknownIssuer)?;
        let signature = Signature::from_slice(signature).map_err(|_| ClaimRefusal::Malformed)?;
        key.verify_strict(&[CONTEXT, unsigned].concat(), &signature).map_err(|_| ClaimRefusal::Forged)?;
        if claim.issued.duration_since(now) > seconds(CLOCK_SKEW) {
            return Err(ClaimRefusal::NotYetValid);
        }
        if claim.expires.duration_since(claim.issued) > seconds(MAX_CLAIM_LIFETIME) {
            return Err(ClaimRefusal::LivesTooLong);
        }
        if now >= claim.expires {
            return Err(ClaimRefusal::Expired);
        }
        if claim.register != register {
            return Err(ClaimRefusal::OtherRegister);
        }
        if !claim.ports.contains(port) {
            return Err(ClaimRefusal::OtherPort);
        }
        Ok(claim)
    }
}

impl fmt::Debug for ClaimIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimIssuer").finish_non_exhaustive()
    }
}

fn seconds(duration: Duration) -> SignedDuration {
    SignedDuration::from_secs(duration.as_secs() as i64)
}

fn id(key: &VerifyingKey) -> KeyId {
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}
