//! Claims as QR codes (ISO/IEC 18004): written for phones and paper, read from a lane's frames.

use std::io::Cursor;

use clearlane_embed::Frame;
use image::{GrayImage, ImageFormat, Luma};
use qrcode::render::{svg, unicode};
use qrcode::{Color, EcLevel, QrCode};

use super::{PREFIX, SignedClaim};

/// Light modules around the code: ISO/IEC 18004 asks for four.
const QUIET_ZONE: u32 = 4;

/// The largest side of a module, in pixels.
const MAX_SCALE: u32 = 64;

/// Why a claim was not drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QrError {
    /// The claim does not fit into a QR code.
    #[error("the claim does not fit into a QR code: {0}")]
    Code(#[from] qrcode::types::QrError),
    /// The side of a module is out of range.
    #[error("a module is 1 to {MAX_SCALE} pixels wide, not {scale}")]
    Scale {
        /// What was asked for.
        scale: u32,
    },
    /// The picture could not be written.
    #[error("the picture could not be written: {0}")]
    Image(#[from] image::ImageError),
}

impl SignedClaim {
    /// The claim as a PNG, one byte a pixel, `scale` pixels for a side of a module (1 to 64).
    pub fn to_png(&self, scale: u32) -> Result<Vec<u8>, QrError> {
        let mut png = Cursor::new(Vec::new());
        self.to_picture(scale)?.write_to(&mut png, ImageFormat::Png)?;
        Ok(png.into_inner())
    }

    /// The claim as an SVG document.
    pub fn to_svg(&self) -> Result<String, QrError> {
        Ok(self.code()?.render::<svg::Color<'_>>().quiet_zone(true).build())
    }

    /// The claim as lines of text for a terminal with light letters on a dark ground: two rows of modules a line.
    pub fn to_terminal(&self) -> Result<String, QrError> {
        // The light modules are drawn, so that the code is dark on light as readers expect.
        let code = self.code()?;
        let mut renderer = code.render::<unicode::Dense1x2>();
        Ok(renderer.dark_color(unicode::Dense1x2::Light).light_color(unicode::Dense1x2::Dark).build())
    }

    fn to_picture(&self, scale: u32) -> Result<GrayImage, QrError> {
        if !(1..=MAX_SCALE).contains(&scale) {
            return Err(QrError::Scale { scale });
        }
        let code = self.code()?;
        let modules = code.width() as u32;
        let side = (modules + 2 * QUIET_ZONE) * scale;
        Ok(GrayImage::from_fn(side, side, |x, y| {
            let module = |at: u32| (at / scale).checked_sub(QUIET_ZONE).filter(|&at| at < modules);
            let dark = module(x).zip(module(y)).is_some_and(|(x, y)| code[(x as usize, y as usize)] == Color::Dark);
            Luma([if dark { 0 } else { 255 }])
        }))
    }

    fn code(&self) -> Result<QrCode, QrError> {
        Ok(QrCode::with_error_correction_level(self.text(), EcLevel::M)?)
    }
}

/// How the reader looks at a frame, one after another until it reads: enlarged by a factor, turned by an angle (radians).
///
/// The reader's sampling grid fails on about one code in four whose modules are only two or three pixels wide; seen at
/// another pitch or angle, nearly all of these are read.
const LOOKS: [(f32, f32); 5] = [(1.0, 0.0), (2.0, 0.0), (1.5, 0.0), (1.0, 0.3), (1.0, -0.3)];

/// Frames with more pixels are not enlarged: their codes are large enough.
const MAX_ENLARGED: usize = 1 << 21;

/// The text of the first claim in a frame, for [`ClaimVerifier::verify`](super::ClaimVerifier::verify); `None` where no
/// QR code of a claim is to be read.
#[must_use]
pub fn read_claim_text(frame: &Frame<'_>) -> Option<String> {
    let picture = Luma8::of(frame);
    let looks = LOOKS.iter().filter(|(scale, _)| *scale <= 1.0 || picture.values.len() <= MAX_ENLARGED);
    looks.copied().find_map(|(scale, angle)| picture.read(scale, angle))
}

/// A frame's luma, without padding.
struct Luma8 {
    values: Vec<u8>,
    width: usize,
    height: usize,
}

impl Luma8 {
    /// As of ITU-R BT.601, in 1/256.
    fn of(frame: &Frame<'_>) -> Self {
        let luma = |pixel: &[u8]| {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
            ((77 * r + 150 * g + 29 * b) >> 8) as u8
        };
        let values = frame.to_rgb8().chunks_exact(3).map(luma).collect();
        Self { values, width: frame.width() as usize, height: frame.height() as usize }
    }

    fn read(&self, scale: f32, angle: f32) -> Option<String> {
        let (width, height) = ((self.width as f32 * scale) as usize, (self.height as f32 * scale) as usize);
        let (sin, cos) = angle.sin_cos();
        let (centre_x, centre_y) = (self.width as f32 / 2.0, self.height as f32 / 2.0);
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            let (x, y) = (x as f32 / scale - centre_x, y as f32 / scale - centre_y);
            self.at(cos * x + sin * y + centre_x, cos * y - sin * x + centre_y)
        });
        let grids = picture.detect_grids();
        grids.iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).find(|text| text.starts_with(PREFIX))
    }

    /// Bilinear; the border's value beyond the border.
    fn at(&self, x: f32, y: f32) -> u8 {
        let (x, y) = (x.clamp(0.0, (self.width - 1) as f32), y.clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (along, down) = (x - left as f32, y - top as f32);
        let value = |x: usize, y: usize| f32::from(self.values[y * self.width + x]);
        let upper = value(left, top) + along * (value(right, top) - value(left, top));
        let lower = value(left, bottom) + along * (value(right, bottom) - value(left, bottom));
        (upper + down * (lower - upper)).round() as u8
    }
}
