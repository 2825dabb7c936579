//! Scaling a frame into a network's planes: resized, converted to RGB and normalised row by row, in one pass over the frame.
//!
//! An output is the mean over the square that it covers, or that one sample covers where this is larger: shrinking skips no
//! pixel of the frame; enlarging is bilinear. Rows are mixed before columns, since fewer are left then, and colours
//! are converted when few pixels are left.

use clearlane_infer::{Loops, Wiped};

use crate::frame::{Frame, Layout, YuvToRgb};
use crate::manifest::{ColourOrder, InputSpec};

/// A frame as it lies in memory, to be scaled to `width` × `height` pixels in the upper left corner of three planes of a network's
/// input.
pub(crate) struct Scaling<'a> {
    pub(crate) frame: &'a Frame<'a>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) spec: &'a InputSpec,
    pub(crate) planes: &'a mut [f32],
}

impl Loops for Scaling<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { frame, width, height, spec, planes } = self;
        let mut planes = Planes::new(planes, spec);
        let [frame_width, frame_height] = frame.size_in_memory().map(|side| side as usize);
        let (from, to) = ((frame_width, frame_height), (width, height));
        let pairs = from.0.div_ceil(2);
        match frame.layout() {
            Layout::Packed3 { blue_first } => packed::<3>(frame, blue_first, from, to, &mut planes),
            Layout::Packed4 { blue_first } => packed::<4>(frame, blue_first, from, to, &mut planes),
            Layout::Gray => {
                let (rows, mut columns) = (Axis::new(from.1, to.1, 1), Columns::<1>::new(from.0, to.0));
                for y in 0..height {
                    rows.mix(y, |row| frame.packed_row(row), &mut columns.samples);
                    planes.write(y, columns.mix().iter().map(|&[value, ..]| [value; 3]));
                }
            }
            Layout::Biplanar => {
                let convert = YuvToRgb::new(frame.yuv_colour());
                let (rows, mut luma) = (Axis::new(from.1, to.1, 1), Columns::<1>::new(from.0, to.0));
                let (chroma_rows, mut chroma) =
                    (Axis::new(from.1.div_ceil(2), to.1, 1), Columns::<2>::new(pairs, to.0));
                for y in 0..height {
                    rows.mix(y, |row| frame.packed_row(row), &mut luma.samples);
                    chroma_rows.mix(y, |row| frame.chroma_row(row), &mut chroma.samples);
                    let pixels = luma.mix().iter().zip(chroma.mix());
                    planes.write(y, pixels.map(|(&[y, ..], &[u, v, ..])| convert.unrounded(y, u, v)));
                }
            }
            Layout::Pairs { chroma_first } => {
                let convert = YuvToRgb::new(frame.yuv_colour());
                let rows = Axis::new(from.1, to.1, 1);
                let (mut luma, mut chroma) = (Columns::<1>::new(from.0, to.0), Columns::<2>::new(pairs, to.0));
                let mut mixed = Wiped::zeroed(4 * pairs);
                for y in 0..height {
                    rows.mix(y, |row| frame.packed_row(row), &mut mixed);
                    // A row of odd width ends in a pair whose second luma is no pixel.
                    for (x, &[a, b, c, d]) in mixed.as_chunks().0.iter().enumerate() {
                        let [first, u, second, v] = if chroma_first { [b, a, d, c] } else { [a, b, c, d] };
                        luma.samples[2 * x] = first;
                        luma.samples[2 * x + 1] = if 2 * x + 1 < from.0 { second } else { 0.0 };
                        chroma.samples[2 * x] = u;
                        chroma.samples[2 * x + 1] = v;
                    }
                    let pixels = luma.mix().iter().zip(chroma.mix());
                    planes.write(y, pixels.map(|(&[y, ..], &[u, v, ..])| convert.unrounded(y, u, v)));
                }
            }
        }
    }
}

/// Pixels of `C` bytes, the first three of them colours.
#[inline(always)]
fn packed<const C: usize>(
    frame: &Frame<'_>,
    blue_first: bool,
    from: (usize, usize),
    to: (usize, usize),
    planes: &mut Planes<'_>,
) {
    let swap = if blue_first { 2 } else { 0 };
    let (rows, mut columns) = (Axis::new(from.1, to.1, 1), Columns::<C>::new(from.0, to.0));
    for y in 0..to.1 {
        rows.mix(y, |row| frame.packed_row(row), &mut columns.samples);
        planes.write(y, columns.mix().iter().map(|pixel| [pixel[swap], pixel[1], pixel[2 - swap]]));
    }
}

/// Which samples of one axis each output is the weighted mean of.
struct Axis {
    /// The first sample of each output.
    starts: Vec<usize>,
    /// Samples an output; an output of fewer has weights of zero for the others.
    taps: usize,
    /// The weights of each output's samples.
    weights: Vec<f32>,
}

impl Axis {
    /// Weights of `to` outputs over `from` samples; the number of taps is a multiple of `group`.
    fn new(from: usize, to: usize, group: usize) -> Self {
        // In units of which a sample has `cell` and an output `2 * from`, so that all ends are whole numbers.
        let (cell, half) = (2 * to, from.max(to));
        let span = |output: usize| {
            let centre = (2 * output + 1) * from;
            (centre.saturating_sub(half), (centre + half).min(from * cell))
        };
        let window = |output: usize| {
            let (low, high) = span(output);
            low / cell..high.div_ceil(cell)
        };
        let taps = (0..to).map(|output| window(output).len()).max().unwrap_or(1).next_multiple_of(group);
        let mut weights = vec![0.0; to * taps];
        for (output, weights) in weights.chunks_exact_mut(taps).enumerate() {
            let (low, high) = span(output);
            for (sample, out) in window(output).zip(weights) {
                let covered = ((sample + 1) * cell).min(high) - (sample * cell).max(low);
                *out = covered as f32 / (high - low) as f32;
            }
        }
        Self { starts: (0..to).map(|output| window(output).start).collect(), taps, weights }
    }

    /// The mean of the rows that output row `y` is made of, into the beginning of `out`. Row after row: so each comes from memory
    /// in one piece, while the sums stay in the cache.
    #[inline(always)]
    fn mix<'a>(&self, y: usize, row: impl Fn(usize) -> &'a [u8], out: &mut [f32]) {
        let weights = &self.weights[y * self.taps..][..self.taps];
        let used = (self.starts[y]..).zip(weights).filter(|(_, weight)| **weight > 0.0);
        for (place, (index, &weight)) in used.enumerate() {
            let row = row(index);
            let pairs = out.iter_mut().zip(row);
            if place == 0 {
                pairs.for_each(|(sum, &byte)| *sum = weight * f32::from(byte));
            } else {
                pairs.for_each(|(sum, &byte)| *sum += weight * f32::from(byte));
            }
        }
    }
}

/// The columns of one row: samples of `C` channels each, and the outputs made of them.
///
/// Four values are worked on at a time: four samples of one channel, two of two, or one of three and a value of the next
/// one, whose weight is zero.
struct Columns<const C: usize> {
    /// Where the values of each output start.
    starts: Vec<usize>,
    /// The weights of each output's values, four by four.
    weights: Vec<[f32; 4]>,
    /// Zeros follow the last sample, so that every output has its taps.
    samples: Wiped<f32>,
    /// The sums, the first `C` of them the channels'. All four are kept, so that the compiler makes one vector of them.
    outputs: Wiped<[f32; 4]>,
}

impl<const C: usize> Columns<C> {
    /// Samples that one step takes.
    const SAMPLES: usize = 4 / C;

    fn new(from: usize, to: usize) -> Self {
        let axis = Axis::new(from, to, Self::SAMPLES);
        let spread = |weights: &[f32]| std::array::from_fn(|i| weights.get(i / C).copied().unwrap_or(0.0));
        let weights = axis.weights.chunks_exact(Self::SAMPLES).map(spread).collect();
        let samples = Wiped::zeroed((from + axis.taps) * C + 4);
        let starts = axis.starts.iter().map(|start| start * C).collect();
        Self { starts, weights, samples, outputs: Wiped::zeroed(to) }
    }

    #[inline(always)]
    fn mix(&mut self) -> &[[f32; 4]] {
        // The loops of one step and of two are unrolled: up to eight samples of one channel, four of two.
        match self.weights.len() / self.outputs.len() {
            1 => self.mix_by(|weights| weights.as_chunks::<1>().0.iter()),
            2 => self.mix_by(|weights| weights.as_chunks::<2>().0.iter()),
            steps => self.mix_by(|weights| weights.chunks_exact(steps)),
        }
        &self.outputs
    }

    /// The outputs, with the weights of each as `split` finds them.
    #[inline(always)]
    fn mix_by<'a, W: AsRef<[[f32; 4]]> + 'a, I: Iterator<Item = W>>(&'a mut self, split: impl Fn(&'a [[f32; 4]]) -> I) {
        let Self { starts, weights, samples, outputs } = self;
        for ((output, &start), weights) in outputs.iter_mut().zip(&*starts).zip(split(weights)) {
            let weights = weights.as_ref();
            let reach = (weights.len() - 1) * Self::SAMPLES * C + 4;
            let Some(samples) = samples.get(start..start + reach) else { continue };
            let mut sums = [0.0; 4];
            for (step, weights) in weights.iter().enumerate() {
                let samples = &samples[step * Self::SAMPLES * C..][..4];
                for ((sum, sample), weight) in sums.iter_mut().zip(samples).zip(weights) {
                    *sum += sample * weight;
                }
            }
            *output = match C {
                1 => [(sums[0] + sums[2]) + (sums[1] + sums[3]), 0.0, 0.0, 0.0],
                2 => [sums[0] + sums[2], sums[1] + sums[3], 0.0, 0.0],
                _ => sums,
            };
        }
    }
}

/// The planes of red, green and blue, and the ramp of each.
struct Planes<'a> {
    channels: [&'a mut [f32]; 3],
    ramps: [Ramp; 3],
    width: usize,
}

impl<'a> Planes<'a> {
    fn new(values: &'a mut [f32], spec: &InputSpec) -> Self {
        let (first, rest) = values.split_at_mut(spec.width * spec.height);
        let (second, third) = rest.split_at_mut(spec.width * spec.height);
        let (mut channels, mut ramps) = ([first, second, third], Ramp::of_planes(spec));
        if spec.colour == ColourOrder::Bgr {
            channels.swap(0, 2);
            ramps.swap(0, 2);
        }
        Self { channels, ramps, width: spec.width }
    }

    /// Writes pixels of red, green and blue into the beginning of a row of each plane.
    #[inline(always)]
    fn write(&mut self, y: usize, pixels: impl Iterator<Item = [f32; 3]>) {
        let [red, green, blue] = self.channels.each_mut().map(|plane| &mut plane[y * self.width..][..self.width]);
        for (((red, green), blue), pixel) in red.iter_mut().zip(green).zip(blue).zip(pixels) {
            *red = self.ramps[0].at(pixel[0]);
            *green = self.ramps[1].at(pixel[1]);
            *blue = self.ramps[2].at(pixel[2]);
        }
    }
}

/// `(value − mean) / std` of one plane.
#[derive(Clone, Copy)]
pub(crate) struct Ramp {
    mean: f32,
    inverse: f32,
}

impl Ramp {
    pub(crate) fn of_planes(spec: &InputSpec) -> [Self; 3] {
        std::array::from_fn(|plane| Self { mean: spec.mean[plane], inverse: spec.std[plane].recip() })
    }

    #[inline(always)]
    pub(crate) fn at(self, value: f32) -> f32 {
        (value - self.mean) * self.inverse
    }
}

#[cfg(test)]
mod tests {
    use clearlane_infer::vectorised;

    use super::*;
    use crate::frame::PixelFormat;

    fn spec(width: usize, height: usize, colour: ColourOrder) -> InputSpec {
        InputSpec { width, height, colour, mean: [10.0, 20.0, 30.0], std: [2.0, 4.0, 8.0] }
    }

    fn planes(frame: &Frame<'_>, width: usize, height: usize, colour: ColourOrder) -> Vec<f32> {
        let spec = spec(width, height, colour);
        let mut planes = vec![0.0; 3 * width * height];
        vectorised(Scaling { frame, width, height, spec: &spec, planes: &mut planes });
        planes
    }

    fn noise(count: usize) -> Vec<u8> {
        (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    /// The mean over the square about an output that is as large as an output or a sample, in doubles.
    fn mean(from: (usize, usize), to: (usize, usize), x: usize, y: usize, value: impl Fn(usize, usize) -> u8) -> f64 {
        let weight = |from: usize, to: usize, output: usize, sample: usize| {
            let scale = from as f64 / to as f64;
            let (centre, half) = ((output as f64 + 0.5) * scale, f64::max(scale, 1.0) / 2.0);
            (f64::min(sample as f64 + 1.0, centre + half) - f64::max(sample as f64, centre - half)).max(0.0)
        };
        let (mut sum, mut weights) = (0.0, 0.0);
        for v in 0..from.1 {
            for u in 0..from.0 {
                let weight = weight(from.0, to.0, x, u) * weight(from.1, to.1, y, v);
                sum += weight * f64::from(value(u, v));
                weights += weight;
            }
        }
        sum / weights
    }

    const SIZES: [((usize, usize), (usize, usize)); 5] =
        [((37, 23), (11, 7)), ((64, 64), (16, 16)), ((5, 9), (13, 20)), ((40, 40), (40, 40)), ((1, 1), (3, 2))];

    #[test]
    fn packed_pixels_are_means_of_what_they_cover() {
        for (from, to) in SIZES {
            for (format, channels) in [(PixelFormat::Rgb8, 3), (PixelFormat::Bgr8, 3), (PixelFormat::Gray8, 1)] {
                let pixels = noise(from.0 * from.1 * channels);
                let frame = Frame::new(format, from.0 as u32, from.1 as u32, from.0 * channels, &pixels[..]).unwrap();
                let rgb = planes(&frame, to.0, to.1, ColourOrder::Rgb);
                for (plane, (shift, std)) in [(10.0, 2.0), (20.0, 4.0), (30.0, 8.0)].into_iter().enumerate() {
                    let channel = match format {
                        PixelFormat::Rgb8 => plane,
                        PixelFormat::Bgr8 => 2 - plane,
                        _ => 0,
                    };
                    for (y, x) in (0..to.1).flat_map(|y| (0..to.0).map(move |x| (y, x))) {
                        let at = |u: usize, v: usize| pixels[(v * from.0 + u) * channels + channel];
                        let expected = (mean(from, to, x, y, at) - shift) / std;
                        let found = f64::from(rgb[(plane * to.1 + y) * to.0 + x]);
                        assert!((found - expected).abs() < 1e-3, "{format:?} {from:?} to {to:?}: {found}, {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn subsampled_chroma_is_scaled_by_itself_and_converted_last() {
        for (from, to) in SIZES {
            let pairs = (from.0.div_ceil(2), from.1.div_ceil(2));
            let (luma, chroma) = (noise(from.0 * from.1), noise(2 * pairs.0 * pairs.1));
            let nv12 =
                Frame::nv12(from.0 as u32, from.1 as u32, (&luma[..], from.0), (&chroma[..], 2 * pairs.0)).unwrap();
            let rows = planes(&nv12, to.0, to.1, ColourOrder::Bgr);
            for (y, x) in (0..to.1).flat_map(|y| (0..to.0).map(move |x| (y, x))) {
                let luma = mean(from, to, x, y, |u, v| luma[v * from.0 + u]);
                let chroma = [0, 1].map(|part| mean(pairs, to, x, y, |u, v| chroma[2 * (v * pairs.0 + u) + part]));
                // ITU-R BT.601, luma 16 to 235.
                let (y601, u, v) = (1.164_383 * (luma - 16.0), chroma[0] - 128.0, chroma[1] - 128.0);
                let bgr = [y601 + 2.017_232 * u, y601 - 0.391_762 * u - 0.812_968 * v, y601 + 1.596_027 * v];
                for (plane, (shift, std)) in [(10.0, 2.0), (20.0, 4.0), (30.0, 8.0)].into_iter().enumerate() {
                    let expected = (bgr[plane].clamp(0.0, 255.0) - shift) / std;
                    let found = f64::from(rows[(plane * to.1 + y) * to.0 + x]);
                    assert!((found - expected).abs() < 0.02, "{from:?} to {to:?}: {found}, {expected}");
                }
            }
        }
    }

    #[test]
    fn yuyv_of_whole_rows_of_one_colour_is_nv12_of_the_same() {
        let (width, height) = (35_u32, 12_u32);
        let pairs = width.div_ceil(2) as usize;
        let (luma, chroma) = (noise(width as usize), noise(2 * pairs));
        let mut yuyv = Vec::new();
        for pair in 0..pairs {
            let second = luma.get(2 * pair + 1).copied().unwrap_or(0);
            yuyv.extend([luma[2 * pair], chroma[2 * pair], second, chroma[2 * pair + 1]]);
        }
        let (rows, half) = (height as usize, height as usize / 2);
        let (luma, chroma, yuyv) = (luma.repeat(rows), chroma.repeat(half), yuyv.repeat(rows));
        let nv12 = Frame::nv12(width, height, (luma, width as usize), (chroma, 2 * pairs)).unwrap();
        let yuyv = Frame::new(PixelFormat::Yuyv, width, height, 4 * pairs, yuyv).unwrap();
        let (a, b) = (planes(&nv12, 10, 5, ColourOrder::Rgb), planes(&yuyv, 10, 5, ColourOrder::Rgb));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-3));
    }
}
