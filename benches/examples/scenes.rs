//! Which faces are found: fictional people composed into scenes of many sizes, faces of many sizes, at every roll; and what is
//! answered where there are none. A table of shares and times for a detector.
//!
//! ```console
//! cargo run --release -p clearlane-benches --example scenes -- 1000
//! cargo run --release -p clearlane-benches --example scenes -- 1000 scrfd-500m-320 models/
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clearlane_embed::{DecodeLimits, Detector, Face, Frame, Models, Orientation, Rotation};

/// Width and height of the scenes, from VGA to 24 megapixels.
const SIZES: [[usize; 2]; 6] = [[640, 480], [1280, 720], [1920, 1080], [720, 1280], [3840, 2160], [6000, 4000]];
/// Heights of the face's box.
const FACES: [f32; 9] = [24.0, 36.0, 54.0, 80.0, 108.0, 200.0, 400.0, 800.0, 1200.0];

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let scenes: usize = words.next().map_or(Ok(200), |count| count.parse())?;
    let (name, folder) = (words.next(), words.next().map(PathBuf::from));
    let mut models = Models::builtin()?;
    if let Some(folder) = folder {
        models.add_folder(folder)?;
    }
    let name = name.map_or_else(|| models.default_detector().map(str::to_owned), Ok)?;
    let detector = models.detector(&name)?;
    let portraits = portraits(&detector)?;

    println!(
        "{name}, {scenes} scenes; found: at any roll with the four ways tried / within 45 degrees of upright, as given"
    );
    println!("{:>11}  {:>6}  {:>7}  {:>9}  {:>9}  {:>8}", "scene", "face", "counts", "found", "upright", "ms");
    // Of the faces that count: found and all, by the roll from the nearest of the four ways, in steps of 15 degrees.
    let mut by_roll = [[0_usize; 2]; 4];
    for size in SIZES {
        let least = 0.05 * size[0].min(size[1]) as f32;
        for face in FACES.into_iter().filter(|face| *face <= 0.8 * size[1].min(size[0]) as f32) {
            let count = (scenes / (SIZES.len() * 6)).max(4);
            let (mut found, mut upright, mut uprights, mut time) = (0, 0, 0, 0.0);
            for number in 0..count {
                // 24 steps of 15 degrees, none of which is left out over the sizes.
                let roll = ((number * 7 + face as usize + size[0] / 160) % 24 * 15) as f32;
                let (frame, eyes) = scene(&portraits[number % portraits.len()], size, face, roll, number);
                let (rotation, faces) = detector.detect_standing(&frame, Orientation::Auto)?;
                let seen = faces.iter().any(|found| is_at(found, eyes, rotation, size, face));
                found += usize::from(seen);
                if face >= least {
                    let beside = (roll % 90.0).min(90.0 - roll % 90.0);
                    by_roll[(beside / 15.0) as usize][0] += usize::from(seen);
                    by_roll[(beside / 15.0) as usize][1] += 1;
                    if !seen {
                        eprintln!(
                            "miss {size:?} {face} roll {roll} number {number}: {rotation:?} {faces:?} eyes {eyes:?}"
                        );
                    }
                }
                let degrees = if roll > 180.0 { 360.0 - roll } else { roll };
                if degrees <= 45.0 {
                    uprights += 1;
                    let begin = Instant::now();
                    let faces = detector.detect(&frame)?;
                    time += 1e3 * begin.elapsed().as_secs_f64();
                    upright += usize::from(faces.iter().any(|found| is_at(found, eyes, Rotation::None, size, face)));
                }
            }
            let counts = if face >= least { "yes" } else { "no" };
            let share = |part: usize, of: usize| format!("{part}/{of}");
            println!(
                "{:>5}x{:<5}  {face:>6}  {counts:>7}  {:>9}  {:>9}  {:>8.1}",
                size[0],
                size[1],
                share(found, count),
                share(upright, uprights),
                time / uprights.max(1) as f64
            );
        }
        let empty = scenes / (SIZES.len() * 2);
        let (mut answers, begin) = (0, Instant::now());
        for number in 0..empty {
            let pixels = background(size, number + 1_000_000);
            let frame = Frame::rgb8(size[0] as u32, size[1] as u32, pixels)?;
            answers += usize::from(!detector.detect(&frame)?.is_empty());
        }
        let ms = 1e3 * begin.elapsed().as_secs_f64() / empty as f64;
        println!("{:>5}x{:<5}    none           {answers}/{empty} answered {ms:>17.1}", size[0], size[1]);
    }
    println!("found of the faces that count, by their roll from the nearest of the four ways:");
    for (step, [found, all]) in by_roll.into_iter().enumerate() {
        println!(
            "{:>3} degrees  {:>9}  {:>6.1} %",
            15 * step,
            format!("{found}/{all}"),
            100.0 * found as f64 / all as f64
        );
    }
    Ok(())
}

/// A person's picture with what the detector finds in it, upright and large.
struct Portrait {
    rgb: Vec<u8>,
    side: usize,
    face: Face,
}

fn portraits(detector: &Detector) -> Result<Vec<Portrait>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/fictional/enrolled");
    let mut people: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    people.sort();
    let mut portraits = Vec::new();
    for person in people.into_iter().step_by(3) {
        let frame = Frame::open(person.join("plain-1.jpg"), &DecodeLimits::default())?;
        if let [face] = &detector.detect(&frame)?[..] {
            let rgb = frame.to_rgb8().into_owned();
            portraits.push(Portrait { rgb, side: frame.width() as usize, face: face.clone() });
        }
    }
    Ok(portraits)
}

/// A portrait turned by `roll` degrees on a background, and where its eyes are.
fn scene(
    portrait: &Portrait,
    size: [usize; 2],
    face: f32,
    roll: f32,
    number: usize,
) -> (Frame<'static>, [[f32; 2]; 2]) {
    let scale = portrait.face.longer_side() / face;
    let side = portrait.side as f32 / scale;
    let mut rgb = background(size, number);
    // Anywhere, as far as the face's surroundings fit.
    let room = |length: usize| ((length as f32 - 1.2 * face) / 2.0).max(0.0);
    let part = |factor: usize| (number * factor % 101) as f32 / 50.0 - 1.0;
    let centre = [size[0] as f32 / 2.0 + room(size[0]) * part(37), size[1] as f32 / 2.0 + room(size[1]) * part(61)];
    let middle = portrait.face.bounding_box.centre();
    let (sin, cos) = roll.to_radians().sin_cos();
    let reach = side as usize;
    let span =
        |centre: f32, limit: usize| (centre as usize).saturating_sub(reach)..(centre as usize + reach).min(limit);
    // Averaged over as many samples as a pixel covers, so that nothing aliases.
    let samples = (scale.ceil() as usize).clamp(1, 8);
    for (y, x) in span(centre[1], size[1]).flat_map(|y| span(centre[0], size[0]).map(move |x| (y, x))) {
        let (mut sum, mut count) = ([0.0_f32; 3], 0);
        for sample in 0..samples * samples {
            let offset = |at: usize| (at as f32 + 0.5) / samples as f32 - 0.5;
            let (dx, dy) =
                (x as f32 + offset(sample % samples) - centre[0], y as f32 + offset(sample / samples) - centre[1]);
            let u = middle.x + scale * (cos * dx + sin * dy);
            let v = middle.y + scale * (cos * dy - sin * dx);
            if u >= 0.0 && v >= 0.0 && (u as usize) < portrait.side && (v as usize) < portrait.side {
                let at = 3 * (v as usize * portrait.side + u as usize);
                (0..3).for_each(|channel| sum[channel] += f32::from(portrait.rgb[at + channel]));
                count += 1;
            }
        }
        if 2 * count >= samples * samples {
            let at = 3 * (y * size[0] + x);
            (0..3).for_each(|channel| rgb[at + channel] = (sum[channel] / count as f32) as u8);
        }
    }
    let eyes = [0, 1].map(|eye| {
        let (dx, dy) = (portrait.face.landmarks[eye].x - middle.x, portrait.face.landmarks[eye].y - middle.y);
        [centre[0] + (cos * dx - sin * dy) / scale, centre[1] + (sin * dx + cos * dy) / scale]
    });
    (Frame::rgb8(size[0] as u32, size[1] as u32, rgb).expect("as many pixels as the sides say"), eyes)
}

/// Smooth patches and noise.
fn background([width, height]: [usize; 2], number: usize) -> Vec<u8> {
    let hash = |at: usize| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8;
    let cell = 24 + number % 5 * 40;
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let patch = (y / cell * 131 + x / cell) * 3 + number * 7;
            let noise = i32::from(hash(y * width + x + number) & 15) - 8;
            rgb.extend((0..3).map(|channel| (64 + i32::from(hash(patch + channel) / 2) + noise).clamp(0, 255) as u8));
        }
    }
    rgb
}

/// Whether a face's eyes are where they were drawn, within a third of the face, in a frame that was turned by `rotation`.
fn is_at(found: &Face, eyes: [[f32; 2]; 2], rotation: Rotation, [width, height]: [usize; 2], face: f32) -> bool {
    let (right, bottom) = (width as f32 - 1.0, height as f32 - 1.0);
    let close = |point: &clearlane_embed::Point, eye: [f32; 2]| {
        let [x, y] = match rotation {
            Rotation::None => eye,
            Rotation::Clockwise90 => [bottom - eye[1], eye[0]],
            Rotation::Clockwise180 => [right - eye[0], bottom - eye[1]],
            Rotation::Clockwise270 => [eye[1], right - eye[0]],
        };
        (point.x - x).hypot(point.y - y) <= face / 3.0
    };
    close(&found.landmarks[0], eyes[0]) && close(&found.landmarks[1], eyes[1])
}
