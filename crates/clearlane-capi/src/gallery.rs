//! A gallery in memory, without a register: templates come, go, and are searched.

use std::ffi::c_char;
use std::ptr;

use clearlane::search::{Enrolment, Gallery, GalleryError, SearchOptions};
use clearlane::{Mode, ModelId, SubjectId, TemplateId};

use crate::guard::guarded;
use crate::handle::{self, Handle, close, get};
use crate::identify::clearlane_candidate;
use crate::pointer::{list, place};
use crate::port::{CLEARLANE_PARALLEL, clearlane_port_flags, clearlane_search_mode, flags, mode};
use crate::sized::{Input, input, outputs};
use crate::status::clearlane_status;
use crate::template::{clearlane_model, template, templates};

/// Templates of one model in memory. Any number of threads may use it; searches never wait for changes.
pub struct clearlane_gallery(());

struct Opened {
    gallery: Gallery,
    mode: Mode,
    parallel: bool,
}

impl Handle for Opened {
    const NAME: &'static str = "a gallery";
    type Pointer = clearlane_gallery;
}

/// What makes a gallery.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_gallery_options {
    /// sizeof(clearlane_gallery_options).
    pub size: usize,
    /// The model of its templates: that of an extractor, or what a template begins with.
    pub model: *const clearlane_model,
    /// By which contract searches may skip references.
    pub mode: clearlane_search_mode,
    /// CLEARLANE_PARALLEL or 0: all work is done on the calling thread, and none is started, so that the process may fork.
    pub flags: clearlane_port_flags,
}

// SAFETY: `repr(C)`, its size first, numbers and pointers only.
unsafe impl Input for clearlane_gallery_options {
    const NAME: &'static str = "clearlane_gallery_options";
    const LEAST: usize = size_of::<Self>();
}

/// Opens an empty gallery.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_gallery_open(
    options: *const clearlane_gallery_options,
    gallery: *mut *mut clearlane_gallery,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let gallery = place(gallery, "gallery")?;
            *gallery = ptr::null_mut();
            let given = input(options, "options")?;
            let model = input(given.model, "options.model")?;
            let mode = mode(given.mode)?;
            let parallel = flags(given.flags, CLEARLANE_PARALLEL)? != 0;
            let builder = Gallery::builder(ModelId::from_bytes(model.id), model.dimension).parallel(parallel);
            *gallery = handle::open(Opened { gallery: builder.build()?, mode, parallel })?;
            Ok(())
        })
    }
}

/// Closes a gallery and wipes its templates. Calls that are under way end as they would. NULL is passed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_gallery_close(gallery: *mut clearlane_gallery) -> clearlane_status {
    // SAFETY: null is no place for a message.
    unsafe { guarded(ptr::null_mut(), || close::<Opened>(gallery)) }
}

/// How many templates the gallery has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_gallery_count(
    gallery: *const clearlane_gallery,
    count: *mut usize,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let count = place(count, "count")?;
            *count = 0;
            *count = get::<Opened>(gallery)?.gallery.len();
            Ok(())
        })
    }
}

/// Makes room for `count` further templates: before many are inserted in parts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_gallery_reserve(
    gallery: *const clearlane_gallery,
    count: usize,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: `message` is as the head of the header asks.
    unsafe { guarded(message, || Ok(get::<Opened>(gallery)?.gallery.try_reserve(count)?)) }
}

/// Inserts `count` templates, all of them or, on an error, none: number `i` of `templates`, which has them one after the other,
/// `length` bytes in all, is `template_ids[i]` of `subjects[i]`. A subject may have several templates; a template's number is
/// used once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_gallery_insert(
    gallery: *const clearlane_gallery,
    subjects: *const u64,
    template_ids: *const u64,
    templates: *const u8,
    length: usize,
    count: usize,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let gallery = get::<Opened>(gallery)?;
            let subjects = list(subjects, count, "subjects")?;
            let ids = list(template_ids, count, "template_ids")?;
            let templates = self::templates(list(templates, length, "templates")?, count, "templates")?;
            let each = subjects.iter().zip(ids).zip(&templates);
            let enrolments = each.map(|((&subject, &id), template)| Enrolment {
                subject: SubjectId(subject),
                id: TemplateId(id),
                template,
            });
            gallery.gallery.extend(&enrolments.collect::<Vec<_>>())?;
            Ok(())
        })
    }
}

/// Takes a subject with all of its templates out. No search that starts afterwards finds it. CLEARLANE_NOT_FOUND where it has
/// none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_gallery_delete(
    gallery: *const clearlane_gallery,
    subject: u64,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: `message` is as the head of the header asks.
    unsafe {
        guarded(message, || {
            get::<Opened>(gallery)?.gallery.revoke(SubjectId(subject))?;
            Ok(())
        })
    }
}

/// Searches for the probe's `capacity` most similar subjects (1:N), whatever their scores: writes exactly as many candidates
/// where the gallery has as many subjects, and otherwise all, the best first; `count` is how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_gallery_search(
    gallery: *const clearlane_gallery,
    probe: *const u8,
    probe_length: usize,
    candidates: *mut clearlane_candidate,
    capacity: usize,
    count: *mut usize,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let count = place(count, "count")?;
            *count = 0;
            let places = outputs(candidates, capacity, "candidates")?;
            let Opened { gallery, mode, parallel } = &*get::<Opened>(gallery)?;
            let probe = template(list(probe, probe_length, "probe")?, "probe")?;
            let options = SearchOptions { mode: *mode, parallel: *parallel, ..SearchOptions::new(capacity) };
            let found = match gallery.search(&probe, &options) {
                Ok(found) => found.candidates,
                Err(GalleryError::Empty) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            for (place, found) in places.iter().zip(&found) {
                place.fill(&clearlane_candidate::new(found));
            }
            *count = found.len();
            Ok(())
        })
    }
}
