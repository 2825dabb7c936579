//! The quality of the largest face of each picture of a list, as JSON lines: `quality [MODELS_FOLDER DETECTOR] < paths.txt`.

use std::error::Error;
use std::io::{BufRead as _, Write as _};

use clearlane_embed::{DecodeLimits, Frame, Models, Quality, PixelFormat};

fn main() -> Result<(), Box<dyn Error>> {
    let swap = std::env::var_os("SWAP").is_some();
    let models = Models::builtin()?;
    let detector = models.detector(models.default_detector()?)?;
    let mut out = std::io::stdout().lock();
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        let frame = Frame::open(&path, &DecodeLimits::default())?;
        let rgb = frame.to_rgb8().into_owned();
        let (w, h) = (frame.width(), frame.height());
        let frame = if swap { Frame::new(PixelFormat::Bgr8, w, h, 3 * w as usize, rgb)? } else { frame };
        let faces = detector.detect(&frame)?;
        let Some(face) = faces.iter().max_by(|a, b| a.bounding_box.area().total_cmp(&b.bounding_box.area())) else { continue };
        let quality = Quality::assess(&frame, face, &faces)?;
        let line = serde_json::json!({ "path": path, "quality": quality, "doubts": quality.doubts().iter().map(|d| d.measure().component.name()).collect::<Vec<_>>() });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
