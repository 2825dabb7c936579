//! Templates of a list of pictures, as JSON lines: what `benches/peers/templates.py` compares with another runtime.
//!
//! ```text
//! templates MODELS_FOLDER DETECTOR EMBEDDER [--aligned] < paths.txt
//! ```
//!
//! One path a line on standard input. With `--aligned` each picture is a face of 112 × 112 already.

use std::error::Error;
use std::io::{BufRead, Write};

use clearlane_embed::{AlignedFace, DecodeLimits, Extractor, Frame, Models, Selection};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ([folder, detector, embedder], rest) =
        arguments.split_first_chunk().ok_or("usage: templates MODELS_FOLDER DETECTOR EMBEDDER [--aligned]")?;
    let aligned = rest.first().is_some_and(|flag| flag == "--aligned");
    let mut models = Models::builtin()?;
    models.add_folder(folder)?;
    let extractor =
        Extractor::new(models.detector(detector)?, models.embedder(embedder)?).with_selection(Selection::Central);

    let mut out = std::io::stdout().lock();
    for path in std::io::stdin().lock().lines() {
        let path = path?;
        let frame = Frame::open(&path, &DecodeLimits::default())?;
        let template = if aligned {
            let face = AlignedFace::from_rgb8(frame.to_rgb8().into_owned()).ok_or("not 112 x 112 pixels")?;
            extractor.embedder().embed(&face)?
        } else {
            extractor.extract(&frame)?.template
        };
        let line = serde_json::json!({ "path": path, "template": template.as_slice() });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
