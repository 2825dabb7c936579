//! From a candidate's files to templates, or to why there are none: what workers do, and the coordinator of those whom it gives to none.

use clearlane::{BulkStop, DecodeError, DecodeLimits, Frame, Picture, TemplateMaker};
use clearlane_store::ImageDigest;

use super::block::{File, Made, Readable};

/// So many times the pixels of one picture may all of a candidate's have, which are in memory together.
const TOGETHER: u64 = 4;

/// Makes templates of those files that are pictures.
pub(super) fn make(maker: &TemplateMaker, limits: &DecodeLimits, candidate: u32, files: &[File<'_>]) -> Made {
    let (mut pictures, mut unreadable) = (Vec::with_capacity(files.len()), Vec::new());
    let mut from = Vec::new();
    let together = limits.max_pixels.saturating_mul(TOGETHER);
    let mut room = together;
    for (place, file) in files.iter().enumerate() {
        let within = limits.with_max_pixels(limits.max_pixels.min(room));
        let decoded =
            file.map_err(str::to_owned).and_then(|Readable { bytes, enrolled }| match Frame::decode(bytes, &within) {
                Ok(frame) => {
                    let source = ImageDigest::of(bytes);
                    from.extend(enrolled.then_some(source));
                    Ok(Picture { frame, source: Some(source) })
                }
                Err(DecodeError::TooManyPixels { .. }) if room < limits.max_pixels => {
                    Err(format!("with it the subject's pictures would have more than {together} pixels together"))
                }
                Err(error) => Err(error.to_string()),
            });
        match decoded {
            Ok(picture) => {
                let pixels = u64::from(picture.frame.width()) * u64::from(picture.frame.height());
                room = room.saturating_sub(pixels);
                pictures.push(picture);
            }
            Err(why) => unreadable.push((place, why)),
        }
    }
    let outcome = if files.is_empty() {
        Err(BulkStop::Unreadable("the subject has no picture".to_owned()))
    } else if pictures.is_empty() {
        Err(BulkStop::Unreadable("none of the subject's pictures can be read".to_owned()))
    } else {
        // Whether the register has templates of the earlier model is known to the coordinator alone, which looks at them then.
        maker.make(&pictures, &from, true).map_err(|error| BulkStop::Failed(error.to_string()))
    };
    Made { candidate, unreadable, outcome }
}
