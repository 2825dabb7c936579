//! The register: who is enrolled, with which templates, durably in one SQLite file.
//!
//! - **Durable.** Write-ahead log, `synchronous=FULL`: what a call returned `Ok` for survives a power cut.
//! - **Sealed.** Each template is encrypted and authenticated (AES-256-GCM) for its own row, and every row is bound to one
//!   root that the register's key signs: what was swapped, cut or altered outside this library is refused and named. Keys
//!   come from a [`KeySource`], never from the file.
//! - **Renewable.** Templates are kept under an orthogonal transform drawn from the register's key
//!   ([`TemplateProtection`]), so those of two registers do not match each other, and a new key renews all without a new
//!   capture.
//!
//! ```
//! use clearlane_store::{Enrolment, Key, Keyring, Register};
//! use clearlane_template::{ModelId, Template};
//!
//! let folder = tempfile::tempdir()?;
//! let register = Register::create(folder.path().join("port.register"), Keyring::new(Key::random()?))?;
//!
//! let model = ModelId::digest([b"the model's bytes".as_slice()]);
//! let reference = Template::normalised(model, vec![3.0, 4.0, 0.0, 1.0])?;
//! let (subject, _) = register.enrol(&Enrolment::new("Aaron").with_template(reference.clone()))?;
//!
//! // What is stored is protected; a probe is transformed likewise, and scores as it would have.
//! let protection = register.protection(model)?;
//! let probe = Template::normalised(model, vec![3.0, 4.0, 1.0, 0.0])?;
//! let stored = register.templates(subject, model)?;
//! let score = protection.apply(&probe)?.score(&stored[0].template)?;
//! assert!((score - probe.score(&reference)?).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod backup;
mod canonical;
mod chain;
mod check;
mod claim;
mod clock;
mod code;
mod digest;
mod enrol;
mod error;
mod exchange;
mod file;
mod group_commit;
mod key;
mod keys;
mod load;
mod migrate;
mod protection;
mod record;
mod register;
mod rekey;
mod revoke;
mod roster;
mod rows;
mod schema;
mod seal;
mod state;
mod stats;
mod subject;
mod sync;
mod table;
mod tables;
mod tree;
mod witness;
mod words;

pub use chain::ChainReport;
pub use check::{LastCheck, Problem, Report};
pub use clock::{CLOCK_AHEAD, CLOCK_BEHIND};
pub use code::{CheckingCode, ParseCodeError};
pub use digest::{ImageDigest, NumberDigest, ParseDigestError, RecordHash};
pub use enrol::{Enrolled, EnrolledAll};
pub use error::{Fault, Result, Row, StoreError};
pub use exchange::{CsvColumns, Format, ImportError, Imported, MAX_REFUSALS, Refusal, csv_rows, write_csv};
pub use group_commit::{Standing, Verdict};
pub use key::{Key, KeyError, KeyFile, KeyId, KeySource, KeyText, Keyring};
pub use load::{Anchor, Changes, Position};
pub use protection::TemplateProtection;
pub use record::{MAX_REASONS, NewRecord, Record, RecordQuery, Records};
pub use register::{DEFAULT_WAIT, Register, RegisterOptions, Subjects};
pub use rekey::Rekeyed;
pub use revoke::{Erasure, Sweep, SweepPlan};
pub use stats::{Coverage, KeyStats, ModelStats, Stats};
pub use subject::{
    Consent, ConsentScope, Details, Document, Endorsement, Enrolment, MAX_LIST, MAX_TEXT, NewTemplate, Revocation,
    StoredTemplate, Subject,
};
pub use witness::{RootId, Witness, WitnessError, WitnessFile};
pub use words::{Category, Direction, DocumentKind, EndorsementKind, Entries, Nationality, Outcome, UnknownWord};
