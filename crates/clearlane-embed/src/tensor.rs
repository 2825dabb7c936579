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
        let rgb = resized_rgb(frame, width, height);
        let normalise = Normalise::new(spec);
        let mut values = Vec::with_capacity(3 * spec.width * spec.height);
        for channel in 0..3 {
            let (source, black) = (normalise.source(channel), normalise.apply(channel, 0));
            for row in rgb.chunks_exact(3 * width) {
                values.extend(row.chunks_exact(3).map(|pixel| normalise.apply(channel, pixel[source])));
                values.resize(values.len() + spec.width - width, black);
            }
            values.resize((channel + 1) * spec.width * spec.height, black);
        }
        let input = Array4::from_shape_vec((1, 3, spec.height, spec.width), values)
            .expect("three planes of the input's size were filled");
        Self { input, scale }
    }
}

/// Packed RGB pictures of the network's own size as one batch.
pub(crate) fn batch<'a>(pictures: impl ExactSizeIterator<Item = &'a [u8]>, spec: &InputSpec) -> Array4<f32> {
    let normalise = Normalise::new(spec);
    let mut input = Array4::zeros((pictures.len(), 3, spec.height, spec.width));
    for (mut item, rgb) in input.outer_iter_mut().zip(pictures) {
        for (channel, mut plane) in item.outer_iter_mut().enumerate() {
            let source = normalise.source(channel);
            for (out, pixel) in plane.iter_mut().zip(rgb.chunks_exact(3)) {
                *out = normalise.apply(channel, pixel[source]);
            }
        }
    }
    input
}

/// `(value − mean) / std` as a table: 256 values for each of three planes.
struct Normalise {
    table: [[f32; 256]; 3],
    order: ColourOrder,
}

impl Normalise {
    fn new(spec: &InputSpec) -> Self {
        let plane =
            |channel: usize| std::array::from_fn(|value| (value as f32 - spec.mean[channel]) / spec.std[channel]);
        Self { table: std::array::from_fn(plane), order: spec.colour }
    }

    fn apply(&self, channel: usize, value: u8) -> f32 {
        self.table[channel][usize::from(value)]
    }

    /// Which byte of an RGB pixel goes into a plane.
    fn source(&self, channel: usize) -> usize {
        match self.order {
            ColourOrder::Rgb => channel,
            ColourOrder::Bgr => 2 - channel,
        }
    }
}

/// The frame in another size as packed RGB. Planes are resized as the camera gave them and converted afterwards, when
/// few pixels are left. Bilinear, widened when shrinking, so that nothing aliases.
pub(crate) fn resized_rgb(frame: &Frame<'_>, width: usize, height: usize) -> Vec<u8> {
    let size = (frame.width() as usize, frame.height() as usize);
    let target = (width, height);
    match frame.format() {
        PixelFormat::Rgb8 => resize(&frame.packed(), size, target, PixelType::U8x3),
        PixelFormat::Bgr8 => {
            let mut pixels = resize(&frame.packed(), size, target, PixelType::U8x3);
            pixels.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
            pixels
        }
        PixelFormat::Gray8 => {
            let gray = resize(&frame.packed(), size, target, PixelType::U8);
            gray.into_iter().flat_map(|value| [value; 3]).collect()
        }
        PixelFormat::Nv12 => {
            let chroma_size = (size.0.div_ceil(2), size.1.div_ceil(2));
            let luma = resize(&frame.packed(), size, target, PixelType::U8);
            let chroma = resize(&frame.chroma(), chroma_size, target, PixelType::U8x2);
            to_rgb(frame, &luma, &chroma)
        }
        PixelFormat::Yuyv => {
            let packed = frame.packed();
            let row = packed.len() / size.1;
            let chroma: Vec<u8> = packed.chunks_exact(4).flat_map(|pair| [pair[1], pair[3]]).collect();
            // A row of odd width ends in a pair whose second luma is no pixel.
            let luma_of = |row: &'_ [u8]| row.iter().step_by(2).take(size.0).copied().collect::<Vec<u8>>();
            let luma: Vec<u8> = packed.chunks_exact(row).flat_map(luma_of).collect();
            let luma = resize(&luma, size, target, PixelType::U8);
            let chroma = resize(&chroma, (size.0.div_ceil(2), size.1), target, PixelType::U8x2);
            to_rgb(frame, &luma, &chroma)
        }
    }
}

fn to_rgb(frame: &Frame<'_>, luma: &[u8], chroma: &[u8]) -> Vec<u8> {
    let convert = YuvToRgb::new(frame.yuv_colour());
    luma.iter().zip(chroma.chunks_exact(2)).flat_map(|(&y, uv)| convert.rgb(y, uv[0], uv[1])).collect()
}

fn resize(pixels: &[u8], from: (usize, usize), to: (usize, usize), pixel_type: PixelType) -> Vec<u8> {
    let source = ImageRef::new(from.0 as u32, from.1 as u32, pixels, pixel_type)
        .expect("a frame's planes have the bytes of their size, and bytes are always aligned");
    let mut target = Image::new(to.0 as u32, to.1 as u32, pixel_type);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    Resizer::new().resize(&source, &mut target, &options).expect("source and target have one pixel type");
    target.into_vec()
}
