//! From pixels to a network's input: resizing without colour conversion of the whole frame, then normalised planes.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use ndarray::Array4;

use crate::frame::{Frame, PixelFormat, YuvToRgb};
use crate::manifest::{ColourOrder, InputSpec};

/// A frame scaled into a network's input, in its upper left corner, the rest black.
pub(crate) struct Letterbox {
    /// 1 × 3 × height × width.
    pub(crate) input: Array4<f32>,
    /// Input pixels a frame pixel.
    pub(crate) scale: f32,
}

impl Letterbox {
    pub(crate) fn new(frame: &Frame<'_>, spec: &InputSpec) -> Self {
        let scale = (spec.width as f32 / frame.width() as f32).min(spec.height as f32 / frame.height() as f32);
        let fitted = |side: u32, limit: usize| ((side as f32 * scale).round() as usize).clamp(1, limit);
        let (width, height) = (fitted(frame.width(), spec.width), fitted(frame.height(), spec.height));
        let resized = Resized::new(frame, width, height);
        let mut values = vec![0.0; 3 * spec.width * spec.height];
        for (plane, ramp) in values.chunks_exact_mut(spec.width * spec.height).zip(Ramp::of_planes(spec)) {
            let black = ramp.at(0.0);
            plane[height * spec.width..].fill(black);
            plane.chunks_exact_mut(spec.width).take(height).for_each(|row| row[width..].fill(black));
        }
        resized.write(&mut values, spec);
        let input = Array4::from_shape_vec((1, 3, spec.height, spec.width), values)
            .expect("three planes of the input's size were made");
        Self { input, scale }
    }
}

/// `(value − mean) / std` of one plane.
#[derive(Clone, Copy)]
struct Ramp {
    mean: f32,
    inverse: f32,
}

impl Ramp {
    fn of_planes(spec: &InputSpec) -> [Self; 3] {
        std::array::from_fn(|plane| Self { mean: spec.mean[plane], inverse: spec.std[plane].recip() })
    }

    #[inline]
    fn at(self, value: f32) -> f32 {
        (value - self.mean) * self.inverse
    }
}

/// Packed RGB pictures of the network's own size as one batch.
pub(crate) fn batch<'a>(pictures: impl ExactSizeIterator<Item = &'a [u8]>, spec: &InputSpec) -> Array4<f32> {
    // Every byte's value exactly as divided: templates are compared to those of other machines.
    let table: [[f32; 256]; 3] =
        std::array::from_fn(|plane| std::array::from_fn(|value| (value as f32 - spec.mean[plane]) / spec.std[plane]));
    let mut input = Array4::zeros((pictures.len(), 3, spec.height, spec.width));
    for (mut item, rgb) in input.outer_iter_mut().zip(pictures) {
        for (channel, mut plane) in item.outer_iter_mut().enumerate() {
            let source = match spec.colour {
                ColourOrder::Rgb => channel,
                ColourOrder::Bgr => 2 - channel,
            };
            for (out, pixel) in plane.iter_mut().zip(rgb.chunks_exact(3)) {
                *out = table[channel][usize::from(pixel[source])];
            }
        }
    }
    input
}

/// An RGB frame in another size as packed RGB.
pub(crate) fn resized_rgb(frame: &Frame<'_>, width: usize, height: usize) -> Vec<u8> {
    let size = (frame.width() as usize, frame.height() as usize);
    resize(&frame.to_rgb8(), size, (width, height), PixelType::U8x3)
}

/// A frame in another size: its planes as the camera gave them, converted when few pixels are left.
struct Resized {
    width: usize,
    pixels: Pixels,
}

enum Pixels {
    Rgb(Vec<u8>),
    Bgr(Vec<u8>),
    Gray(Vec<u8>),
    Yuv { luma: Vec<u8>, chroma: Vec<u8>, convert: YuvToRgb },
}

impl Resized {
    fn new(frame: &Frame<'_>, width: usize, height: usize) -> Self {
        let size = (frame.width() as usize, frame.height() as usize);
        let target = (width, height);
        let yuv = |luma: &[u8], chroma: &[u8], chroma_size| Pixels::Yuv {
            luma: resize(luma, size, target, PixelType::U8),
            chroma: resize(chroma, chroma_size, target, PixelType::U8x2),
            convert: YuvToRgb::new(frame.yuv_colour()),
        };
        let packed = frame.packed();
        let pixels = match frame.format() {
            PixelFormat::Rgb8 => Pixels::Rgb(resize(&packed, size, target, PixelType::U8x3)),
            PixelFormat::Bgr8 => Pixels::Bgr(resize(&packed, size, target, PixelType::U8x3)),
            PixelFormat::Gray8 => Pixels::Gray(resize(&packed, size, target, PixelType::U8)),
            PixelFormat::Nv12 => yuv(&packed, &frame.chroma(), (size.0.div_ceil(2), size.1.div_ceil(2))),
            PixelFormat::Yuyv => {
                let chroma: Vec<u8> = packed.chunks_exact(4).flat_map(|pair| [pair[1], pair[3]]).collect();
                // A row of odd width ends in a pair whose second luma is no pixel.
                let luma_of = |row: &'_ [u8]| row.iter().step_by(2).take(size.0).copied().collect::<Vec<u8>>();
                let luma: Vec<u8> = packed.chunks_exact(packed.len() / size.1).flat_map(luma_of).collect();
                yuv(&luma, &chroma, (size.0.div_ceil(2), size.1))
            }
        };
        Self { width, pixels }
    }

    /// Writes the normalised values into the upper left corner of three planes.
    fn write(&self, values: &mut [f32], spec: &InputSpec) {
        let (first, rest) = values.split_at_mut(spec.width * spec.height);
        let (second, third) = rest.split_at_mut(spec.width * spec.height);
        let [ramp_1, ramp_2, ramp_3] = Ramp::of_planes(spec);
        let mut planes = [(first, ramp_1), (second, ramp_2), (third, ramp_3)];
        if spec.colour == ColourOrder::Bgr {
            planes.swap(0, 2);
        }
        let [(red, red_ramp), (green, green_ramp), (blue, blue_ramp)] = planes;
        let rows = red.chunks_exact_mut(spec.width).zip(green.chunks_exact_mut(spec.width));
        let rows = rows.zip(blue.chunks_exact_mut(spec.width)).map(|((r, g), b)| [r, g, b]);
        let ramps = [red_ramp, green_ramp, blue_ramp];
        let bytes = |pixel: [u8; 3]| pixel.map(f32::from);
        let width = self.width;
        match &self.pixels {
            Pixels::Rgb(pixels) => rows.zip(pixels.chunks_exact(3 * width)).for_each(|(row, pixels)| {
                write_row(row, ramps, pixels.chunks_exact(3).map(|pixel| bytes([pixel[0], pixel[1], pixel[2]])));
            }),
            Pixels::Bgr(pixels) => rows.zip(pixels.chunks_exact(3 * width)).for_each(|(row, pixels)| {
                write_row(row, ramps, pixels.chunks_exact(3).map(|pixel| bytes([pixel[2], pixel[1], pixel[0]])));
            }),
            Pixels::Gray(pixels) => rows.zip(pixels.chunks_exact(width)).for_each(|(row, pixels)| {
                write_row(row, ramps, pixels.iter().map(|&value| bytes([value; 3])));
            }),
            Pixels::Yuv { luma, chroma, convert } => {
                let planes = luma.chunks_exact(width).zip(chroma.chunks_exact(2 * width));
                rows.zip(planes).for_each(|(row, (luma, chroma))| {
                    let pixels = luma.iter().zip(chroma.chunks_exact(2));
                    write_row(row, ramps, pixels.map(|(&y, uv)| convert.unrounded(y, uv[0], uv[1])));
                });
            }
        }
    }
}

/// Writes pixels of red, green and blue into the beginning of a row of each plane.
#[inline]
fn write_row([red, green, blue]: [&mut [f32]; 3], ramps: [Ramp; 3], pixels: impl Iterator<Item = [f32; 3]>) {
    for (((red, green), blue), pixel) in red.iter_mut().zip(green).zip(blue).zip(pixels) {
        *red = ramps[0].at(pixel[0]);
        *green = ramps[1].at(pixel[1]);
        *blue = ramps[2].at(pixel[2]);
    }
}

/// Bilinear, widened when shrinking, so that nothing aliases.
fn resize(pixels: &[u8], from: (usize, usize), to: (usize, usize), pixel_type: PixelType) -> Vec<u8> {
    let source = ImageRef::new(from.0 as u32, from.1 as u32, pixels, pixel_type)
        .expect("a frame's planes have the bytes of their size, and bytes are always aligned");
    let mut target = Image::new(to.0 as u32, to.1 as u32, pixel_type);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    Resizer::new().resize(&source, &mut target, &options).expect("source and target have one pixel type");
    target.into_vec()
}
