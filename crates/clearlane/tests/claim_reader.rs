//! The reader of claims: it reads what cameras see, and it ends for whatever anybody holds up.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use clearlane::{ClaimIssuer, ReadBudget, ReadStopped, SignedClaim, read_claim_text};
use clearlane_embed::{Frame, PixelFormat};
use clearlane_template::SubjectId;
use image::{GrayImage, Luma};
use jiff::Timestamp;
use qrcode::bits::Bits;
use qrcode::{Color, EcLevel, QrCode, Version};

const PREFIX: &str = "CLEARLANE2:";

/// A picture of the project's own with 665 finder patterns, which took a reader eight seconds.
const FINDERS: &[u8] = include_bytes!("data/qr-finder-patterns-320x180.png");

#[test]
fn claims_are_read_at_any_size_and_angle() {
    let claim = claim();
    let read = |number: u32| {
        let module = 2.0 + number as f32 * 0.125;
        Shot { module, angle: number as f32 * 0.37, ..Shot::default() }.of(claim.text())
    };
    let unread: Vec<_> = (0..40).filter(|&number| text(&read(number)).as_deref() != Some(claim.text())).collect();
    assert!(unread.len() <= 1, "{unread:?}");
}

#[test]
fn claims_are_read_askew_blurred_noisy_dim_and_mirrored() {
    let claim = claim();
    let shots = [
        Shot { module: 5.0, angle: 1.0, tilt: 0.5, ..Shot::default() },
        Shot { module: 5.0, angle: 4.0, tilt: -0.6, ..Shot::default() },
        Shot { module: 4.0, angle: 2.0, blur: 1, ..Shot::default() },
        Shot { module: 7.0, angle: 5.0, blur: 2, noise: 20, ..Shot::default() },
        Shot { module: 5.0, angle: 0.2, noise: 90, ..Shot::default() },
        Shot { module: 4.0, angle: 0.4, light: 80, ..Shot::default() },
        Shot { module: 4.0, angle: 3.0, light: 110, noise: 20, ..Shot::default() },
        Shot { module: 4.0, angle: 1.3, mirrored: true, ..Shot::default() },
    ];
    for (number, shot) in shots.into_iter().enumerate() {
        assert_eq!(text(&shot.of(claim.text())).as_deref(), Some(claim.text()), "shot {number}");
    }
}

#[test]
fn every_version_and_level_that_may_hold_a_claim_is_read_in_every_mode() {
    let mut read = 0;
    for (version, level) in (1..=28).flat_map(|version| LEVELS.map(|level| (version, level))) {
        // Alphanumeric, bytes (small letters are in no other mode), and all modes by turns.
        for filler in ["CLAIM 7 ", "Claim 7 ", "0123456789ABCDEFGHIJKLMNOPQRSTU abcdefghijklm "] {
            let Some((wanted, code)) = fullest(version, level, filler) else { continue };
            let picture = drawn(&code, 3);
            assert_eq!(text(&picture).as_deref(), Some(wanted.as_str()), "version {version}, {level:?}");
            read += 1;
        }
    }
    assert!(read > 300, "{read}");
}

#[test]
fn codes_with_as_many_wrong_modules_as_their_level_corrects_are_read_and_others_give_nothing_else() {
    let (wanted, code) = fullest(8, EcLevel::Q, "CLAIM 7 ").unwrap();
    let modules = code.width() as u32;
    // A square of modules away from finders, format, timing and alignment patterns: some 25 and 190 codewords of 242.
    for (side, expected) in [(12, Some(wanted.as_str())), (30, None)] {
        let mut picture = drawn(&code, 4);
        for (x, y) in (0..4 * side).flat_map(|y| (0..4 * side).map(move |x| (x, y))) {
            picture.put_pixel(4 * (4 + modules / 2 - 11) + x, 4 * (4 + modules / 2 - 11) + y, Luma([0]));
        }
        assert_eq!(text(&picture).as_deref(), expected, "{side}");
    }
}

#[test]
fn another_reader_reads_what_is_written_here() {
    let claim = claim();
    let picture = image::load_from_memory(&claim.to_png(4).unwrap()).unwrap().to_luma8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let pixel = |x: usize, y: usize| picture.get_pixel(x as u32, y as u32).0[0];
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, pixel);
    assert_eq!(prepared.detect_grids()[0].decode().unwrap().1, claim.text());
}

#[test]
fn a_claim_is_read_among_sixty_finder_patterns_and_among_other_codes() {
    let claim = claim();
    let shot = Shot { module: 4.0, angle: 0.3, ..Shot::default() }.of(claim.text());
    let mut among_finders = shot.clone();
    for (column, row) in (0..20).flat_map(|column| [0, 1, 2].map(|row| (column, row))) {
        let (left, top) = (5 + 31 * column, [5, 410, 445][row as usize]);
        put(&mut among_finders, left, top, 21, |x, y| finder(x / 3, y / 3));
    }
    assert_eq!(text(&among_finders).as_deref(), Some(claim.text()));
    let mut among_codes = shot;
    let other = QrCode::with_error_correction_level("HELLO", EcLevel::L).unwrap();
    for column in 0..9 {
        for top in [4, 420] {
            put(&mut among_codes, 4 + 70 * column, top, 50, |x, y| other_module(&other, x / 2, y / 2));
        }
    }
    assert_eq!(text(&among_codes).as_deref(), Some(claim.text()));
}

#[test]
fn codes_that_are_no_claims_give_none() {
    for wanted in ["HELLO", "clearlane2:AAAA", "CLEARLANE1:AAAA"] {
        assert_eq!(text(&drawn(&QrCode::new(wanted).unwrap(), 4)), None);
    }
}

#[test]
fn what_looks_like_hundreds_of_codes_takes_a_bounded_number_of_steps() {
    let picture = image::load_from_memory(FINDERS).unwrap().to_luma8();
    let (read, steps) = searched(&picture);
    assert_eq!(read, Ok(None));
    // Each of four looks takes eight million at most for what seems to belong together, and as many for what seems codes.
    assert!(steps < 40_000_000, "{steps}");
}

#[test]
fn no_picture_takes_more_steps_than_the_bound() {
    let (width, height) = (640, 360);
    for (name, dark) in hostile_patterns() {
        let picture = GrayImage::from_fn(width, height, |x, y| Luma([if dark(x, y) { 0 } else { 255 }]));
        let (read, steps) = searched(&picture);
        assert_eq!(read, Ok(None), "{name}");
        // 16 steps a pixel for looks at the whole, four times over for the enlarged one, and what the looks have of their own.
        assert!(steps < 64 * u64::from(width * height) + 60_000_000, "{name}: {steps}");
    }
}

#[test]
fn a_picture_takes_steps_in_proportion_to_its_pixels_up_to_the_largest() {
    let steps = |side: u32| searched(&GrayImage::from_pixel(side, side, Luma([0]))).1;
    let (small, large) = (steps(1500), steps(3000));
    assert!(large < 5 * small, "{small} and {large}");
    // More pixels than are searched: made smaller first.
    let (read, steps) = searched(&GrayImage::from_pixel(32_768, 520, Luma([255])));
    assert_eq!(read, Ok(None));
    assert!(steps < 5 * 32_768 * 520, "{steps}");
}

#[test]
fn a_deadline_that_has_passed_leaves_no_work_in_any_pixel_format() {
    let picture = image::load_from_memory(FINDERS).unwrap().to_luma8();
    for frame in formats(&picture) {
        let mut budget = ReadBudget::until(Instant::now());
        assert_eq!(read_claim_text(&frame, &mut budget), Err(ReadStopped::Deadline), "{:?}", frame.format());
        assert_eq!(budget.steps(), 0);
    }
}

#[test]
fn a_deadline_ends_a_search_that_has_begun() {
    // More than can be done in a millisecond on any machine; what was done by then is far from all.
    let picture = GrayImage::from_fn(4096, 4096, |x, y| Luma([if finder(x % 8, y % 8) { 0 } else { 255 }]));
    let frame = Frame::new(PixelFormat::Gray8, 4096, 4096, 4096, picture.into_raw()).unwrap();
    let mut budget = ReadBudget::until(Instant::now() + Duration::from_millis(1));
    assert_eq!(read_claim_text(&frame, &mut budget), Err(ReadStopped::Deadline));
    assert!(budget.steps() < 50_000_000, "{}", budget.steps());
}

#[test]
fn claims_are_read_in_every_pixel_format() {
    let claim = claim();
    let picture = Shot { module: 3.0, angle: 0.1, ..Shot::default() }.of(claim.text());
    for frame in formats(&picture) {
        let text = read_claim_text(&frame, &mut minute()).unwrap();
        assert_eq!(text.as_deref(), Some(claim.text()), "{:?}", frame.format());
    }
}

#[test]
fn pictures_of_any_shape_are_searched() {
    for (width, height) in [(1, 1), (1, 4000), (4000, 1), (2, 3), (7, 7), (33, 5), (3, 900)] {
        let stripes = GrayImage::from_fn(width, height, |x, y| Luma([((x ^ y) & 1) as u8 * 255]));
        assert_eq!(text(&stripes), None, "{width} x {height}");
    }
}

const LEVELS: [EcLevel; 4] = [EcLevel::L, EcLevel::M, EcLevel::Q, EcLevel::H];

/// A code before a camera.
struct Shot {
    /// Pixels a module.
    module: f32,
    /// In the picture's plane, in radians.
    angle: f32,
    /// About its vertical axis, in radians, seen from twice its width away.
    tilt: f32,
    /// Times that three pixels each way are averaged.
    blur: u32,
    /// The largest difference by noise.
    noise: u32,
    /// What light modules have; dark ones have 30.
    light: u8,
    mirrored: bool,
}

impl Default for Shot {
    fn default() -> Self {
        Self { module: 4.0, angle: 0.0, tilt: 0.0, blur: 0, noise: 0, light: 220, mirrored: false }
    }
}

impl Shot {
    /// 640 × 480 pixels, each the mean of nine points; around the code a ground of middle brightness.
    fn of(&self, text: &str) -> GrayImage {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let modules = code.width() as f32;
        let distance = 2.0 * (modules + 8.0) * self.module;
        let ((sin, cos), (tilt_sin, tilt_cos)) = (self.angle.sin_cos(), self.tilt.sin_cos());
        let seen = |x: f32, y: f32| {
            // Where the ray through the pixel meets the tilted plane.
            let scale = distance * tilt_cos / (distance * tilt_cos - x * tilt_sin);
            let (u, v) = (x * scale / tilt_cos / self.module, y * scale / self.module);
            let (u, v) = (cos * u + sin * v, cos * v - sin * u);
            let u = if self.mirrored { -u } else { u };
            let (u, v) = (u + modules / 2.0, v + modules / 2.0);
            let within = |margin: f32| [u, v].into_iter().all(|at| at >= -margin && at < modules + margin);
            match (within(4.0), within(0.0) && code[(u as usize, v as usize)] == Color::Dark) {
                (true, true) => 30_u32,
                (true, false) => self.light.into(),
                (false, _) => 120,
            }
        };
        let mut random = 7_u32;
        let mut picture = GrayImage::from_fn(640, 480, |x, y| {
            let points = (0..9).map(|point| {
                let (along, down) = ((point % 3) as f32 / 3.0 - 330.6, (point / 3) as f32 / 3.0 - 237.2);
                seen(x as f32 + along, y as f32 + down)
            });
            let mean = points.sum::<u32>() / 9;
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (random >> 16) % (2 * self.noise + 1);
            Luma([(mean + noise).saturating_sub(self.noise).min(255) as u8])
        });
        for _ in 0..self.blur {
            picture = mean_of_three_each_way(&picture);
        }
        picture
    }
}

fn mean_of_three_each_way(picture: &GrayImage) -> GrayImage {
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let near = |at: u32, size: u32| [at.saturating_sub(1), at, (at + 1).min(size - 1)];
        let columns = near(x, picture.width());
        let rows = near(y, picture.height()).into_iter();
        let pixels = rows.flat_map(|y| columns.map(|x| u32::from(picture.get_pixel(x, y).0[0])));
        Luma([(pixels.sum::<u32>() / 9) as u8])
    })
}

/// Whether the pixel at a column and a row is dark.
type Pattern = Box<dyn Fn(u32, u32) -> bool>;

/// Pictures that look like codes all over, or like what takes a reader long otherwise: which pixels are dark.
fn hostile_patterns() -> Vec<(&'static str, Pattern)> {
    fn noise(x: u32, y: u32) -> bool {
        let mixed = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
        (mixed ^ mixed >> 15).wrapping_mul(0x2C1B_3C6D) >> 31 == 1
    }
    /// A finder's row, light and dark by turns.
    fn striped(at: u32) -> bool {
        !matches!(at % 8, 1 | 5 | 7)
    }
    let other = QrCode::with_error_correction_level("HELLO", EcLevel::L).unwrap();
    let large = QrCode::with_version("HELLO", Version::Normal(28), EcLevel::L).unwrap();
    vec![
        ("black", Box::new(|_, _| true)),
        ("half black", Box::new(|x, _| x < 320)),
        ("noise", Box::new(noise)),
        ("coarse noise", Box::new(|x, y| noise(x / 3, y / 3))),
        ("stripes of a pixel", Box::new(|x, _| x % 2 == 0)),
        ("a board of squares", Box::new(|x, y| (x / 2 % 2) == (y / 2 % 2))),
        ("a comb, connected all over", Box::new(|x, y| y == 0 || x % 2 == 0)),
        ("squares around each other", Box::new(|x, y| x.abs_diff(320).max(y.abs_diff(180)) / 3 % 2 == 0)),
        (
            "a spiral",
            Box::new(|x, y| u32::midpoint(x.abs_diff(320).max(y.abs_diff(180)), 2 * u32::from(x > 320)) % 2 == 0),
        ),
        ("finders of a pixel a module", Box::new(|x, y| finder(x % 8, y % 8))),
        ("finders of two pixels", Box::new(|x, y| finder(x / 2 % 8, y / 2 % 8))),
        ("finders far apart", Box::new(|x, y| finder(x / 2 % 10, y / 2 % 10))),
        ("finders in finders", Box::new(|x, y| finder(x % 8, y % 8) != finder(x / 7 % 8, y / 7 % 8))),
        ("rows of finders one way", Box::new(|x, _| striped(x / 2))),
        ("rows of finders both ways", Box::new(|x, y| striped(x / 2) && striped(y / 2))),
        ("rows of finders against each other", Box::new(|x, y| striped(x / 2) != striped(y / 2))),
        ("finders and timing all over", Box::new(timing_lattice)),
        ("codes all over", Box::new(move |x, y| other_module(&other, x / 2 % 25, y / 2 % 25))),
        (
            "damaged codes",
            Box::new(move |x, y| other_module(&large, x % 132, y % 132) != (noise(x, y) && y % 132 > 12)),
        ),
    ]
}

/// Finders seven modules from each other, with light and dark by turns on every line between them.
fn timing_lattice(x: u32, y: u32) -> bool {
    let (x, y) = (x / 2 % 14, y / 2 % 14);
    match (x < 7, y < 7) {
        (true, true) => finder(x, y),
        (false, true) => x % 2 == 0 && x < 13 && matches!(y, 0 | 6),
        (true, false) => y % 2 == 0 && y < 13 && matches!(x, 0 | 6),
        (false, false) => (x + y) % 3 == 0,
    }
}

/// A finder pattern with a module of quiet around it below and to the right.
fn finder(x: u32, y: u32) -> bool {
    x < 7 && y < 7 && x.abs_diff(3).max(y.abs_diff(3)) != 2
}

fn other_module(code: &QrCode, x: u32, y: u32) -> bool {
    let modules = code.width() as u32;
    x < modules && y < modules && code[(x as usize, y as usize)] == Color::Dark
}

/// Draws a square on white.
fn put(picture: &mut GrayImage, left: u32, top: u32, side: u32, dark: impl Fn(u32, u32) -> bool) {
    for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
        picture.put_pixel(left + x, top + y, Luma([if dark(x, y) { 0 } else { 255 }]));
    }
}

/// A code's picture, upright, with four modules of quiet around it.
fn drawn(code: &QrCode, scale: u32) -> GrayImage {
    let side = (code.width() as u32 + 8) * scale;
    let mut picture = GrayImage::from_pixel(side, side, Luma([255]));
    put(&mut picture, 4 * scale, 4 * scale, side - 8 * scale, |x, y| other_module(code, x / scale, y / scale));
    picture
}

/// The longest text that begins like a claim and fits, and its code; `None` where not even the beginning does.
fn fullest(version: i16, level: EcLevel, filler: &str) -> Option<(String, QrCode)> {
    let version = Version::Normal(version);
    let text = |length: usize| PREFIX.chars().chain(filler.chars().cycle().take(length)).collect::<String>();
    let fits = |length: &usize| {
        let mut bits = Bits::new(version);
        bits.push_optimal_data(text(*length).as_bytes()).and_then(|()| bits.push_terminator(level)).is_ok()
    };
    let (mut longest, mut too_long) = (0, 4000);
    while too_long - longest > 1 {
        let middle = usize::midpoint(longest, too_long);
        if fits(&middle) { longest = middle } else { too_long = middle }
    }
    let text = text(longest);
    fits(&longest).then(|| (text.clone(), QrCode::with_version(&text, version, level).unwrap()))
}

/// The same picture in every format that a camera may have.
fn formats(picture: &GrayImage) -> Vec<Frame<'static>> {
    let (width, height) = picture.dimensions();
    let grey = picture.as_raw();
    let thrice: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
    let yuyv: Vec<u8> = grey.iter().flat_map(|&value| [value, 128]).collect();
    let nv12: Vec<u8> = grey.iter().copied().chain(vec![128; (width * height / 2) as usize]).collect();
    let width_bytes = width as usize;
    [
        (PixelFormat::Gray8, width_bytes, grey.clone()),
        (PixelFormat::Rgb8, 3 * width_bytes, thrice.clone()),
        (PixelFormat::Bgr8, 3 * width_bytes, thrice),
        (PixelFormat::Yuyv, 2 * width_bytes, yuyv),
        (PixelFormat::Nv12, width_bytes, nv12),
    ]
    .map(|(format, stride, data)| Frame::new(format, width, height, stride, data).unwrap())
    .into()
}

/// What is read in a minute, which is more than enough: no test depends on the clock.
fn text(picture: &GrayImage) -> Option<String> {
    searched(picture).0.unwrap()
}

fn searched(picture: &GrayImage) -> (Result<Option<String>, ReadStopped>, u64) {
    let (width, height) = picture.dimensions();
    let frame = Frame::new(PixelFormat::Gray8, width, height, width as usize, picture.as_raw().as_slice()).unwrap();
    let mut budget = minute();
    (read_claim_text(&frame, &mut budget), budget.steps())
}

fn minute() -> ReadBudget {
    ReadBudget::until(Instant::now() + Duration::from_mins(10))
}

fn claim() -> SignedClaim {
    let now: Timestamp = "2025-03-10T04:00:00Z".parse().unwrap();
    let issuer = ClaimIssuer::generate().unwrap();
    issuer.issue([1; 16], SubjectId(7), &["gongbei".parse().unwrap()], now, Duration::from_mins(1)).unwrap()
}
