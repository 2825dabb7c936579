//! A small port on the built-in models: one fictional traveller, enrolled from the picture that passes.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use clearlane_embed::{DecodeLimits, Extractor, Frame, Models};
use clearlane_store::{
    Category, Consent, ConsentScope, Details, Document, DocumentKind, Enrolment, Key, Keyring, Register,
};
use tempfile::TempDir;

pub(crate) struct Port {
    pub(crate) folder: TempDir,
    pub(crate) register: PathBuf,
    pub(crate) keys: PathBuf,
    /// Requires PAD and asks for no fingerprint.
    pub(crate) policy: PathBuf,
    /// A folder with two PAD models, `pad-live` and `pad-attack`.
    pub(crate) pad_models: PathBuf,
}

impl Port {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (register, keys, policy) = (path("port.register"), path("register.key"), path("policy.toml"));
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let demonstration = fs::read_to_string(here.join("../../policies/demonstration.toml")).unwrap();
        let (lenient, strict) = ("pad = \"if-assessed\"", "pad = \"required\"");
        assert!(demonstration.contains(lenient));
        fs::write(&policy, demonstration.replace(lenient, strict)).unwrap();

        let key = Key::random().unwrap();
        fs::write(&keys, key.to_hex().as_bytes()).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let opened = Register::create(&register, Keyring::new(key)).unwrap();
        let models = Models::builtin().unwrap();
        let (detector, embedder) = (models.default_detector().unwrap(), models.default_embedder().unwrap());
        let extractor = Extractor::new(models.detector(detector).unwrap(), models.embedder(embedder).unwrap());
        let template = extractor.extract(&face()).unwrap().template;
        opened.enrol(&Enrolment::new("f0000").with_details(details(&opened)).with_template(template)).unwrap();
        Self { register, keys, policy, pad_models: here.join("tests/data/pad"), folder }
    }
}

/// The traveller before the camera.
pub(crate) fn face() -> Frame<'static> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/fictional/enrolled/f0000/enrol.jpg");
    Frame::open(path, &DecodeLimits::default()).unwrap()
}

fn details(register: &Register) -> Details {
    let kind = DocumentKind::MainlandTravelPermitHkMacao;
    Details {
        category: Some(Category::HongKongResident),
        birth: Some("1990-06-15".parse().unwrap()),
        documents: vec![Document {
            kind,
            number_digest: register.number_digest(kind, "H00000000").unwrap(),
            valid_from: None,
            expires: "2199-12-31".parse().unwrap(),
            endorsements: Vec::new(),
        }],
        consent: Some(Consent {
            given: "2024-11-25T00:00:00Z".parse().unwrap(),
            scope: ConsentScope { face: true, fingerprint: false },
            withdrawn: None,
        }),
        ..Details::default()
    }
}
