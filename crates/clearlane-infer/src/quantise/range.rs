//! The range of each value that its quantised form covers.

use ndarray::{ArrayView4, Axis};
use prost::Message;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use tract_onnx::pb::{ModelProto, ValueInfoProto};

use crate::error::{InferError, QuantiseError};
use crate::kernel::integer::Quantisation;
use crate::network::{Network, in_order};

/// Bins of the histogram that a range is chosen by.
const BINS: usize = 2048;

/// How much of the extremes a range may leave out, in steps of a hundredth.
const NARROWEST: usize = 40;

/// The quantisation of each value that leaves the least mean squared error over the images.
pub(super) fn quantisations(
    model: &ModelProto,
    image: &str,
    values: &[String],
    input: [usize; 3],
    images: &ArrayView4<'_, f32>,
) -> Result<Vec<Quantisation>, QuantiseError> {
    let observer = Observer::new(model, image, values, input, images)?;
    let extremes = observer.extremes()?;
    if let Some(at) = extremes.iter().position(|[low, high]| !(low.is_finite() && high.is_finite())) {
        return Err(QuantiseError::NotFinite { value: values[at].clone() });
    }
    let histograms = observer.histograms(&extremes)?;
    Ok(extremes.into_iter().zip(&histograms).map(|(extremes, histogram)| best(extremes, histogram)).collect())
}

/// Runs the model on the images and shows each value that is asked for.
struct Observer<'a> {
    network: Network,
    images: &'a ArrayView4<'a, f32>,
    /// For each value its position among the network's outputs; the image itself has none.
    outputs: Vec<Option<usize>>,
}

impl<'a> Observer<'a> {
    fn new(
        model: &ModelProto,
        image: &str,
        values: &[String],
        input: [usize; 3],
        images: &'a ArrayView4<'a, f32>,
    ) -> Result<Self, InferError> {
        let mut model = model.clone();
        let (mut outputs, mut positions) = (Vec::new(), Vec::new());
        for value in values {
            positions.push((value != image).then_some(outputs.len()));
            if value != image {
                outputs.push(ValueInfoProto { name: value.clone(), ..Default::default() });
            }
        }
        if let Some(graph) = model.graph.as_mut().filter(|_| !outputs.is_empty()) {
            graph.output = outputs;
        }
        Ok(Self { network: Network::from_onnx(&model.encode_to_vec(), input)?, images, outputs: positions })
    }

    /// Gives the values of each image to `see`, and what it made of them for all images to `merge`, in any order.
    fn observe<T: Send>(
        &self,
        none: impl Fn() -> Vec<T> + Sync + Send,
        see: impl Fn(usize, &mut T, &[f32]) + Sync + Send,
        merge: impl Fn(&mut T, T) + Sync + Send,
    ) -> Result<Vec<T>, InferError> {
        let one = |mut seen: Vec<T>, index: usize| {
            let image = self.images.slice_axis(Axis(0), (index..=index).into());
            let outputs = self.network.run(image.view())?;
            for (at, (seen, output)) in seen.iter_mut().zip(&self.outputs).enumerate() {
                match output {
                    Some(output) => {
                        see(at, seen, outputs.get(*output).and_then(|output| output.as_slice()).unwrap_or_default());
                    }
                    None => in_order(&image, |values| see(at, seen, values)),
                }
            }
            Ok(seen)
        };
        let both = |mut seen: Vec<T>, other: Vec<T>| {
            seen.iter_mut().zip(other).for_each(|(seen, other)| merge(seen, other));
            Ok(seen)
        };
        (0..self.images.dim().0).into_par_iter().try_fold(&none, one).try_reduce(&none, both)
    }

    fn extremes(&self) -> Result<Vec<[f32; 2]>, InferError> {
        let wider = |[low, high]: &mut [f32; 2], [other_low, other_high]: [f32; 2]| {
            // What is not a number stays.
            if other_low < *low || other_low.is_nan() {
                *low = other_low;
            }
            if other_high > *high || other_high.is_nan() {
                *high = other_high;
            }
        };
        self.observe(
            // Zero is always in the range, since padding needs it.
            || vec![[0.0; 2]; self.outputs.len()],
            |_, extremes, values| values.iter().for_each(|&value| wider(extremes, [value; 2])),
            wider,
        )
    }

    fn histograms(&self, extremes: &[[f32; 2]]) -> Result<Vec<Vec<u64>>, InferError> {
        self.observe(
            || vec![vec![0; BINS]; self.outputs.len()],
            |at, histogram, values| {
                let [low, high] = extremes[at];
                let inverse = BINS as f32 / (high - low).max(f32::MIN_POSITIVE);
                for value in values {
                    histogram[(((value - low) * inverse) as usize).min(BINS - 1)] += 1;
                }
            },
            |histogram, other| histogram.iter_mut().zip(other).for_each(|(count, other)| *count += other),
        )
    }
}

/// Of the ranges from all of the extremes to [`NARROWEST`] percent of them, the one of the least squared error.
fn best([low, high]: [f32; 2], histogram: &[u64]) -> Quantisation {
    let width = f64::from(high - low) / BINS as f64;
    let error = |quantisation: &Quantisation| {
        let Quantisation { scale, zero } = *quantisation;
        let (scale, zero) = (f64::from(scale), f64::from(zero));
        let bin = |(index, &count): (usize, &u64)| {
            let value = f64::from(low) + (index as f64 + 0.5) * width;
            let stored = ((value / scale).round_ties_even() + zero).clamp(0.0, 255.0);
            count as f64 * ((stored - zero) * scale - value).powi(2)
        };
        histogram.iter().enumerate().filter(|(_, count)| **count > 0).map(bin).sum::<f64>()
    };
    let candidates = (NARROWEST..=100).rev().map(|percent| {
        let part = percent as f32 / 100.0;
        over(part * low, part * high)
    });
    candidates
        .map(|candidate| (error(&candidate), candidate))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(|| over(low, high), |(_, candidate)| candidate)
}

/// The quantisation that spans a range, which holds 0.
fn over(low: f32, high: f32) -> Quantisation {
    let scale = (high - low) / 255.0;
    if !scale.is_normal() {
        return Quantisation { scale: 1.0, zero: 0 };
    }
    Quantisation { scale, zero: (-low / scale).round_ties_even().clamp(0.0, 255.0) as u8 }
}
