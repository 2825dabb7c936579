//! A small port on the built-in models: one fictional traveller, enrolled from the picture that passes.

use std::fs;
use std::path::{Path, PathBuf};

use clearlane::embed::Models;
use clearlane::store::{
    Category, Consent, ConsentScope, Details, Document, DocumentKind, Enrolment, Key, Keyring, Register,
};
use clearlane::{ClaimIssuer, DecodeLimits, Extractor, Frame, MAX_CLAIM_LIFETIME};
use tempfile::TempDir;

pub(crate) struct Port {
    pub(crate) folder: TempDir,
    pub(crate) register: PathBuf,
    pub(crate) keys: PathBuf,
    /// Asks for no fingerprint, and for PAD where a model for it is loaded.
    pub(crate) policy: PathBuf,
    /// The same, but requires PAD.
    pub(crate) strict_policy: PathBuf,
    /// A folder with two PAD models, `pad-live` and `pad-attack`.
    pub(crate) pad_models: PathBuf,
    /// The traveller, enrolled as `f0000` with the document H00000000.
    pub(crate) picture: PathBuf,
    /// Somebody who is not enrolled.
    pub(crate) other_picture: PathBuf,
    /// The key of a claim issuer, and a picture of a claim of the traveller's.
    pub(crate) issuer: PathBuf,
    pub(crate) claim: PathBuf,
}

impl Port {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (register, keys, policy) = (path("port.register"), path("register.key"), path("policy.toml"));
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let demonstration = fs::read_to_string(here.join("../../policies/demonstration.toml")).unwrap();
        // However slow the machine.
        let patient = replaced(&demonstration, "budget-ms = 5000", "budget-ms = 60000");
        fs::write(&policy, &patient).unwrap();
        let strict_policy = path("strict.toml");
        fs::write(&strict_policy, replaced(&patient, "pad = \"if-assessed\"", "pad = \"required\"")).unwrap();

        let key = Key::random().unwrap();
        fs::write(&keys, key.to_hex().as_bytes()).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let opened = Register::create(&register, Keyring::new(key)).unwrap();
        let models = Models::builtin().unwrap();
        let (detector, embedder) = (models.default_detector().unwrap(), models.default_embedder().unwrap());
        let extractor = Extractor::new(models.detector(detector).unwrap(), models.embedder(embedder).unwrap());
        let template = extractor.extract(&face("f0000")).unwrap().template;
        let enrolment = Enrolment::new("f0000").with_details(details(&opened)).with_template(template);
        let (subject, _) = opened.enrol(&enrolment).unwrap();

        let issuer = ClaimIssuer::generate().unwrap();
        let ports = ["shenzhen-bay".parse().unwrap()];
        let now = Enrolment::new("now").enrolled;
        let claim = issuer.issue(opened.id(), subject, &ports, now, MAX_CLAIM_LIFETIME).unwrap();
        fs::write(path("claim.png"), claim.to_png(4).unwrap()).unwrap();
        fs::write(path("issuer.pem"), issuer.public_pem().unwrap()).unwrap();
        let claim = Frame::open(path("claim.png"), &DecodeLimits::default()).unwrap();
        let picture = |name: &str, frame: &Frame<'_>| write_ppm(path(name), frame);
        Self {
            picture: picture("f0000.ppm", &face("f0000")),
            other_picture: picture("f0001.ppm", &face("f0001")),
            claim: picture("claim.ppm", &claim),
            issuer: path("issuer.pem"),
            pad_models: here.join("tests/data/pad"),
            register,
            keys,
            policy,
            strict_policy,
            folder,
        }
    }

    /// What the programs take.
    pub(crate) fn arguments(&self) -> [&Path; 9] {
        [
            &self.register,
            &self.keys,
            &self.policy,
            &self.strict_policy,
            &self.pad_models,
            &self.picture,
            &self.other_picture,
            &self.issuer,
            &self.claim,
        ]
    }
}

fn face(name: &str) -> Frame<'static> {
    let people = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled");
    Frame::open(people.join(name).join("enrol.jpg"), &DecodeLimits::default()).unwrap()
}

fn write_ppm(path: PathBuf, frame: &Frame<'_>) -> PathBuf {
    let header = format!("P6 {} {} 255\n", frame.width(), frame.height());
    fs::write(&path, [header.as_bytes(), &frame.to_rgb8()].concat()).unwrap();
    path
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
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
