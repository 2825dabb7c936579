//! The pictures of a page, small and all on one sheet: hundreds of them stay a file that can be sent.

use std::collections::HashMap;
use std::io::Cursor;

use data_encoding::BASE64;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use maud::{Markup, html};

/// Pixels a side, as `.face` in style.css shows them. A multiple of 16: no block of the sheet's JPEG spans two pictures.
const SIDE: u32 = 80;
/// Of 1 to 100. Faces of 80 pixels show no blocks from here on.
const QUALITY: u8 = 60;
const COLUMNS: u32 = 32;

/// Pictures by name.
#[derive(Default)]
pub(crate) struct Faces {
    places: HashMap<String, u32>,
    pictures: Vec<RgbImage>,
}

impl Faces {
    /// Takes the largest square in the middle of a picture. A name that is there already, or an empty picture, changes nothing.
    pub(crate) fn add(&mut self, name: &str, picture: &RgbImage) {
        let (width, height) = picture.dimensions();
        let side = width.min(height);
        if side == 0 || self.places.contains_key(name) {
            return;
        }
        let square = imageops::crop_imm(picture, (width - side) / 2, (height - side) / 2, side, side);
        self.places.insert(name.to_owned(), self.pictures.len() as u32);
        self.pictures.push(imageops::resize(&*square, SIDE, SIDE, FilterType::Triangle));
    }

    /// What the page needs for [`Faces::face`], once.
    pub(crate) fn style(&self) -> String {
        let (columns, rows) = self.shape();
        let mut sheet = RgbImage::from_pixel(columns * SIDE, rows * SIDE, Rgb([128; 3]));
        for (at, picture) in (0..).zip(&self.pictures) {
            imageops::replace(&mut sheet, picture, i64::from(at % COLUMNS * SIDE), i64::from(at / COLUMNS * SIDE));
        }
        let mut jpeg = Cursor::new(Vec::new());
        // 32 pictures across are within a JPEG's sides; so many down that they are not leave the page without pictures.
        if JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&sheet).is_err() {
            return String::new();
        }
        let (address, width, height) = (BASE64.encode(jpeg.get_ref()), 100 * columns, 100 * rows);
        format!(".face{{background:url(data:image/jpeg;base64,{address});background-size:{width}% {height}%}}")
    }

    /// The picture of this name, described by it; nothing where there is none.
    pub(crate) fn face(&self, name: &str) -> Markup {
        let Some(&at) = self.places.get(name) else { return html! {} };
        let (columns, rows) = self.shape();
        let part = |at: u32, of: u32| 100.0 * f64::from(at) / f64::from((of - 1).max(1));
        let (x, y) = (part(at % COLUMNS, columns), part(at / COLUMNS, rows));
        html! { span.face role="img" aria-label=(name) style=(format!("background-position:{x:.3}% {y:.3}%")) {} }
    }

    /// Columns and rows of the sheet.
    fn shape(&self) -> (u32, u32) {
        let count = self.pictures.len().max(1) as u32;
        (count.min(COLUMNS), count.div_ceil(COLUMNS))
    }
}
