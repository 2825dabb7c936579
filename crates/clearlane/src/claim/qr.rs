//! Claims as QR codes (ISO/IEC 18004): written for phones and paper, read from a lane's frames.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clearlane_embed::{Frame, Rotation};
use image::{GrayImage, ImageFormat, Luma};
use qrcode::render::{svg, unicode};
use qrcode::{Color, EcLevel, QrCode};

use super::read::{self, ReadBudget, ReadStopped};
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
    #[error("a claim of {bytes} bytes does not fit into a QR code: name fewer ports")]
    TooLong {
        /// The length of its text.
        bytes: usize,
    },
    /// The side of a module is out of range.
    #[error("a module is 1 to {MAX_SCALE} pixels wide, not {scale}")]
    Scale {
        /// What was asked for.
        scale: u32,
    },
    /// The picture could not be encoded.
    #[error("the picture could not be encoded as PNG: {reason}")]
    Encoding {
        /// What the encoder said.
        reason: String,
    },
}

impl SignedClaim {
    /// The claim as a PNG, one byte a pixel, `scale` pixels for a side of a module (1 to 64).
    pub fn to_png(&self, scale: u32) -> Result<Vec<u8>, QrError> {
        let mut png = Cursor::new(Vec::new());
        let written = self.to_picture(scale)?.write_to(&mut png, ImageFormat::Png);
        written.map_err(|error| QrError::Encoding { reason: error.to_string() })?;
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
        let code = QrCode::with_error_correction_level(self.text(), EcLevel::M);
        code.map_err(|_| QrError::TooLong { bytes: self.text().len() })
    }
}

/// The text of the first claim in a frame, for [`ClaimVerifier::verify`](super::ClaimVerifier::verify); `None` where no
/// QR code of a claim is to be read.
///
/// Whatever the frame shows, this ends by the budget's deadline and a few milliseconds, and within
/// [`MAX_READ_STEPS`](super::MAX_READ_STEPS); where that was before all of the frame was searched, it is an error.
pub fn read_claim_text(frame: &Frame<'_>, budget: &mut ReadBudget) -> Result<Option<String>, ReadStopped> {
    // A code is read however it lies, so that the rows are taken as the camera gave them: the sides are those in memory too.
    let [width, height] = [frame.width(), frame.height()].map(|side| side as usize);
    let size = match frame.rotation() {
        Rotation::None | Rotation::Clockwise180 => (width, height),
        Rotation::Clockwise90 | Rotation::Clockwise270 => (height, width),
    };
    let read = || read::text(size, frame.luma_rows(), |text| text.starts_with(PREFIX), budget);
    // A picture that the reader is not equal to is one without a claim, and no reason to stop a lane.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        tracing::error!("the reader of claims failed on a frame");
        Ok(None)
    })
}
