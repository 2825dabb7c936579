//! How alike the faces of two pictures are: `compare ONE OTHER [MODELS_FOLDER]`.

use clearlane_embed::{DecodeLimits, Extractor, Frame, Models, Selection, Template};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [one, other, folder @ ..] = &arguments[..] else {
        return Err("usage: compare ONE OTHER [MODELS_FOLDER]".into());
    };
    let mut models = Models::builtin()?;
    if let [folder] = folder {
        models.add_folder(folder)?;
    }
    let detector = models.detector(models.default_detector()?)?;
    let embedder = models.embedder(models.default_embedder()?)?;
    let extractor = Extractor::new(detector, embedder).with_selection(Selection::Largest);
    let template = |path: &str| -> Result<Template, Box<dyn std::error::Error>> {
        Ok(extractor.extract(&Frame::open(path, &DecodeLimits::default())?)?.template)
    };

    let score = template(one)?.score(&template(other)?)?;
    println!("comparison score {score:.4}");
    for calibration in extractor.embedder().calibrations() {
        println!("measured on {}, {}:", calibration.population, calibration.measured_on);
        for known in &calibration.thresholds {
            let answer = if score >= known.threshold { "match" } else { "no match" };
            println!("  at a false match rate of {:e}: {answer} (threshold {:.4})", known.fmr, known.threshold);
        }
    }
    Ok(())
}
