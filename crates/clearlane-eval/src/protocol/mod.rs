//! The files in which public data sets say what is to be compared: text in, [`Captures`] and their comparisons out.
//!
//! | data set | its file | read by |
//! |---|---|---|
//! | LFW | `pairs.txt` | [`PairList`], and with errata and 1:N [`crate::lfw`] |
//! | CFP-FP, CFP-FF | `Protocol/` | [`cfp_pairs`] |
//! | AgeDB-30 and others | a line a pair, `LABEL LEFT RIGHT` or `LEFT RIGHT LABEL` | [`PairList`] |
//! | CALFW, CPLFW | `pairs_CALFW.txt`, `pairs_CPLFW.txt`: two lines a pair | [`PairList`] |
//! | insightface's validation sets | `lfw.bin`, `cfp_fp.bin`, `agedb_30.bin` | [`Packed`] |
//! | RFW | `txts/ETHNICITY/ETHNICITY_pairs.txt` | [`rfw_pairs`] |
//! | IJB-B, IJB-C | `face_tid_mid`, `template_pair_label`; 1:N `gallery_G1.csv`, `probe_mixed.csv` | [`TemplateList`] |
//! | your own | CSV with label columns | [`Table`] |
//!
//! Nothing here takes more memory than a small multiple of the text that it is given, whatever that says.

mod cfp;
mod labelled;
mod lines;
mod list;
mod numbered;
mod packed;
mod pairs;
mod rfw;
mod table;
mod template_subjects;
mod templates;
mod two_lines;

pub use cfp::{CfpSplit, cfp_pairs};
pub use lines::ListError;
pub use list::{ListFormat, PairList};
pub use packed::{Packed, PackedError, PackedPicture};
pub use pairs::{CapturePair, PairTest};
pub use rfw::rfw_pairs;
pub use table::{Role, Table, TableError};
pub use template_subjects::TemplateSubject;
pub use templates::{MediaTemplate, TemplateList, TemplatePair};

#[cfg(doc)]
use crate::Captures;
