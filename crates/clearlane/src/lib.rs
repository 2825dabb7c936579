//! The lane: who stands there, may they pass, and the reasons if not.
//!
//! Gate software depends on this crate alone and only has to open the doors. A [`Lane`] takes the frames of one passage and
//! answers [`Decision::Admit`] or [`Decision::Refer`] with every [`Reason`] as data; each passage is recorded before it is
//! answered. The rules are a [`Policy`] file; who is enrolled is in the register that [`References`] follow.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use clearlane::{Decision, Direction, LaneFiles};
//! use clearlane_embed::{DecodeLimits, Frame};
//!
//! let lane = LaneFiles {
//!     register: "port.register".into(),
//!     keys: "register.key".into(),
//!     witness: Some("/srv/witness/port.roots".into()),
//!     policy: "policies/shenzhen-bay-and-gongbei.toml".into(),
//!     models: Some("models".into()),
//!     detector: None,
//!     embedder: None,
//!     pad: Vec::new(),
//!     claim_issuer: None,
//!     port: "shenzhen-bay".parse()?,
//!     direction: Direction::Exit,
//!     name: "lane 1".to_owned(),
//! }
//! .open(|_, _| {})?;
//!
//! let frame = Frame::open("traveller.jpg", &DecodeLimits::default())?;
//! let passage = lane.pass(&[frame], &[], Some(Duration::from_millis(500)));
//! match passage.decision {
//!     Decision::Admit { subject } => println!("subject {subject} may pass"),
//!     Decision::Refer { reasons, .. } => println!("to an officer: {reasons:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Keys, templates and faces are wiped after use, yet a crash may come before: a host turns core dumps off for its process
//! (`RLIMIT_CORE` of 0 and, on Linux, `PR_SET_DUMPABLE` of 0), as the `clearlane` command does, and may take
//! `clearlane_embed::WipingAllocator` as its allocator, which wipes what decoders of pictures and other libraries free.
#![forbid(unsafe_code)]

mod capture;
mod claim;
mod compare;
mod decision;
mod eligibility;
mod enrol;
mod evidence;
mod lane;
mod metrics;
mod open;
mod policy;
mod port;
mod print;
mod proof;
mod reason;
mod references;
pub mod simulate;
mod threshold;
mod upgrade;

pub use capture::Capture;
pub use claim::{
    Claim, ClaimIssuer, ClaimKeyError, ClaimRefusal, ClaimVerifier, IssueError, MAX_CLAIM_LIFETIME, MAX_CLAIM_PORTS,
    MAX_READ_STEPS, QrError, ReadBudget, ReadStopped, SignedClaim, read_claim_text,
};
pub use clearlane_store::Direction;
pub use clearlane_template::SubjectId;
pub use compare::{Identification, IdentifyOptions, Verification, verify};
pub use decision::{Comparison, Decision, Passage, StageTimes};
pub use enrol::{
    Application, BulkProgress, BulkReport, BulkStop, EnrolError, Enroller, EnrolmentOutcome, Picture, Reembedder,
    Unfinished,
};
pub use evidence::Evidence;
pub use lane::{Lane, LaneBuilder, LaneError, ShownDocument};
pub use metrics::{Latency, Metrics, MetricsSnapshot};
pub use open::{LaneFiles, OpenError};
pub use policy::{Modality, Place, Policy, PolicyError, PolicyProblem};
pub use port::{ParsePortIdError, Port, PortId};
pub use print::{PrintedPort, PrintedRecord};
pub use reason::{Language, Reason};
pub use references::{References, ReferencesError, Refreshed};
pub use threshold::{Calibration, CalibrationError, CalibrationPoint, CalibrationShortfall, fmr_for_fpir};
pub use upgrade::{ChoiceError, ChoiceReason, ModelChoice};
