//! The lane: who stands there, may they pass, and the reasons if not.
//!
//! Gate software depends on this crate alone and only has to open the doors. A [`Lane`] of a [`Port`] takes the frames of one passage and
//! answers [`Decision::Admit`] or [`Decision::Refer`] with every [`Reason`] as data; each passage is recorded before it is
//! answered. The rules are a [`Policy`] file; who is enrolled is in the register that [`References`] follow.
//!
//! ```no_run
//! use clearlane::{DecodeLimits, Decision, Direction, Frame, Port, PortOptions};
//!
//! let options = PortOptions::new("port.register")
//!     .key_file("register.key")
//!     .witness("/srv/witness/port.roots")
//!     .policy_file("policies/shenzhen-bay-and-gongbei.toml")
//!     .port("shenzhen-bay".parse()?);
//! let port = Port::open(options)?;
//! let lane = port.lane("lane 1", Direction::Exit)?;
//!
//! let frame = Frame::open("traveller.jpg", &DecodeLimits::default())?;
//! let passage = lane.pass(&[frame], &[], None);
//! match passage.decision {
//!     Decision::Admit { subject } => println!("subject {subject} may pass"),
//!     Decision::Refer { reasons, .. } => println!("to an officer: {reasons:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Port`] holds one gallery, which all of its lanes share; a camera's frames go to a [`PassageSession`] one by one. What the
//! lower crates offer beside that is in [`embed`], [`search`] and [`store`].
//!
//! Keys, templates and faces are wiped after use, yet a crash may come before: a host turns core dumps off for its process
//! (`RLIMIT_CORE` of 0 and, on Linux, `PR_SET_DUMPABLE` of 0), as the `clearlane` command does, and may take
//! [`WipingAllocator`] as its allocator, which wipes what decoders of pictures and other libraries free.
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
mod policy;
mod port;
mod print;
mod proof;
mod reason;
mod references;
mod remote;
mod threshold;
mod upgrade;

pub use capture::Capture;
pub use claim::{
    Claim, ClaimIssuer, ClaimKeyError, ClaimRefusal, ClaimVerifier, IssueError, MAX_CLAIM_LIFETIME, MAX_CLAIM_PORTS,
    MAX_READ_STEPS, QrError, ReadBudget, ReadStopped, SignedClaim, read_claim_text,
};
pub use clearlane_embed::{
    self as embed, DecodeError, DecodeLimits, Extractor, Frame, FrameError, Orientation, ParsePopulationError,
    PixelFormat, Pixels, Population, Rotation, Selection, SmallestFace, WipingAllocator, YuvColour,
};
pub use clearlane_match::{self as search, Mode};
pub use clearlane_store::{self as store, Direction, Key, KeyFile, KeySource, Keyring, Register};
pub use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
pub use compare::{Identification, IdentifyOptions, Verification, verify};
pub use decision::{Comparison, Decision, Passage, StageTimes};
pub use enrol::{
    Application, BulkProgress, BulkReport, BulkStop, EnrolError, Enroller, EnrolmentOutcome, MadeTemplate,
    MadeTemplates, Picture, Reembedder, TemplateMaker, Unfinished, UnusedPicture,
};
pub use evidence::Evidence;
pub use jiff;
pub use lane::{Guidance, Lane, LaneError, PassageSession, PassageStep, ShownDocument};
pub use metrics::{Latency, Metrics, MetricsSnapshot};
pub use policy::{
    Modality, NotAssessed, ParsePortIdError, Place, Policy, PolicyError, PolicyProblem, PortEntry, PortId,
};
pub use port::{IdentifyError, OpenError, OpenStage, Port, PortBuilder, PortError, PortOptions, Records, Refresher};
pub use print::{PrintedPort, PrintedRecord};
pub use reason::{Language, Reason};
pub use references::{References, ReferencesError, Refreshed};
pub use remote::{RemoteAnswer, RemoteGallery, RemoteIncomplete, RemoteQuestion};
pub use threshold::{
    Calibration, CalibrationError, CalibrationPoint, CalibrationShortfall, MissingPopulation, PopulationCalibration,
    fmr_for_fpir,
};
pub use upgrade::{ChoiceError, ChoiceReason, ModelChoice};
