//! `clearlane inspect`: what the lane sees in a picture.

mod draw;
mod ofiq;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_embed::{
    AlignError, AlignedFace, Detector, Doubt, ExtractError, Face, Frame, Measure, Occlusion, Quality, Rotation,
};
use serde::Serialize;

use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;
use crate::output::{Output, ShownPath, doubts, shown, table};
use crate::pictures::{self, PictureArgs};

/// Show the faces of a picture, their landmarks and their quality
///
/// Quality components are those of ISO/IEC 29794-5, each with its native value and a component value of 0 (worst) to
/// 100, or not assessed: those that no model gives. Pose is estimated from five landmarks. Faces whose quality makes a
/// comparison's score doubtful are named, with what is wrong with them. A picture without a face is an error (exit code 3).
///
/// --ofiq prints a table in the form of OFIQ's sample program instead, a line for the largest face of each picture, so that both can be
/// set side by side: native values, then component values (.scalar), 0 and -1 where a component is not assessed. Exit code 1:
/// of some pictures nothing could be assessed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The picture: JPEG, JPEG 2000, PNG, WebP, BMP, PGM or PPM, or the data group 2 of a travel document's chip
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    /// Print the quality of many pictures, or folders of them, as OFIQ's sample program does (CSV with semicolons)
    #[arg(long, conflicts_with_all = ["out", "json"])]
    ofiq: bool,
    /// Write a PNG with boxes and landmarks drawn in, and each aligned face beside the picture
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.png")]
    out: Option<PathBuf>,
    #[command(flatten)]
    how: PictureArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane inspect portrait.jpg
  clearlane inspect crowd.jpg --out seen.png
  clearlane inspect --ofiq photos/ > quality.csv
  clearlane inspect portrait.jpg --json | jq '.faces[0].quality.Sharpness.value'";

/// What was seen in a picture.
#[derive(Debug, Serialize)]
struct Seen {
    path: ShownPath,
    width: u32,
    height: u32,
    /// By how much it had to be turned to stand upright.
    rotation: Rotation,
    detector: String,
    faces: Vec<SeenFace>,
}

#[derive(Debug, Serialize)]
struct SeenFace {
    #[serde(flatten)]
    face: Face,
    eye_distance: f32,
    /// Whether the landmarks can be those of an upright face.
    plausible: bool,
    quality: Quality,
    doubts: Vec<Doubt>,
}

pub(super) fn run(args: &InspectArgs, output: &Output) -> Result<Exit> {
    if args.ofiq {
        return ofiq::run(args, output);
    }
    let [picture] = &args.pictures[..] else {
        let failure = Failure::new(Exit::Usage, format!("expected one picture, got {}", args.pictures.len()));
        return Err(failure.with_help("--ofiq takes many pictures"));
    };
    let inspector = Inspector::new(args)?;
    let (frame, faces) = inspector.faces(picture)?;
    let seen_face = |face: &Face| {
        let quality = inspector.quality(picture, &frame, face, &faces)?;
        let (eye_distance, plausible, doubts) = (face.eye_distance(), face.is_plausible(), quality.doubts());
        Ok(SeenFace { face: face.clone(), eye_distance, plausible, quality, doubts })
    };
    let seen = Seen {
        path: shown(picture),
        width: frame.width(),
        height: frame.height(),
        rotation: frame.rotation(),
        detector: inspector.detector.name().to_owned(),
        faces: faces.iter().map(seen_face).collect::<Result<_>>()?,
    };
    if let Some(out) = &args.out {
        let aligned = faces.iter().map(|face| cut(picture, &frame, face)).collect::<Result<Vec<_>>>()?;
        draw::write(&pictures::rgb(&frame), &faces, &aligned, out)?;
    }
    output.result(&seen, || text(&seen))?;
    Ok(Exit::Yes)
}

/// The models that look at pictures, and how pictures are read.
struct Inspector {
    detector: Detector,
    occlusion: Option<Occlusion>,
    how: PictureArgs,
}

impl Inspector {
    fn new(args: &InspectArgs) -> Result<Self> {
        let (detector, occlusion) = (args.models.load_detector()?, args.models.load_occlusion()?);
        Ok(Self { detector, occlusion, how: args.how })
    }

    /// The upright picture at `path`, and its faces, of which there is one at least.
    fn faces(&self, path: &Path) -> Result<(Frame<'static>, Vec<Face>)> {
        let frame = self.how.open(path)?;
        let (rotation, faces) = self.detector.detect_standing(&frame, self.how.orientation())?;
        if faces.is_empty() {
            return Err(pictures::refused(path, ExtractError::NoFace));
        }
        Ok((frame.with_rotation(rotation), faces))
    }

    fn quality(&self, path: &Path, frame: &Frame<'_>, face: &Face, faces: &[Face]) -> Result<Quality> {
        let quality = Quality::assess(frame, face, faces).map_err(|error| unaligned(path, &error))?;
        Ok(match &self.occlusion {
            Some(occlusion) => quality.with(occlusion.assess(&cut(path, frame, face)?)?),
            None => quality,
        })
    }

    /// The quality of the largest face of the picture at `path`.
    fn largest(&self, path: &Path) -> Result<Quality> {
        let (frame, faces) = self.faces(path)?;
        let largest = faces.iter().max_by(|a, b| a.bounding_box.area().total_cmp(&b.bounding_box.area()));
        let face = largest.ok_or_else(|| pictures::refused(path, ExtractError::NoFace))?;
        self.quality(path, &frame, face, &faces)
    }
}

fn cut(path: &Path, frame: &Frame<'_>, face: &Face) -> Result<AlignedFace> {
    AlignedFace::cut(frame, &face.landmarks).map_err(|error| unaligned(path, &error))
}

fn unaligned(path: &Path, error: &AlignError) -> Failure {
    Failure::at(Exit::Input, path, error)
}

fn text(seen: &Seen) -> String {
    let mut text = format!("{}: {} x {} pixels, {}\n", seen.path, seen.width, seen.height, count(seen));
    if seen.rotation != Rotation::None {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "turned by {} degrees clockwise to stand upright", seen.rotation.degrees());
    }
    for (index, SeenFace { face, eye_distance, plausible, quality, .. }) in seen.faces.iter().enumerate() {
        let b = &face.bounding_box;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\nface {}: score {:.3}, box ({:.0}, {:.0}) to ({:.0}, {:.0}), {eye_distance:.1} pixels between the eyes",
            index + 1,
            face.score,
            b.x0,
            b.y0,
            b.x1,
            b.y1
        );
        if !plausible {
            text.push_str("these landmarks are not those of an upright face: no template is made of them\n");
        }
        let names = ["left eye", "right eye", "nose", "left mouth corner", "right mouth corner"];
        let points = names.iter().zip(&face.landmarks);
        let landmarks: Vec<_> = points.map(|(name, p)| format!("{name} ({:.1}, {:.1})", p.x, p.y)).collect();
        let _ = writeln!(text, "landmarks, left as the picture has it: {}\n", landmarks.join(", "));
        let row = |(name, measure): (&str, Option<Measure>)| {
            let values = measure.map(|measure| (format!("{:.3}", measure.native), measure.value.to_string()));
            let (native, value) = values.unwrap_or_else(|| ("not assessed".to_owned(), "-".to_owned()));
            vec![name.to_owned(), native, value]
        };
        let rows: Vec<_> = quality.standard().map(row).collect();
        text.push_str(&table(&["QUALITY COMPONENT", "NATIVE", "0-100"], &[1, 2], &rows));
        let which = if seen.faces.len() == 1 { String::new() } else { format!(", face {}", index + 1) };
        text.push_str(&doubts(&format_args!("{}{which}", seen.path), quality));
    }
    text
}

fn count(seen: &Seen) -> String {
    match seen.faces.len() {
        1 => "1 face".to_owned(),
        faces => format!("{faces} faces"),
    }
}
