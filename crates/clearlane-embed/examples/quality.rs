//! The quality of the largest face of each picture of a list, and what makes scores with it doubtful, as JSON lines:
//! `quality [--exchanged] < paths.txt`, one path a line. With `--exchanged`, red and blue are exchanged first.

use std::error::Error;
use std::io::{BufRead as _, Write as _};

use clearlane_embed::{AlignedFace, DecodeLimits, Frame, Models, PixelFormat, Quality};

fn main() -> Result<(), Box<dyn Error>> {
    let exchanged = std::env::args().nth(1).is_some_and(|argument| argument == "--exchanged");
    let models = Models::builtin()?;
    let detector = models.detector(models.default_detector()?)?;
    let occlusion = models.any_occlusion()?;
    let mut out = std::io::stdout().lock();
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        let mut frame = Frame::open(&path, &DecodeLimits::default())?;
        if exchanged {
            let (width, height, pixels) = (frame.width(), frame.height(), frame.to_rgb8().into_owned());
            frame = Frame::new(PixelFormat::Bgr8, width, height, 3 * width as usize, pixels)?;
        }
        let faces = detector.detect(&frame)?;
        let largest = faces.iter().max_by(|a, b| a.bounding_box.area().total_cmp(&b.bounding_box.area()));
        if let Some(face) = largest {
            let mut quality = Quality::assess(&frame, face, &faces)?;
            if let Some(occlusion) = &occlusion {
                quality = quality.with(occlusion.assess(&AlignedFace::cut(&frame, &face.landmarks)?)?);
            }
            let line = serde_json::json!({ "path": path, "quality": quality, "doubts": quality.doubts() });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
