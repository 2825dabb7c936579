//! `clearlane inspect`: what the lane sees in a picture.

mod draw;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use clearlane_embed::{AlignError, AlignedFace, Doubt, ExtractError, Face, Measure, Quality, Rotation};
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
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The picture: JPEG, JPEG 2000, PNG, WebP, BMP, PGM or PPM, or the data group 2 of a travel document's chip
    picture: PathBuf,
    /// Write a PNG with boxes and landmarks drawn in, and each aligned face beside the picture
    #[arg(long, value_name = "FILE.png")]
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
    let frame = args.how.open(&args.picture)?;
    let detector = args.models.load_detector()?;
    let (rotation, faces) = detector.detect_standing(&frame, args.how.orientation())?;
    let frame = frame.with_rotation(rotation);
    if faces.is_empty() {
        return Err(pictures::refused(&args.picture, ExtractError::NoFace));
    }
    let unaligned = |error: AlignError| Failure::at(Exit::Input, &args.picture, &error);
    let occlusion = args.models.load_occlusion()?;
    let cut = |face: &Face| AlignedFace::cut(&frame, &face.landmarks).map_err(unaligned);
    let seen_face = |face: &Face| {
        let mut quality = Quality::assess(&frame, face, &faces).map_err(unaligned)?;
        if let Some(occlusion) = &occlusion {
            quality = quality.with(occlusion.assess(&cut(face)?)?);
        }
        let (eye_distance, plausible, doubts) = (face.eye_distance(), face.is_plausible(), quality.doubts());
        Ok(SeenFace { face: face.clone(), eye_distance, plausible, quality, doubts })
    };
    let seen = Seen {
        path: shown(&args.picture),
        width: frame.width(),
        height: frame.height(),
        rotation,
        detector: detector.name().to_owned(),
        faces: faces.iter().map(seen_face).collect::<Result<_>>()?,
    };
    if let Some(out) = &args.out {
        let aligned = faces.iter().map(cut).collect::<Result<Vec<_>>>()?;
        draw::write(&pictures::rgb(&frame), &faces, &aligned, out)?;
    }
    output.result(&seen, || text(&seen))?;
    Ok(Exit::Yes)
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
