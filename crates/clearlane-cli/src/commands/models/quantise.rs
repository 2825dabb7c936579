//! `clearlane models quantise`: an INT8 model from a floating-point one.

use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_embed::{AlignedFace, Extractor, Manifest, QuantisationSamples, Selection, Task};
use rayon::prelude::*;
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::models::ModelArgs;
use crate::output::{Output, shown, write_whole};
use crate::pictures;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QuantiseArgs {
    /// The name of an embedder, a detector or a model for occlusion
    name: String,
    /// A folder of face pictures, or of folders of them, like those the model will see
    #[arg(long, value_name = "DIR")]
    faces: PathBuf,
    /// Where the quantised model goes
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.onnx")]
    out: PathBuf,
    /// Calibrate with so many of the pictures, evenly chosen; each takes 12 bytes of memory a pixel of the model's input, 1.2 MB
    /// for a detector of 320 x 320
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane models quantise mobilefacenet --models DIR --faces faces/ --out int8/mobilefacenet-int8.onnx
  clearlane models quantise clearlane-embedder --faces faces/ --out int8/embedder.onnx --count 300
  clearlane models quantise yunet-320 --models DIR --faces frames/ --out int8/yunet-int8.onnx";

pub(super) fn run(args: &QuantiseArgs, output: &Output) -> Result<Exit> {
    let models = args.models.available()?;
    let (entry, _) = models.get(&args.name)?;
    let onnx = models.read(&args.name)?;
    let Some(file) = args.out.file_name().and_then(|name| name.to_str()) else {
        return Err(Failure::new(Exit::Usage, format!("{}: not a file's name", shown(&args.out))));
    };
    let pictures = chosen(&args.faces, args.count as usize)?;
    let interrupt = Interrupt::listen()?;
    let mut samples = QuantisationSamples::new(entry, &onnx);
    let needed = if let Task::Detection { .. } = entry.task {
        add_frames(&mut samples, &pictures, &interrupt, output)?;
        "picture that can be read"
    } else {
        let embedder = match entry.task {
            Task::Occlusion { .. } => args.models.load_embedder()?,
            _ => models.embedder(&args.name)?,
        };
        let extractor = Extractor::new(args.models.load_detector()?, embedder);
        let extractor = extractor.with_selection(Selection::Largest);
        aligned(&extractor, &pictures, &interrupt, output)?.iter().try_for_each(|face| samples.add_face(face))?;
        "face"
    };
    if samples.pictures() == 0 {
        let problem = format!("{}: no {needed} among {} pictures", shown(&args.faces), pictures.len());
        return Err(Failure::new(Exit::Input, problem));
    }
    let quantised = samples.quantise(file)?;
    interrupt.check()?;
    write_whole(&args.out, &quantised.onnx)?;
    let manifest = Manifest { models: vec![quantised.entry.clone()] };
    let manifest = manifest.to_toml().map_err(|error| Failure::of(Exit::System, &error))?;
    let value = json!({
        "model": quantised.entry, "used": samples.pictures(), "pictures": pictures.len(),
        "operators": quantised.operators, "values": quantised.values, "bytes": quantised.onnx.len(),
    });
    output.note(&format!(
        "{} operators quantised on {} of {} pictures; {} bytes where there were {}",
        quantised.operators,
        samples.pictures(),
        pictures.len(),
        quantised.onnx.len(),
        onnx.len()
    ));
    output.note("for the manifest.toml beside the new model, which is a model of its own: measure its thresholds");
    output.result(&value, || manifest)?;
    Ok(Exit::Yes)
}

/// Pictures of a folder and of the folders in it, evenly chosen.
fn chosen(folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let mut all = pictures::in_folder(folder)?;
    for inner in pictures::entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        all.extend(pictures::in_folder(&inner)?);
    }
    if all.is_empty() {
        return Err(Failure::new(Exit::Input, format!("{}: no picture in it", shown(folder))));
    }
    let count = count.min(all.len());
    Ok((0..count).map(|index| all[index * all.len() / count].clone()).collect())
}

/// The largest face of each picture that has one.
fn aligned(
    extractor: &Extractor,
    paths: &[PathBuf],
    interrupt: &Interrupt,
    output: &Output,
) -> Result<Vec<AlignedFace>> {
    let progress = output.progress(paths.len() as u64, "faces");
    let one = |path: &PathBuf| {
        interrupt.check()?;
        let extraction = pictures::extract(extractor, path);
        progress.step();
        match extraction {
            Ok(extraction) => Ok(Some(extraction.aligned)),
            Err(failure) if failure.exit == Exit::Input => Ok(None),
            Err(failure) => Err(failure),
        }
    };
    let faces = paths.par_iter().map(one).collect::<Result<Vec<_>>>();
    progress.done();
    Ok(faces?.into_iter().flatten().collect())
}

/// Adds the pictures that can be read.
fn add_frames(
    samples: &mut QuantisationSamples<'_>,
    paths: &[PathBuf],
    interrupt: &Interrupt,
    output: &Output,
) -> Result<()> {
    let progress = output.progress(paths.len() as u64, "pictures");
    for path in paths {
        interrupt.check()?;
        match pictures::open(path) {
            Ok(frame) => samples.add_frame(&frame)?,
            Err(failure) if failure.exit == Exit::Input => {}
            Err(failure) => return Err(failure),
        }
        progress.step();
    }
    progress.done();
    Ok(())
}
