//! From a candidate's files to templates, or to why there are none: what workers do, and the coordinator of those whom it gives to none.

use clearlane::{BulkStop, DecodeLimits, Frame, Picture, TemplateMaker};
use clearlane_store::ImageDigest;

use super::block::{File, Made};

/// So many times the pixels of one picture may all of a candidate's have, which are in memory together.
const TOGETHER: u64 = 4;

/// Makes templates of those files that are pictures.
pub(super) fn make(maker: &TemplateMaker, limits: &DecodeLimits, candidate: u32, files: &[File<'_>]) -> Made {
    let (mut pictures, mut unreadable) = (Vec::with_capacity(files.len()), Vec::new());
    let mut room = limits.max_pixels.saturating_mul(TOGETHER);
    for (place, file) in files.iter().enumerate() {
        let limits = limits.with_max_pixels(limits.max_pixels.min(room));
        match file.map_err(str::to_owned).and_then(|bytes| picture(bytes, &limits)) {
            Ok(picture) => {
                room -= u64::from(picture.frame.width()) * u64::from(picture.frame.height());
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
        maker.make(&pictures, true).map_err(|error| BulkStop::Failed(error.to_string()))
    };
    Made { candidate, unreadable, outcome }
}

fn picture(bytes: &[u8], limits: &DecodeLimits) -> Result<Picture<'static>, String> {
    let frame = Frame::decode(bytes, limits).map_err(|error| error.to_string())?;
    Ok(Picture { frame, source: Some(ImageDigest::of(bytes)) })
}
