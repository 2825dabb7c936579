//! Picture files in memory: what a camera, a scanner or a document's chip gives that is no frame yet.

use std::ffi::c_char;
use std::ptr;

use clearlane::{DecodeLimits, Frame};
use zeroize::Zeroizing;

use crate::frame::{CLEARLANE_RGB8, clearlane_frame};
use crate::guard::guarded;
use crate::handle::{self, Handle, close};
use crate::pointer::{list, place};
use crate::sized::output;
use crate::status::{CLEARLANE_FRAME, Failure, clearlane_status};

/// The pixels of a decoded picture.
pub struct clearlane_picture(());

struct Picture {
    /// Only the caller's frame points here; wiped when the picture is closed.
    _pixels: Zeroizing<Vec<u8>>,
}

impl Handle for Picture {
    const NAME: &'static str = "a picture";
    type Pointer = clearlane_picture;
}

/// Decodes a picture file (JPEG, JPEG 2000, PNG, WebP, BMP, PGM or PPM), or the portrait in a chip's data group 2, and fills
/// `frame` with the upright picture in CLEARLANE_RGB8. The frame's pixels are there until the picture is closed, whoever uses
/// them. Of more than `max_pixels` pixels, width times height, it is refused before memory is taken for it; 0: 67 million.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_picture_decode(
    bytes: *const u8,
    length: usize,
    max_pixels: u64,
    picture: *mut *mut clearlane_picture,
    frame: *mut clearlane_frame,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let picture = place(picture, "picture")?;
            *picture = ptr::null_mut();
            let frame = output(frame, "frame")?;
            let bytes = list(bytes, length, "bytes")?;
            let mut limits = DecodeLimits::default();
            if max_pixels > 0 {
                limits = limits.with_max_pixels(max_pixels);
            }
            let decoded = Frame::decode(bytes, &limits).map_err(|error| Failure::new(CLEARLANE_FRAME, error))?;
            let [width, height] = [decoded.width(), decoded.height()];
            let pixels = Zeroizing::new(decoded.into_rgb8());
            let filled = clearlane_frame {
                pixels: pixels.as_ptr(),
                length: pixels.len(),
                stride: 3 * width as usize,
                width,
                height,
                format: CLEARLANE_RGB8,
                ..clearlane_frame::default()
            };
            *picture = handle::open(Picture { _pixels: pixels })?;
            frame.fill(&filled);
            Ok(())
        })
    }
}

/// Closes a picture and wipes its pixels: frames of it must not be used any more. NULL is passed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_picture_close(picture: *mut clearlane_picture) -> clearlane_status {
    // SAFETY: null is no place for a message.
    unsafe { guarded(ptr::null_mut(), || close::<Picture>(picture)) }
}
