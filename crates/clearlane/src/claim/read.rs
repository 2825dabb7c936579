//! Reads codes from pictures of whatever anybody holds up: within a deadline, and within a number of steps.
//!
//! The way of a picture: its luma, and what of it is dark (`picture`); finder patterns (`finder`); timing patterns
//! between them (`timing`); the projection of each code (`fit`); and from its modules the text (`symbol`). Every stage
//! takes steps in proportion to the picture, or up to a number of its own, and asks for them before it takes them.

use std::borrow::Cow;

use picture::Picture;

mod budget;
mod finder;
mod fit;
mod picture;
mod reed_solomon;
mod symbol;
mod tables;
mod timing;

pub use budget::{MAX_READ_STEPS, ReadBudget, ReadStopped};

/// Pixels of pictures that are searched; larger ones are made smaller first.
const MAX_PIXELS: usize = 1 << 24;

/// Pictures with more pixels are not enlarged: their codes are large enough.
const MAX_ENLARGED: usize = 1 << 21;

/// How a picture is looked at, one after another until a text is found.
#[derive(Clone, Copy)]
enum Look {
    /// Each pixel against surroundings as large as a code.
    Wide,
    /// Each pixel against its close surroundings: a dim code before a bright ground.
    Close,
    /// The same, without noise.
    Smooth,
    /// The same, enlarged: modules of hardly two pixels.
    Double,
}

/// Pixels each way that are a pixel's close surroundings: some modules.
const CLOSE: usize = 12;

/// The text of the first code in a picture that is `wanted`, from its rows of luma.
pub(super) fn text<'a>(
    size: (usize, usize),
    rows: impl Iterator<Item = Cow<'a, [u8]>>,
    wanted: impl Fn(&str) -> bool,
    budget: &mut ReadBudget,
) -> Result<Option<String>, ReadStopped> {
    budget.begin()?;
    let mut picture = Picture::new(size, rows, MAX_PIXELS, budget)?;
    for look in [Look::Wide, Look::Close, Look::Smooth, Look::Double] {
        let (mut changed, reach) = match look {
            Look::Wide => (None, picture.longer_side().div_ceil(16).max(CLOSE)),
            Look::Close => (None, CLOSE),
            Look::Smooth => (Some(picture.smoothed(budget)?), CLOSE),
            Look::Double if picture.pixels() <= MAX_ENLARGED => (Some(picture.doubled(budget)?), 2 * CLOSE),
            Look::Double => break,
        };
        let seen = changed.as_mut().unwrap_or(&mut picture);
        seen.binarise(reach, budget)?;
        if let Some(text) = first_text(seen, &wanted, budget)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

fn first_text(
    picture: &Picture,
    wanted: impl Fn(&str) -> bool,
    budget: &mut ReadBudget,
) -> Result<Option<String>, ReadStopped> {
    let finders = finder::find(picture, budget)?;
    for place in timing::places(picture, &finders, budget)? {
        let Some(fit) = fit::Fit::new(picture, &place, budget)? else { continue };
        let text = fit.text(budget)?;
        if text.as_ref().is_some_and(|text| wanted(text)) {
            return Ok(text);
        }
    }
    Ok(None)
}
