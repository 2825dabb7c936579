//! The C ABI of clearlane: `include/clearlane.h`, which is generated from this crate, and `include/clearlane.hpp`, which makes
//! C++ of it. It wraps the public Rust API and decides nothing: pointers are checked and turned into Rust values here, and no
//! panic crosses the boundary.
//!
//! Handles are looked up in a table (`handle`), structs begin with their size (`sized`), and all text that is given out is freed
//! by one function (`text`). What holds of all pointers stands at the head of the header.
// The names are those of the header, which is made from them; so are the comments, which speak as C does, and the header says
// once for all functions what holds of pointers.
#![allow(non_camel_case_types, clippy::doc_markdown, clippy::missing_safety_doc)]

mod decision;
mod enrol;
mod extractor;
mod frame;
mod gallery;
mod guard;
mod handle;
mod identify;
mod json;
mod keys;
mod lane;
mod log;
mod number;
mod picture;
mod pointer;
mod port;
mod records;
mod session;
mod sized;
mod status;
mod template;
mod text;

use std::ffi::c_char;

pub use decision::clearlane_decision;
pub use enrol::{
    CLEARLANE_ALREADY_ENROLLED, CLEARLANE_ENROLLED, CLEARLANE_REFERRED, clearlane_application, clearlane_enrol,
    clearlane_enrolment, clearlane_enrolment_outcome,
};
pub use extractor::{
    clearlane_extract, clearlane_extract_all, clearlane_extractor, clearlane_extractor_close,
    clearlane_extractor_model, clearlane_extractor_open, clearlane_extractor_options, clearlane_face,
};
pub use frame::{
    CLEARLANE_BGR8, CLEARLANE_BGRA8, CLEARLANE_BT601_FULL, CLEARLANE_BT601_LIMITED, CLEARLANE_BT709_FULL,
    CLEARLANE_BT709_LIMITED, CLEARLANE_CLOCKWISE_90, CLEARLANE_CLOCKWISE_180, CLEARLANE_CLOCKWISE_270, CLEARLANE_GRAY8,
    CLEARLANE_GRAY16, CLEARLANE_I420, CLEARLANE_NV12, CLEARLANE_P010, CLEARLANE_RGB8, CLEARLANE_RGBA8,
    CLEARLANE_UPRIGHT, CLEARLANE_UYVY, CLEARLANE_YUYV, clearlane_frame, clearlane_pixel_format, clearlane_rotation,
    clearlane_yuv_colour,
};
pub use gallery::{
    clearlane_gallery, clearlane_gallery_close, clearlane_gallery_count, clearlane_gallery_delete,
    clearlane_gallery_insert, clearlane_gallery_open, clearlane_gallery_options, clearlane_gallery_reserve,
    clearlane_gallery_search,
};
pub use identify::{
    clearlane_candidate, clearlane_doubts, clearlane_identification, clearlane_identify, clearlane_identify_options,
};
pub use keys::{clearlane_key_callback, clearlane_release_callback};
pub use lane::{
    CLEARLANE_ENTRY, CLEARLANE_EXIT, clearlane_direction, clearlane_document, clearlane_evidence, clearlane_lane,
    clearlane_lane_close, clearlane_lane_open, clearlane_pass, clearlane_passage, clearlane_verify_claim,
    clearlane_verify_document,
};
pub use log::{
    CLEARLANE_LOG_DEBUG, CLEARLANE_LOG_ERROR, CLEARLANE_LOG_INFO, CLEARLANE_LOG_TRACE, CLEARLANE_LOG_WARN,
    clearlane_log_callback, clearlane_log_level, clearlane_log_to,
};
pub use picture::{clearlane_picture, clearlane_picture_close, clearlane_picture_decode};
pub use port::{
    CLEARLANE_ADD_MODEL, CLEARLANE_ANY_WAY, CLEARLANE_AS_GIVEN, CLEARLANE_CENTRAL_FACE, CLEARLANE_CERTIFIED,
    CLEARLANE_CREATE, CLEARLANE_EXHAUSTIVE, CLEARLANE_FLIP, CLEARLANE_LARGEST_FACE, CLEARLANE_ONLY_FACE,
    CLEARLANE_PARALLEL, CLEARLANE_READ_ONLY, CLEARLANE_READ_WRITE, CLEARLANE_SKETCH, CLEARLANE_UNCHECKED,
    clearlane_access, clearlane_orientation, clearlane_port, clearlane_port_check, clearlane_port_close,
    clearlane_port_flags, clearlane_port_metrics, clearlane_port_open, clearlane_port_options, clearlane_port_poll,
    clearlane_port_prometheus, clearlane_port_refresh_every, clearlane_refresher, clearlane_refresher_close,
    clearlane_search_mode, clearlane_selection,
};
pub use records::{
    CLEARLANE_ADMIT, CLEARLANE_HTML, CLEARLANE_JSON, CLEARLANE_REFER, CLEARLANE_TEXT, clearlane_form,
    clearlane_last_record, clearlane_outcome, clearlane_print_last, clearlane_record_query, clearlane_verify_records,
};
pub use session::{
    clearlane_session, clearlane_session_close, clearlane_session_evidence, clearlane_session_finish,
    clearlane_session_frame, clearlane_session_open, clearlane_step,
};
pub use status::{
    CLEARLANE_ARGUMENT, CLEARLANE_FRAME, CLEARLANE_HANDLE, CLEARLANE_INTERNAL, CLEARLANE_NO_TEMPLATE,
    CLEARLANE_NOT_FOUND, CLEARLANE_OK, CLEARLANE_OPEN, CLEARLANE_REGISTER, CLEARLANE_SIZE, CLEARLANE_TEMPLATE,
    CLEARLANE_UNAVAILABLE, clearlane_status,
};
pub use template::{clearlane_compare, clearlane_model, clearlane_template_mean};
pub use text::clearlane_free;

/// The ABI that this header describes. Compare it with clearlane_abi_version() where the library is loaded at run time.
pub const CLEARLANE_ABI_VERSION: u32 = 1;

/// The ABI of the library. Functions, fields and numbers of one ABI stay as they are; functions, and fields at the end of
/// structs, are added.
#[unsafe(no_mangle)]
pub extern "C" fn clearlane_abi_version() -> u32 {
    CLEARLANE_ABI_VERSION
}

/// The library's version, such as "0.1.0". Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn clearlane_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
