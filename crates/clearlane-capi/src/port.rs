//! Ports: opened, followed, checked, counted, closed.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::ptr;
use std::time::Duration;

use clearlane::embed::{Detector, Selection};
use clearlane::{Mode, Orientation, Port, PortOptions, Refresher, SmallestFace};

use crate::guard::guarded;
use crate::handle::{self, Handle, close, get};
use crate::keys::{HostKeys, clearlane_key_callback, clearlane_release_callback};
use crate::number::numbers;
use crate::pointer::{optional, place, text, texts};
use crate::sized::{Input, input};
use crate::status::{CLEARLANE_OPEN, Failure, clearlane_status};
use crate::text::give;

/// How the register is opened.
pub type clearlane_access = i32;

/// For reading and writing; it must be there.
pub const CLEARLANE_READ_WRITE: clearlane_access = 0;
/// For reading only: for identification and records, not for lanes.
pub const CLEARLANE_READ_ONLY: clearlane_access = 1;
/// For reading and writing; it is made where it is missing.
pub const CLEARLANE_CREATE: clearlane_access = 2;

numbers!(
    access,
    Access,
    "an access",
    CLEARLANE_READ_WRITE = Access::ReadWrite,
    CLEARLANE_READ_ONLY = Access::ReadOnly,
    CLEARLANE_CREATE = Access::Create
);

#[derive(Clone, Copy)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
    Create,
}

/// Which face is the traveller's where a frame shows several.
pub type clearlane_selection = i32;

/// The largest.
pub const CLEARLANE_LARGEST_FACE: clearlane_selection = 0;
/// The only one; a frame with several gives no template.
pub const CLEARLANE_ONLY_FACE: clearlane_selection = 1;
/// The one nearest to the frame's centre.
pub const CLEARLANE_CENTRAL_FACE: clearlane_selection = 2;

numbers!(
    every selection, Selection, "a selection of faces",
    CLEARLANE_LARGEST_FACE = Selection::Largest,
    CLEARLANE_ONLY_FACE = Selection::Only,
    CLEARLANE_CENTRAL_FACE = Selection::Central
);

/// How frames stand.
pub type clearlane_orientation = i32;

/// As their `rotation` says.
pub const CLEARLANE_AS_GIVEN: clearlane_orientation = 0;
/// Whichever of four ways shows the surest face, at four times the cost.
pub const CLEARLANE_ANY_WAY: clearlane_orientation = 1;

numbers!(
    every orientation, Orientation, "an orientation",
    CLEARLANE_AS_GIVEN = Orientation::Given,
    CLEARLANE_ANY_WAY = Orientation::Auto
);

/// By which contract searches may skip references.
pub type clearlane_search_mode = i32;

/// On bounds that always hold: the same candidates as CLEARLANE_EXHAUSTIVE.
pub const CLEARLANE_CERTIFIED: clearlane_search_mode = 0;
/// None is skipped.
pub const CLEARLANE_EXHAUSTIVE: clearlane_search_mode = 1;
/// On statistical bounds: one miss in 1e9.
pub const CLEARLANE_SKETCH: clearlane_search_mode = 2;

numbers!(
    mode,
    Mode,
    "a search mode",
    CLEARLANE_CERTIFIED = Mode::Certified,
    CLEARLANE_EXHAUSTIVE = Mode::Exhaustive,
    CLEARLANE_SKETCH = Mode::SKETCH
);

/// Further settings of a port, an extractor or a gallery, added up.
pub type clearlane_port_flags = u32;

/// Each template is averaged with that of the mirrored face: twice the time, a little more accurate.
pub const CLEARLANE_FLIP: clearlane_port_flags = 1;
/// A register that holds templates of other models alone is taken.
pub const CLEARLANE_ADD_MODEL: clearlane_port_flags = 2;
/// The register is not checked when it is opened: lanes refer everybody until clearlane_port_check().
pub const CLEARLANE_UNCHECKED: clearlane_port_flags = 4;
/// One search uses all processors. Without it several lanes share them best, and a gallery starts no thread.
pub const CLEARLANE_PARALLEL: clearlane_port_flags = 8;

const FLAGS: clearlane_port_flags = CLEARLANE_FLIP | CLEARLANE_ADD_MODEL | CLEARLANE_UNCHECKED | CLEARLANE_PARALLEL;

/// An opened port: models, register, gallery, rules and counters, which all of its lanes share. Any thread may use it.
pub struct clearlane_port(());

impl Handle for Port {
    const NAME: &'static str = "a port";
    type Pointer = clearlane_port;
}

/// The files and names that make a port. Everything but `size` and `register_path` may be zero, which means the default.
///
/// Presentation attack detection (PAD) averages the scores of its models. Where there is none it is not assessed, and a policy
/// that requires it refers everybody.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_port_options {
    /// sizeof(clearlane_port_options).
    pub size: usize,
    /// The register's file.
    pub register_path: *const c_char,
    /// The file with the register's keys, 64 hexadecimal digits a line, the current one first. NULL: see `keys`.
    pub key_file: *const c_char,
    /// The register's keys from the host; instead of `key_file`.
    pub keys: clearlane_key_callback,
    /// What `keys` and `keys_release` get; it is used from any thread.
    pub keys_user: *mut c_void,
    /// Called when `keys_user` is not used any more; may be NULL.
    pub keys_release: clearlane_release_callback,
    /// A file outside of the register that remembers its newest state, so that an older register in its place is refused; it
    /// is made where it is missing. NULL: none.
    pub witness_path: *const c_char,
    /// The rules. NULL: none; such a port has no lanes and enrols nobody.
    pub policy_path: *const c_char,
    /// Which of the policy's ports it is. NULL: its only one.
    pub port: *const c_char,
    /// Folders of models beside those compiled in.
    pub model_folders: *const *const c_char,
    /// How many.
    pub model_folder_count: usize,
    /// The detector by name. NULL: the first available.
    pub detector: *const c_char,
    /// The embedder by name. NULL: the first available.
    pub embedder: *const c_char,
    /// The models for PAD by name.
    pub pad: *const *const c_char,
    /// How many; 0: all available.
    pub pad_count: usize,
    /// The public key (PEM file) of the issuer whose claims are believed. NULL: nobody's.
    pub claim_issuer: *const c_char,
    /// How the register is opened.
    pub access: clearlane_access,
    /// Which face is the traveller's where a frame shows several.
    pub selection: clearlane_selection,
    /// By which contract searches may skip references.
    pub mode: clearlane_search_mode,
    /// Further settings.
    pub flags: clearlane_port_flags,
    /// How frames stand.
    pub orientation: clearlane_orientation,
    /// The smallest face that counts: pixels from 1 on, or a share of the frame's shorter side below 1. 0: a tenth with a policy,
    /// a twentieth without.
    pub smallest_face: f32,
    /// The longer side of the detector's input in pixels, 32 to 4096. 0: the model's own.
    pub detector_size: u32,
    /// Zero.
    pub reserved: u32,
    /// The file that keeps the gallery's rows, so that only codes take memory; it is made where it is missing or does not fit. NULL: rows
    /// are in memory.
    pub gallery_path: *const c_char,
}

// SAFETY: `repr(C)`, its size first, numbers, pointers and callbacks that may be null only.
unsafe impl Input for clearlane_port_options {
    const NAME: &'static str = "clearlane_port_options";
    const LEAST: usize = offset_of!(Self, key_file);
}

/// Opens a port: loads the models and the references and checks the register, which takes seconds for a million.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_port_open(
    options: *const clearlane_port_options,
    port: *mut *mut clearlane_port,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            // Read first, so that whatever goes wrong afterwards releases them.
            let given = input(options, "options")?;
            let keys = HostKeys::new(given.keys, given.keys_user, given.keys_release)?;
            let port = place(port, "port")?;
            *port = ptr::null_mut();
            let opened = Port::open(settings(&given, keys)?).map_err(|error| Failure::new(CLEARLANE_OPEN, error))?;
            *port = handle::open(opened)?;
            Ok(())
        })
    }
}

/// # Safety
/// The strings of `given` are as the head of the header asks.
unsafe fn settings(given: &clearlane_port_options, keys: Option<HostKeys>) -> Result<PortOptions, Failure> {
    // SAFETY: the caller's promise about each string.
    unsafe {
        let mut options = PortOptions::new(text(given.register_path, "register_path")?)
            .pad(texts(given.pad, given.pad_count, "pad")?)
            .selection(selection(given.selection)?)
            .orientation(orientation(given.orientation)?)
            .mode(mode(given.mode)?);
        options = match access(given.access)? {
            Access::ReadWrite => options,
            Access::ReadOnly => options.read_only(),
            Access::Create => options.create(),
        };
        options = match (optional(given.key_file, "key_file")?, keys) {
            (Some(_), Some(_)) => {
                return Err(Failure::argument("both `key_file` and `keys` are given: expected one of them"));
            }
            (Some(path), None) => options.key_file(path),
            (None, Some(keys)) => options.keys(keys),
            (None, None) => options,
        };
        if let Some(path) = optional(given.witness_path, "witness_path")? {
            options = options.witness(path);
        }
        if let Some(path) = optional(given.gallery_path, "gallery_path")? {
            options = options.gallery_file(path);
        }
        if let Some(path) = optional(given.policy_path, "policy_path")? {
            options = options.policy_file(path);
        }
        if let Some(port) = optional(given.port, "port")? {
            options = options.port(port.parse().map_err(Failure::argument)?);
        }
        for folder in texts(given.model_folders, given.model_folder_count, "model_folders")? {
            options = options.models(folder);
        }
        if let Some(name) = optional(given.detector, "detector")? {
            options = options.detector(name);
        }
        if let Some(name) = optional(given.embedder, "embedder")? {
            options = options.embedder(name);
        }
        if given.smallest_face != 0.0 {
            options = options.smallest_face(smallest_face(given.smallest_face)?);
        }
        if given.detector_size != 0 {
            options = options.detector_size(input_side(given.detector_size)?);
        }
        if let Some(path) = optional(given.claim_issuer, "claim_issuer")? {
            options = options.claim_issuer(path);
        }
        let given = flags(given.flags, FLAGS)?;
        let set = |flag| given & flag != 0;
        Ok(options
            .flip(set(CLEARLANE_FLIP))
            .add_model(set(CLEARLANE_ADD_MODEL))
            .check(!set(CLEARLANE_UNCHECKED))
            .parallel(set(CLEARLANE_PARALLEL)))
    }
}

/// Flags of those that are meant for what they are given to.
pub(crate) fn flags(given: clearlane_port_flags, known: clearlane_port_flags) -> Result<clearlane_port_flags, Failure> {
    match given & !known {
        0 => Ok(given),
        unknown => Err(Failure::argument(format!("`flags` has some that are unknown here: {unknown:#x}"))),
    }
}

pub(crate) fn smallest_face(size: f32) -> Result<SmallestFace, Failure> {
    let refused = || format!("expected a `smallest_face` of 1 or more, or a share above 0 and below 1, got {size}");
    SmallestFace::from_number(size).ok_or_else(|| Failure::argument(refused()))
}

pub(crate) fn input_side(pixels: u32) -> Result<usize, Failure> {
    let side = usize::try_from(pixels).ok().filter(|side| Detector::INPUT_SIZES.contains(side));
    side.ok_or_else(|| Failure::argument(format!("expected a `detector_size` of 32 to 4096, got {pixels}")))
}

/// Closes a port. Its lanes and sessions go on: each keeps what it needs. NULL is passed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_port_close(port: *mut clearlane_port) -> clearlane_status {
    // SAFETY: null is no place for a message.
    unsafe { guarded(ptr::null_mut(), || close::<Port>(port)) }
}

/// Brings in what this or another process changed in the register. Call it every second or so, from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_port_poll(
    port: *const clearlane_port,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: `message` is as the head of the header asks.
    unsafe {
        guarded(message, || {
            get::<Port>(port)?.poll()?;
            Ok(())
        })
    }
}

/// Checks the whole register. Until a check finds it sound, lanes refer everybody.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_port_check(
    port: *const clearlane_port,
    sound: *mut bool,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let sound = place(sound.cast::<u8>(), "sound")?;
            *sound = 0;
            let port = get::<Port>(port)?;
            port.check(|_, _| {})?;
            *sound = port.is_sound().into();
            Ok(())
        })
    }
}

/// What the port's lanes counted and how long their stages took, as JSON, freed by clearlane_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_port_metrics(
    port: *const clearlane_port,
    json: *mut *mut c_char,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let json = place(json, "json")?;
            *json = ptr::null_mut();
            let metrics = get::<Port>(port)?.metrics().snapshot();
            *json = give(&serde_json::to_string(&metrics).map_err(Failure::internal)?);
            Ok(())
        })
    }
}

/// What the port's lanes counted, and what is known of the port, in Prometheus' text format (version 0.0.4), freed by
/// clearlane_free(): what an endpoint of the host's answers. It asks nothing of the register's file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_port_prometheus(
    port: *const clearlane_port,
    text: *mut *mut c_char,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let text = place(text, "text")?;
            *text = ptr::null_mut();
            *text = give(&get::<Port>(port)?.to_prometheus());
            Ok(())
        })
    }
}

/// A thread that polls a port.
pub struct clearlane_refresher(());

impl Handle for Refresher {
    const NAME: &'static str = "a refresher";
    type Pointer = clearlane_refresher;
}

/// The shortest time between two polls of a refresher.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// Polls the port on a thread of its own, each `period_us` microseconds (1000 or more), until the refresher, or the port and all
/// that came of it, is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_port_refresh_every(
    port: *const clearlane_port,
    period_us: u64,
    refresher: *mut *mut clearlane_refresher,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let refresher = place(refresher, "refresher")?;
            *refresher = ptr::null_mut();
            let (port, period) = (get::<Port>(port)?, Duration::from_micros(period_us));
            if period < SHORTEST_PERIOD {
                return Err(Failure::argument(format!("expected a `period_us` of 1000 or more, got {period_us}")));
            }
            *refresher = handle::open(port.refresh_every(period).map_err(Failure::internal)?)?;
            Ok(())
        })
    }
}

/// Ends a refresher and waits for its thread. Not to be called from a callback. NULL is passed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_refresher_close(refresher: *mut clearlane_refresher) -> clearlane_status {
    // SAFETY: null is no place for a message.
    unsafe { guarded(ptr::null_mut(), || close::<Refresher>(refresher)) }
}
