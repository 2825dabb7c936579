//! Templates as bytes: compared, and put together.

use std::ffi::c_char;

use clearlane::Template;
use clearlane::embed::TemplateError;
use zeroize::Zeroizing;

use crate::guard::guarded;
use crate::pointer::{buffer, list, place};
use crate::sized::{Input, Output};
use crate::status::{CLEARLANE_TEMPLATE, Failure, clearlane_status};

/// What templates are made by, and how large they are.
///
/// A template is its model's 32 bytes, then the values of a unit vector, each as four bytes (IEEE 754 single precision), the
/// lowest first, whatever the machine. It is a person's biometric datum in the clear.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct clearlane_model {
    /// sizeof(clearlane_model), set by the caller.
    pub size: usize,
    /// How many values a template has, 1 to 4096.
    pub dimension: usize,
    /// How many bytes: 32, and four for each value. Not read where the caller fills the struct.
    pub template_length: usize,
    /// What the templates begin with. Those of different models are never compared.
    pub id: [u8; 32],
}

// SAFETY: `repr(C)`, its size first, numbers only.
unsafe impl Input for clearlane_model {
    const NAME: &'static str = "clearlane_model";
    const LEAST: usize = size_of::<Self>();
}

// SAFETY: as above.
unsafe impl Output for clearlane_model {
    const NAME: &'static str = "clearlane_model";
    const LEAST: usize = size_of::<Self>();
}

/// Compares two templates (1:1): `score` is their cosine similarity, -1 to 1. CLEARLANE_TEMPLATE where the bytes are no
/// templates, or were made by different models.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_compare(
    left: *const u8,
    left_length: usize,
    right: *const u8,
    right_length: usize,
    score: *mut f32,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let score = place(score, "score")?;
            *score = 0.0;
            let left = template(list(left, left_length, "left")?, "left")?;
            let right = template(list(right, right_length, "right")?, "right")?;
            *score = left.score(&right).map_err(refused)?;
            Ok(())
        })
    }
}

/// One template for `count` captures of one person: the direction of their mean. `templates` has them one after the other,
/// `length` bytes in all, and `mean` room for one of them, `mean_length` bytes, which may be where templates are: they are read
/// first. Where the call fails, `mean` is zeros.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearlane_template_mean(
    templates: *const u8,
    length: usize,
    count: usize,
    mean: *mut u8,
    mean_length: usize,
    message: *mut *mut c_char,
) -> clearlane_status {
    // SAFETY: pointers are as the head of the header asks; each is checked for null.
    unsafe {
        guarded(message, || {
            let captures = list(templates, length, "templates")
                .and_then(|templates| self::templates(templates, count, "templates"));
            let mean = buffer(mean, mean_length, "mean")?;
            write(&Template::mean(&captures?).map_err(refused)?, mean, "mean")
        })
    }
}

/// A template of the caller's.
pub(crate) fn template(bytes: &[u8], name: &str) -> Result<Template, Failure> {
    Template::from_bytes(bytes).map_err(|error| Failure::new(CLEARLANE_TEMPLATE, format!("`{name}`: {error}")))
}

/// Templates of the caller's, one after the other.
pub(crate) fn templates(bytes: &[u8], count: usize, name: &str) -> Result<Vec<Template>, Failure> {
    if count == 0 && bytes.is_empty() {
        return Ok(Vec::new());
    }
    if count == 0 || !bytes.len().is_multiple_of(count) || bytes.is_empty() {
        let message = format!("expected `{name}` to be {count} templates of one length, got {} bytes", bytes.len());
        return Err(Failure::new(CLEARLANE_TEMPLATE, message));
    }
    let each = bytes.chunks_exact(bytes.len() / count).enumerate();
    each.map(|(index, bytes)| template(bytes, &format!("{name}[{index}]"))).collect()
}

/// Writes a template to a place of exactly its length.
pub(crate) fn write(template: &Template, place: &mut [u8], name: &str) -> Result<(), Failure> {
    let bytes = Zeroizing::new(template.to_bytes());
    if place.len() != bytes.len() {
        let message = format!("expected room for {} bytes at `{name}`, got {}", bytes.len(), place.len());
        return Err(Failure::argument(message));
    }
    place.copy_from_slice(&bytes);
    Ok(())
}

fn refused(error: TemplateError) -> Failure {
    Failure::new(CLEARLANE_TEMPLATE, error)
}
