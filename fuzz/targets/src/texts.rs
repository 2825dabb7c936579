//! Texts of a host: manifests of models, policies, keys and words.

use clearlane::{ClaimVerifier, Policy, PortId};
use clearlane_embed::{Component, Manifest, Population};
use clearlane_store::{Category, CheckingCode, DocumentKind, ImageDigest, Keyring, Nationality};
use clearlane_template::ModelId;

/// What occurs in TOML, and what breaks those who read it.
pub(crate) const TOML: &[&[u8]] = &[
    b"\n",
    b"[",
    b"]",
    b"[[",
    b"]]",
    b"{",
    b"}",
    b"=",
    b"\"",
    b"'",
    b"\"\"\"",
    b".",
    b",",
    b"#",
    b"nan",
    b"inf",
    b"-inf",
    b"-1",
    b"0",
    b"1e308",
    b"1e-320",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"true",
    b"9999-12-31",
    b"-009999-01-01",
    b"0000-02-30",
    b"23:59:60",
    b"Asia/Hong_Kong",
    b"\\u0000",
    b"\xf0\x9f\x98\x80",
    b"PT999999999999H",
    b"\xff",
];

/// What words, codes and keys are made of.
pub(crate) const WORDS: &[&[u8]] = &[
    b"\n",
    b"#",
    b"-",
    b"0",
    b"f",
    b"0000000000000000",
    b"ffffffffffffffff",
    b"-----BEGIN PUBLIC KEY-----\n",
    b"-----END PUBLIC KEY-----\n",
    b"MCowBQYDK2VwAyEA",
    b"AAAAAAAAAAAAAAAA",
    b"=",
    b"\xe2\x80\xa8",
    b"\xff",
    b" ",
];

/// The manifest of a folder of models: what is read is the same when it is written and read again.
pub(crate) fn manifests(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Manifest::parse(text) {
        Ok(manifest) => {
            let again = manifest.to_toml().unwrap();
            assert_eq!(Manifest::parse(&again).as_ref(), Ok(&manifest), "{again}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A policy: what is taken keeps to the ranges that its functions promise.
pub(crate) fn policies(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Policy::from_toml(text) {
        Ok(policy) => {
            assert!(policy.fpir() > 0.0 && policy.fpir() < 1.0);
            assert!(policy.upgrade_coverage() > 0.0 && policy.upgrade_coverage() <= 1.0);
            assert!(!policy.ports().is_empty() && !policy.populations().is_empty());
            let _ = (policy.opening(), policy.budget(), policy.name().len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A short text that is a key, a code, a digest or a word: what is read is the same when it is written and read again.
pub(crate) fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    macro_rules! round {
        ($($kind:ty),*) => {
            $(match text.parse::<$kind>() {
                Ok(word) => assert_eq!(word.to_string().parse::<$kind>().ok(), Some(word)),
                Err(error) => assert!(!error.to_string().is_empty()),
            })*
        };
    }
    round!(CheckingCode, Category, DocumentKind, ImageDigest, ModelId, Nationality, Population, PortId);
    let _ = text.parse::<Component>();
    let _ = ClaimVerifier::default().trust_pem(text);
    if let Ok(keys) = Keyring::parse(text) {
        let again = Keyring::parse(&keys.to_text()).unwrap();
        assert_eq!(again.current().map(clearlane_store::Key::id), keys.current().map(clearlane_store::Key::id));
    }
}
