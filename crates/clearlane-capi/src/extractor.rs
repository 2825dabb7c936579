//! From frames to templates, without a port.

use std::ffi::c_char;
use std::ptr;

use clearlane::embed::{ExtractError, Extraction, ModelError, Models};
use clearlane::{Extractor, Rotation, Template};

use crate::frame::{
    CLEARLANE_CLOCKWISE_90, CLEARLANE_CLOCKWISE_180, CLEARLANE_CLOCKWISE_270, CLEARLANE_UPRIGHT, clearlane_frame,
    clearlane_rotation, frame,
};
use crate::guard::guarded;
use crate::handle::{self, Handle, close, get};
use crate::pointer::{buffer, optional, place, texts};
use crate::port::{
    CLEARLANE_FLIP, clearlane_orientation, clearlane_port_flags, clearlane_selection, flags, input_side, orientation,
    selection, smallest_face,
};
use crate::sized::{Input, Output, input, output, outputs};
use crate::status::{CLEARLANE_INTERNAL, CLEARLANE_NO_TEMPLATE, CLEARLANE_OPEN, Failure, clearlane_status};
use crate::template::{clearlane_model, write};
use crate::text::give;

/// Models that make templates of frames. Any number of threads may use it; it starts none.
pub struct clearlane_extractor(());

impl Handle for Extractor {
    const NAME: &'static str = "an extractor";
    type Pointer = clearlane_extractor;
}

/// What makes an extractor. Everything but `size` may be zero, which means the default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_extractor_options {
    /// sizeof(clearlane_extractor_options).
    pub size: usize,
    /// Folders of models beside those compiled in.
    pub model_folders: *const *const c_char,
    /// How many.
    pub model_folder_count: usize,
    /// The detector by name. NULL: the first available.
    pub detector: *const c_char,
    /// The embedder by name. NULL: the first available.
    pub embedder: *const c_char,
    /// Whose face clearlane_extract() takes where a frame shows several.
    pub selection: clearlane_selection,
    /// How frames stand.
    pub orientation: clearlane_orientation,
    /// The smallest face that counts: pixels from 1 on, or a share of the frame's shorter side below 1. 0: a twentieth.
    pub smallest_face: f32,
    /// The longer side of the detector's input in pixels, 32 to 4096. 0: the model's own.
    pub detector_size: u32,
    /// CLEARLANE_FLIP or 0.
    pub flags: clearlane_port_flags,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_extractor_options {
    const NAME: &'static str = "clearlane_extractor_options";
    const LEAST: usize = size_of::<Self>();
}

/// A face that a template was made of. Coordinates are pixels of the upright picture, to the right and down, the centre of the
/// first pixel at 0. Free its `json` with clearlane_free().
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_face {
    /// sizeof(clearlane_face), set by the caller in the first of an array.
    pub size: usize,
    /// Its box: left, upper, right and lower edge. It may reach beyond the frame.
    pub edges: [f32; 4],
    /// Eyes, nose tip and mouth corners, x and y of each; of each pair the one on the left of the picture first.
    pub landmarks: [f32; 10],
    /// The detector's score, 0 to 1.
    pub score: f32,
    /// The part of the box that is outside of the frame, 0 to 1; 1 where a landmark is outside.
    pub outside: f32,
    /// By how much the frame was turned to stand upright.
    pub rotation: clearlane_rotation,
    /// How many faces the frame shows.
    pub faces: u32,
    /// The 28 quality components of ISO/IEC 29794-5 by name, each with its value in its own unit, `native`, and its component
    /// value, `value`, 0 (worst) to 100; null for those that are not assessed, of which the unified score is one.
    pub json: *mut c_char,
}

// SAFETY: `repr(C)` and its size first.
unsafe impl Output for clearlane_face {
    const NAME: &'static str = "clearlane_face";
    const LEAST: usize = size_of::<Self>();
}

/// Opens an extractor: loads its models, which takes some 0.1 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_extractor_open(
    options: *const clearlane_extractor_options,
    extractor: *mut *mut clearlane_extractor,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let extractor = place(extractor, "extractor")?;
            *extractor = ptr::null_mut();
            *extractor = handle::open(made(&input(options, "options")?)?)?;
            Ok(())
        })
    }
}

/// # Safety
/// The strings of `given` are as the head of the header asks.
unsafe fn made(given: &clearlane_extractor_options) -> Result<Extractor, Failure> {
    let refused = |error: ModelError| Failure::new(CLEARLANE_OPEN, error);
    // SAFETY: the caller's promise about each string.
    let (folders, detector, embedder) = unsafe {
        (
            texts(given.model_folders, given.model_folder_count, "model_folders")?,
            optional(given.detector, "detector")?,
            optional(given.embedder, "embedder")?,
        )
    };
    let (selection, orientation) = (selection(given.selection)?, orientation(given.orientation)?);
    let flip = flags(given.flags, CLEARLANE_FLIP)? != 0;
    let mut models = Models::builtin().map_err(refused)?;
    folders.into_iter().try_for_each(|folder| models.add_folder(folder)).map_err(refused)?;
    let detector = detector.map_or_else(|| models.default_detector(), Ok).and_then(|name| models.detector(name));
    let mut detector = detector.map_err(refused)?;
    if given.detector_size != 0 {
        detector = detector.with_input_size(input_side(given.detector_size)?).map_err(refused)?;
    }
    if given.smallest_face != 0.0 {
        detector = detector.with_smallest_face(smallest_face(given.smallest_face)?);
    }
    let embedder = embedder.map_or_else(|| models.default_embedder(), Ok).and_then(|name| models.embedder(name));
    let embedder = embedder.map_err(refused)?.with_flip(flip);
    let extractor = Extractor::new(detector, embedder).with_selection(selection).with_orientation(orientation);
    Ok(match models.any_occlusion().map_err(refused)? {
        Some(occlusion) => extractor.with_occlusion(occlusion),
        None => extractor,
    })
}

/// Closes an extractor. Calls that are under way end as they would. NULL is passed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_extractor_close(extractor: *mut clearlane_extractor) -> clearlane_status {
    // SAFETY: null is no place for a message.
    unsafe { guarded(ptr::null_mut(), || close::<Extractor>(extractor)) }
}

/// What the extractor's templates are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_extractor_model(
    extractor: *const clearlane_extractor,
    model: *mut clearlane_model,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let model = output(model, "model")?;
            let extractor = get::<Extractor>(extractor)?;
            let (id, dimension) = (extractor.embedder().model_id(), extractor.embedder().dimension());
            model.fill(&clearlane_model {
                size: size_of::<clearlane_model>(),
                dimension,
                template_length: Template::byte_length(dimension),
                id: *id.as_bytes(),
            });
            Ok(())
        })
    }
}

/// Makes the template of the selected face of a frame, in `bytes`, which has room for exactly one, `length` bytes.
/// CLEARLANE_NO_TEMPLATE where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_extract(
    extractor: *const clearlane_extractor,
    frame: *const clearlane_frame,
    face: *mut clearlane_face,
    bytes: *mut u8,
    length: usize,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let face = output(face, "face")?;
            let bytes = buffer(bytes, length, "bytes")?;
            let extractor = get::<Extractor>(extractor)?;
            room(&extractor, bytes, 1)?;
            let extraction = extractor.extract(&self::frame(frame, "frame")?).map_err(no_template)?;
            write(&extraction.template, bytes, "bytes")?;
            face.fill(&seen(&extraction)?);
            Ok(())
        })
    }
}

/// Makes the templates of all faces of a frame, up to `capacity`, the largest first, whatever the extractor's selection;
/// `count` is how many. Faces that are cut by the border or not upright are left out. `bytes` has room for exactly `capacity`
/// templates, `length` bytes in all, and gets them one after the other.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "each is one thing of C's")]
pub unsafe extern "C" fn clearlane_extract_all(
    extractor: *const clearlane_extractor,
    frame: *const clearlane_frame,
    faces: *mut clearlane_face,
    bytes: *mut u8,
    length: usize,
    capacity: usize,
    count: *mut usize,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let count = place(count, "count")?;
            *count = 0;
            let extractor = get::<Extractor>(extractor)?;
            let bytes = buffer(bytes, length, "bytes")?;
            room(&extractor, bytes, capacity)?;
            let places = outputs(faces, capacity, "faces")?;
            let found = extractor.extract_all(&self::frame(frame, "frame")?, capacity).map_err(no_template)?;
            let one = Template::byte_length(extractor.embedder().dimension());
            for (extraction, bytes) in found.iter().zip(bytes.chunks_exact_mut(one)) {
                write(&extraction.template, bytes, "bytes")?;
            }
            let seen = found.iter().map(seen).collect::<Result<Vec<_>, _>>()?;
            places.iter().zip(&seen).for_each(|(place, seen)| place.fill(seen));
            *count = seen.len();
            Ok(())
        })
    }
}

/// That `bytes` are `count` templates: before the work, not after it.
fn room(extractor: &Extractor, bytes: &[u8], count: usize) -> Result<(), Failure> {
    let one = Template::byte_length(extractor.embedder().dimension());
    if one.checked_mul(count) == Some(bytes.len()) {
        return Ok(());
    }
    let message = format!("expected a `length` of {count} times {one} bytes, got {}", bytes.len());
    Err(Failure::argument(message))
}

fn seen(extraction: &Extraction) -> Result<clearlane_face, Failure> {
    let Extraction { face, .. } = extraction;
    let edges = face.bounding_box;
    let mut landmarks = [0.0; 10];
    for (pair, point) in landmarks.as_chunks_mut().0.iter_mut().zip(&face.landmarks) {
        *pair = [point.x, point.y];
    }
    Ok(clearlane_face {
        size: size_of::<clearlane_face>(),
        edges: [edges.x0, edges.y0, edges.x1, edges.y1],
        landmarks,
        score: face.score,
        outside: extraction.outside,
        rotation: match extraction.rotation {
            Rotation::None => CLEARLANE_UPRIGHT,
            Rotation::Clockwise90 => CLEARLANE_CLOCKWISE_90,
            Rotation::Clockwise180 => CLEARLANE_CLOCKWISE_180,
            Rotation::Clockwise270 => CLEARLANE_CLOCKWISE_270,
        },
        faces: u32::try_from(extraction.faces).unwrap_or(u32::MAX),
        json: give(&serde_json::to_string(&extraction.quality).map_err(Failure::internal)?),
    })
}

/// The picture's fault, or the model's.
fn no_template(error: ExtractError) -> Failure {
    let status = match error {
        ExtractError::Model(_) | ExtractError::Template(_) => CLEARLANE_INTERNAL,
        _ => CLEARLANE_NO_TEMPLATE,
    };
    Failure::new(status, error)
}
