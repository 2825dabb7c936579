//! Walking through tensors of one shape that lie in their lists with strides of their own.

use std::ops::Range;

/// The rows of a shape, and where each begins in `N` lists.
#[derive(Clone, Debug)]
pub(super) struct Walk<const N: usize> {
    /// Extents and strides of the axes before the last.
    outer: Vec<(usize, [isize; N])>,
    /// The length of a row, and the strides within it.
    pub(super) length: usize,
    pub(super) strides: [isize; N],
    starts: [usize; N],
}

impl<const N: usize> Walk<N> {
    /// `None` if an axis has no extent, or an index would lie outside of its list, whose lengths are given.
    pub(super) fn new(axes: &[(usize, [isize; N])], starts: [usize; N], lengths: [usize; N]) -> Option<Self> {
        if axes.iter().any(|(extent, _)| *extent == 0) {
            return None;
        }
        for list in 0..N {
            let [mut lowest, mut highest] = [isize::try_from(starts[list]).ok()?; 2];
            for (extent, strides) in axes {
                let reach = isize::try_from(extent - 1).ok()?.checked_mul(strides[list])?;
                lowest = lowest.checked_add(reach.min(0))?;
                highest = highest.checked_add(reach.max(0))?;
            }
            if lowest < 0 || usize::try_from(highest).ok()? >= lengths[list] {
                return None;
            }
        }
        let mut outer: Vec<(usize, [isize; N])> = Vec::new();
        for &(extent, strides) in axes.iter().filter(|(extent, _)| *extent > 1) {
            match outer.last_mut() {
                // The axis goes on where the one before steps: both are one.
                Some(before) if (0..N).all(|list| before.1[list] == strides[list] * extent as isize) => {
                    *before = (before.0 * extent, strides);
                }
                _ => outer.push((extent, strides)),
            }
        }
        let (length, strides) = outer.pop().unwrap_or((1, [1; N]));
        Some(Self { outer, length, strides, starts })
    }

    pub(super) fn rows(&self) -> usize {
        self.outer.iter().map(|(extent, _)| extent).product()
    }

    /// Calls `row` with where each of some rows begins in the lists.
    #[inline(always)]
    pub(super) fn visit(&self, rows: Range<usize>, mut row: impl FnMut([usize; N])) {
        let mut counts = vec![0; self.outer.len()];
        let mut at = self.starts;
        let mut rest = rows.start;
        for (count, (extent, strides)) in counts.iter_mut().zip(&self.outer).rev() {
            *count = rest % extent;
            rest /= extent;
            step(&mut at, strides, *count as isize);
        }
        for _ in rows {
            row(at);
            for (count, (extent, strides)) in counts.iter_mut().zip(&self.outer).rev() {
                *count += 1;
                step(&mut at, strides, 1);
                if *count < *extent {
                    break;
                }
                step(&mut at, strides, -(*extent as isize));
                *count = 0;
            }
        }
    }
}

/// Moves each place by so many strides. A place may leave its list between rows, so that it wraps.
#[inline(always)]
fn step<const N: usize>(at: &mut [usize; N], strides: &[isize; N], steps: isize) {
    for (at, stride) in at.iter_mut().zip(strides) {
        *at = at.wrapping_add_signed(stride * steps);
    }
}

/// The strides of a list in the order of its axes.
pub(crate) fn in_order(extents: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; extents.len()];
    for axis in (1..extents.len()).rev() {
        strides[axis - 1] = strides[axis] * extents[axis] as isize;
    }
    strides
}
