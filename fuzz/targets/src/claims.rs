//! What a traveller holds up: the text of a claim, and pictures that may show one.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use clearlane::jiff::Timestamp;
use clearlane::{
    ClaimIssuer, ClaimVerifier, DecodeLimits, Frame, MAX_READ_STEPS, PortId, ReadBudget, SignedClaim, SubjectId,
    read_claim_text,
};

/// A key that signs nothing but the corpus.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIK8MkDrXgydo7hyjcYk2kZGWgAJ1/3oEhSYaN8KhPaXg
-----END PRIVATE KEY-----
";

/// What claims are written with.
pub(crate) const PIECES: &[&[u8]] =
    &[b"CLEARLANE2:", b"CLEARLANE1:", b"A", b"7", b"=", b"a", b"\xff", b"AAAAAAAA", b"77777777", b"\0", b" "];

/// The register whose subjects claim.
const REGISTER: [u8; 16] = [1; 16];

fn port() -> PortId {
    "gongbei".parse().unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_764_000_000).unwrap()
}

/// Claims of the corpus: at one port and at several.
#[must_use]
pub fn example_claims() -> Vec<SignedClaim> {
    let issuer = ClaimIssuer::from_pem(KEY).unwrap();
    let ports: [&[PortId]; 2] = [&[port()], &[port(), "shenzhen-bay".parse().unwrap()]];
    let claim = |ports| issuer.issue(REGISTER, SubjectId(7), ports, now(), Duration::from_mins(1)).unwrap();
    ports.into_iter().map(claim).collect()
}

fn verifier() -> &'static ClaimVerifier {
    static VERIFIER: LazyLock<ClaimVerifier> = LazyLock::new(|| ClaimIssuer::from_pem(KEY).unwrap().verifier());
    &VERIFIER
}

/// The text of a claim: what is believed names this register, this port and this time.
pub(crate) fn claim_texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match verifier().verify(text, REGISTER, &port(), now()) {
        Ok(claim) => assert!(claim.register == REGISTER && claim.ports.contains(&port())),
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
}

/// A picture that may show a claim: reading it ends within its steps and gives nothing but the text of a claim.
pub(crate) fn claim_pictures(bytes: &[u8]) {
    let limits = DecodeLimits { max_pixels: 1 << 18, max_file_bytes: 1 << 19, max_memory_bytes: 8 << 20, max_scans: 4 };
    let Ok(frame) = Frame::decode(bytes, &limits) else { return };
    let mut budget = ReadBudget::until(Instant::now() + Duration::from_mins(5));
    let read = read_claim_text(&frame, &mut budget);
    assert!(budget.steps() <= MAX_READ_STEPS);
    if let Ok(Some(text)) = read {
        assert!(text.starts_with("CLEARLANE2:"), "{text:?}");
        claim_texts(text.as_bytes());
    }
}
