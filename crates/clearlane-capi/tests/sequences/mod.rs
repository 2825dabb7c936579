//! The C ABI by sequences of calls that bytes choose: with handles that are open, closed, of another kind and made up, and with lengths
//! that are right and wrong. It is included by the wrapper for libFuzzer too.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut, without_provenance_mut};

use clearlane_capi::*;

/// Values of a template, and bytes of one.
const DIMENSION: usize = 8;
const TEMPLATE: usize = 32 + 4 * DIMENSION;

/// Bytes that are read from the front; 0 after the last.
struct Steer<'b>(&'b [u8]);

impl Steer<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    /// What is right mostly, and else another number of at most `most`.
    fn about(&mut self, right: usize, most: usize) -> usize {
        match self.below(12) {
            0 => self.below(most + 1),
            1 => right.saturating_sub(1),
            2 => (right + 1).min(most),
            _ => right,
        }
    }
}

/// A struct with memory behind it, which a wrong size says is part of it.
#[repr(C)]
struct Roomy<T> {
    value: T,
    more: [u64; 4],
}

impl<T> Roomy<T> {
    fn zeroed() -> Self {
        // SAFETY: the structs of the header are numbers and pointers, of which all may be zero.
        unsafe { std::mem::zeroed() }
    }

    fn size(steer: &mut Steer<'_>) -> usize {
        steer.about(size_of::<T>(), size_of::<Self>())
    }
}

/// What is open, and what was.
struct Session<'b> {
    steer: Steer<'b>,
    /// Every handle that was given out, of any kind, open or closed.
    handles: Vec<*mut c_void>,
    /// The templates of the open galleries, with their subjects.
    galleries: BTreeMap<usize, BTreeMap<u64, u64>>,
    pictures: BTreeSet<usize>,
}

/// Calls what the bytes choose, until they end. Every call returns a status that the header has, with a message where it failed and with
/// none where it did not; galleries count what was put into them; and what is open at the end can be closed once.
pub(crate) fn c_abi(bytes: &[u8]) {
    let mut session =
        Session { steer: Steer(bytes), handles: Vec::new(), galleries: BTreeMap::new(), pictures: BTreeSet::new() };
    for _ in 0..60 {
        if session.steer.0.is_empty() {
            break;
        }
        session.call();
    }
    for gallery in session.galleries.into_keys() {
        // SAFETY: a handle may be any pointer.
        assert_eq!(unsafe { clearlane_gallery_close(without_provenance_mut(gallery)) }, CLEARLANE_OK);
    }
    for picture in session.pictures {
        // SAFETY: as above.
        assert_eq!(unsafe { clearlane_picture_close(without_provenance_mut(picture)) }, CLEARLANE_OK);
    }
}

/// Whether a call did what it should; its message is as its status says.
fn said(status: clearlane_status, message: *mut c_char) -> bool {
    assert!((CLEARLANE_OK..=CLEARLANE_TEMPLATE).contains(&status) && status != CLEARLANE_INTERNAL, "status {status}");
    assert_eq!(message.is_null(), status == CLEARLANE_OK, "status {status}");
    if !message.is_null() {
        // SAFETY: a message is a text that ends with a zero, and lives until it is freed, which is done once.
        let long = unsafe { CStr::from_ptr(message) }.to_str().unwrap().len() >= 10;
        // SAFETY: as above.
        unsafe { clearlane_free(message.cast()) };
        assert!(long);
    }
    status == CLEARLANE_OK
}

impl Session<'_> {
    /// Any handle at all.
    fn handle<T>(&mut self) -> *mut T {
        match self.steer.below(10) {
            0 => null_mut(),
            1 => without_provenance_mut(self.steer.below(256)),
            2 => without_provenance_mut(usize::MAX - self.steer.below(16)),
            _ if self.handles.is_empty() => null_mut(),
            _ => self.handles[self.steer.below(self.handles.len())].cast(),
        }
    }

    /// A handle that is mostly an open gallery's.
    fn gallery(&mut self) -> *mut clearlane_gallery {
        if self.galleries.is_empty() || self.steer.below(8) == 0 {
            return self.handle();
        }
        let at = self.steer.below(self.galleries.len());
        without_provenance_mut(*self.galleries.keys().nth(at).unwrap())
    }

    /// Templates of one model, some of which are none.
    fn templates(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let model = u8::from(self.steer.below(16) == 0);
            bytes.extend([model; 32]);
            let (at, sign) = (self.steer.below(DIMENSION), if self.steer.below(2) == 0 { 1.0_f32 } else { -1.0 });
            let value = if self.steer.below(24) == 0 { f32::NAN } else { sign };
            for index in 0..DIMENSION {
                bytes.extend(if index == at { value } else { 0.0 }.to_le_bytes());
            }
        }
        bytes
    }

    fn call(&mut self) {
        match self.steer.below(14) {
            0 => self.open_gallery(),
            1..=3 => self.insert(),
            4 => self.delete(),
            5 | 6 => self.search(),
            7 => self.count(),
            8 => self.compare(),
            9 => self.mean(),
            10 => self.decode(),
            11 => self.close(),
            12 => self.reserve(),
            _ => self.call_with_any_handle(),
        }
    }

    fn open_gallery(&mut self) {
        let mut model = Roomy::<clearlane_model>::zeroed();
        model.value.size = Roomy::<clearlane_model>::size(&mut self.steer);
        model.value.dimension = match self.steer.below(8) {
            0 => usize::MAX >> self.steer.below(64),
            1 => self.steer.below(2),
            _ => DIMENSION,
        };
        let mut options = Roomy::<clearlane_gallery_options>::zeroed();
        options.value.size = Roomy::<clearlane_gallery_options>::size(&mut self.steer);
        options.value.model = if self.steer.below(16) == 0 { null() } else { &raw const model.value };
        options.value.mode = self.steer.about(self.steer.0.len() % 3, 255) as _;
        options.value.flags = if self.steer.below(8) == 0 { u32::from(self.steer.byte()) } else { 0 };
        let (mut gallery, mut message) = (null_mut(), null_mut());
        // SAFETY: the structs are longer than any size that was given, and what they point to lives as long as the call.
        let status = unsafe { clearlane_gallery_open((&raw const options).cast(), &raw mut gallery, &raw mut message) };
        assert_eq!(gallery.is_null(), !said(status, message));
        if !gallery.is_null() && model.value.dimension == DIMENSION {
            self.galleries.insert(gallery.addr(), BTreeMap::new());
        } else if !gallery.is_null() {
            // SAFETY: a handle may be any pointer.
            assert_eq!(unsafe { clearlane_gallery_close(gallery) }, CLEARLANE_OK);
        }
        self.handles.push(gallery.cast());
    }

    fn insert(&mut self) {
        let gallery = self.gallery();
        let real = self.steer.below(4);
        let templates = self.templates(real);
        let subjects: Vec<u64> = (0..real).map(|_| self.steer.below(6) as u64).collect();
        let ids: Vec<u64> = (0..real).map(|_| u64::from(self.steer.byte())).collect();
        let (length, count) = (self.steer.about(templates.len(), templates.len()), self.steer.about(real, real));
        let mut message = null_mut();
        // SAFETY: the arrays are as long as is said, or longer.
        let status = unsafe {
            clearlane_gallery_insert(
                gallery,
                subjects.as_ptr(),
                ids.as_ptr(),
                templates.as_ptr(),
                length,
                count,
                &raw mut message,
            )
        };
        let inserted = said(status, message);
        if let (true, Some(held)) = (inserted, self.galleries.get_mut(&gallery.addr())) {
            for (id, subject) in ids.iter().zip(&subjects).take(count) {
                assert!(held.insert(*id, *subject).is_none(), "a number was used twice");
            }
        }
        assert!(!inserted || length == count * TEMPLATE);
    }

    fn delete(&mut self) {
        let (gallery, subject) = (self.gallery(), self.steer.below(6) as u64);
        let mut message = null_mut();
        // SAFETY: a handle may be any pointer.
        let deleted = said(unsafe { clearlane_gallery_delete(gallery, subject, &raw mut message) }, message);
        if let (true, Some(held)) = (deleted, self.galleries.get_mut(&gallery.addr())) {
            held.retain(|_, of| *of != subject);
        }
    }

    fn search(&mut self) {
        let gallery = self.gallery();
        let probe = self.templates(1);
        let mut candidates: Vec<Roomy<clearlane_candidate>> = (0..4).map(|_| Roomy::zeroed()).collect();
        candidates[0].value.size = self.steer.about(size_of::<clearlane_candidate>(), size_of::<clearlane_candidate>());
        let (length, capacity) = (self.steer.about(TEMPLATE, TEMPLATE), self.steer.below(5));
        let (mut count, mut message) = (usize::MAX, null_mut());
        // SAFETY: the probe is as long as is said; the candidates take more memory than any capacity of them.
        let status = unsafe {
            clearlane_gallery_search(
                gallery,
                probe.as_ptr(),
                length,
                candidates.as_mut_ptr().cast(),
                capacity,
                &raw mut count,
                &raw mut message,
            )
        };
        if said(status, message) {
            let held = &self.galleries[&gallery.addr()];
            let subjects: BTreeSet<_> = held.values().collect();
            assert_eq!(count, subjects.len().min(capacity), "{held:?}");
        }
    }

    fn count(&mut self) {
        let gallery = self.gallery();
        let (mut count, mut message) = (usize::MAX, null_mut());
        // SAFETY: the number lives as long as the call.
        if said(unsafe { clearlane_gallery_count(gallery, &raw mut count, &raw mut message) }, message) {
            assert_eq!(count, self.galleries[&gallery.addr()].len());
        }
    }

    fn reserve(&mut self) {
        let gallery = self.gallery();
        let count = if self.steer.below(4) == 0 { usize::MAX >> self.steer.below(30) } else { self.steer.below(256) };
        let mut message = null_mut();
        // SAFETY: a handle may be any pointer.
        said(unsafe { clearlane_gallery_reserve(gallery, count, &raw mut message) }, message);
    }

    fn compare(&mut self) {
        let (left, right) = (self.templates(1), self.templates(1));
        let lengths = [self.steer.about(TEMPLATE, TEMPLATE), self.steer.about(TEMPLATE, TEMPLATE)];
        let (mut score, mut message) = (f32::NAN, null_mut());
        // SAFETY: the templates are as long as is said, or longer.
        let status = unsafe {
            clearlane_compare(left.as_ptr(), lengths[0], right.as_ptr(), lengths[1], &raw mut score, &raw mut message)
        };
        assert!(!said(status, message) || (-1.0..=1.0).contains(&score), "{score}");
    }

    fn mean(&mut self) {
        let real = self.steer.below(4);
        let templates = self.templates(real);
        let mut mean = [0; TEMPLATE];
        let (length, count) = (self.steer.about(templates.len(), templates.len()), self.steer.about(real, real));
        let room = self.steer.about(TEMPLATE, TEMPLATE);
        let mut message = null_mut();
        // SAFETY: the arrays are as long as is said, or longer.
        let status = unsafe {
            clearlane_template_mean(templates.as_ptr(), length, count, mean.as_mut_ptr(), room, &raw mut message)
        };
        said(status, message);
    }

    fn decode(&mut self) {
        let file = b"P6 2 2 255\n123456789012";
        let mut bytes = file.to_vec();
        if self.steer.below(2) == 0 {
            let at = self.steer.below(bytes.len());
            bytes[at] ^= self.steer.byte();
        }
        let length = self.steer.about(bytes.len(), bytes.len());
        let mut frame = Roomy::<clearlane_frame>::zeroed();
        frame.value.size = Roomy::<clearlane_frame>::size(&mut self.steer);
        let (mut picture, mut message) = (null_mut(), null_mut());
        let most = self.steer.below(3) as u64 * 1000;
        // SAFETY: the bytes are as long as is said, and the struct is longer than any size that was given.
        let status = unsafe {
            clearlane_picture_decode(
                bytes.as_ptr(),
                length,
                most,
                &raw mut picture,
                (&raw mut frame).cast(),
                &raw mut message,
            )
        };
        if said(status, message) {
            let clearlane_frame { pixels, length, stride, height, .. } = frame.value;
            assert!(length >= stride * height as usize && !pixels.is_null());
            // SAFETY: the picture is open, and has so many bytes.
            let sum: usize =
                unsafe { std::slice::from_raw_parts(pixels, length) }.iter().map(|&byte| usize::from(byte)).sum();
            std::hint::black_box(sum);
            self.pictures.insert(picture.addr());
            self.handles.push(picture.cast());
        }
    }

    fn close(&mut self) {
        let handle: *mut c_void = self.handle();
        // SAFETY: a handle may be any pointer.
        let status = unsafe {
            match self.steer.below(7) {
                0 => clearlane_picture_close(handle.cast()),
                1 => clearlane_port_close(handle.cast()),
                2 => clearlane_lane_close(handle.cast()),
                3 => clearlane_session_close(handle.cast()),
                4 => clearlane_refresher_close(handle.cast()),
                5 => clearlane_extractor_close(handle.cast()),
                _ => clearlane_gallery_close(handle.cast()),
            }
        };
        assert!([CLEARLANE_OK, CLEARLANE_HANDLE].contains(&status), "{status}");
        if status == CLEARLANE_OK {
            let known = self.galleries.remove(&handle.addr()).is_some() | self.pictures.remove(&handle.addr());
            assert!(known || handle.is_null());
        }
    }

    /// Functions of what is never open here: whatever the handle, they say that it is none of theirs.
    fn call_with_any_handle(&mut self) {
        let handle: *mut c_void = self.handle();
        let (mut message, mut text, mut sound) = (null_mut(), null_mut(), false);
        let mut decision = Roomy::<clearlane_decision>::zeroed();
        decision.value.size = Roomy::<clearlane_decision>::size(&mut self.steer);
        let mut session = null_mut();
        let mut lane = null_mut();
        // SAFETY: a handle may be any pointer; all that is written lives as long as the call.
        let status = unsafe {
            match self.steer.below(10) {
                0 => clearlane_port_poll(handle.cast(), &raw mut message),
                1 => clearlane_port_check(handle.cast(), &raw mut sound, &raw mut message),
                2 => clearlane_port_metrics(handle.cast(), &raw mut text, &raw mut message),
                3 => clearlane_verify_records(handle.cast(), &raw mut sound, &raw mut text, &raw mut message),
                4 => clearlane_session_open(handle.cast(), 0, &raw mut session, &raw mut message),
                5 => clearlane_session_finish(handle.cast(), (&raw mut decision).cast(), &raw mut message),
                6 => clearlane_lane_open(handle.cast(), c"lane 1".as_ptr(), 1, &raw mut lane, &raw mut message),
                8 => clearlane_port_prometheus(handle.cast(), &raw mut text, &raw mut message),
                7 => clearlane_pass(handle.cast(), null(), (&raw mut decision).cast(), &raw mut message),
                _ => clearlane_last_record(handle.cast(), null(), &raw mut text, &raw mut message),
            }
        };
        assert!(!said(status, message), "it took a handle that is none");
        assert!(text.is_null());
    }
}
