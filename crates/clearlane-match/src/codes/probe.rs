//! A probe in the form that the scan takes.

use zeroize::{Zeroize, Zeroizing};

use super::quantise::{Fit, nearest, to_bytes};
use super::{Layout, Rotation};
use crate::Kernel;
use crate::kernel::{LevelProbe, PLANES, PlaneProbe, Survivor};

/// A probe, rotated and rounded to match codes of one layout. What was made of the probe on the way is wiped, and this when it
/// is dropped.
pub(crate) struct CodedProbe {
    form: Form,
    /// How the probe relates to its rounded form.
    pub(super) fit: Fit,
    /// See [`Rotation::roundings`].
    pub(super) roundings: usize,
    pub(super) dimension: usize,
}

enum Form {
    Planes(PlaneProbe),
    Levels(LevelProbe),
}

impl CodedProbe {
    pub(crate) fn new(probe: &[f32], layout: Layout, rotation: &Rotation) -> Self {
        let mut rotated = Zeroizing::new(probe.to_vec());
        rotation.apply::<1>(rotated.as_chunks_mut().0);
        let (one, _) = rotated.as_chunks::<1>();
        let (dimension, roundings) = (probe.len(), rotation.roundings());
        if layout.bits() == 1 {
            let mut levels = Zeroizing::new(vec![0; dimension]);
            let [fit] = nearest(one, PLANES as u32, levels.as_chunks_mut().0);
            return Self { form: Form::Planes(PlaneProbe::new(&levels)), fit, roundings, dimension };
        }
        let bytes = Zeroizing::new(to_bytes(&rotated));
        let [fit] = Fit::of(one, bytes.iter().map(|byte| [f32::from(*byte)]));
        Self { form: Form::Levels(LevelProbe::new(&bytes, layout.bits())), fit, roundings, dimension }
    }

    /// The product with the second bits of one code, bit after bit in its bytes; `None` where codes are not refined.
    #[inline(always)]
    pub(super) fn product_with(&self, seconds: &[u8]) -> Option<i32> {
        match &self.form {
            Form::Planes(probe) => Some(probe.product_with(seconds)),
            Form::Levels(_) => None,
        }
    }

    /// Adds the codes of `blocks` whose product with the probe reaches their block's threshold to the survivors.
    pub(crate) fn scan(&self, kernel: Kernel, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
        match &self.form {
            Form::Planes(probe) => kernel.scan_planes(probe, blocks, thresholds, survivors),
            Form::Levels(probe) => kernel.scan_levels(probe, blocks, thresholds, survivors),
        }
    }
}

impl Drop for CodedProbe {
    fn drop(&mut self) {
        match &mut self.form {
            Form::Planes(probe) => probe.zeroize(),
            Form::Levels(probe) => probe.zeroize(),
        }
    }
}
