//! Values of a list in another order, some of them, or some more than once.

use std::ops::Range;

use super::walk::Walk;

/// What transposes, slices and repeats: each axis of the output steps through the input with a stride of its own.
pub(crate) struct Move {
    walk: Walk<1>,
    reads: usize,
}

impl Move {
    /// For each axis of the output its extent and its stride in an input of `reads` values, of which `start` is the first;
    /// `None` if that leads out of the input.
    pub(crate) fn new(axes: &[(usize, isize)], start: usize, reads: usize) -> Option<Self> {
        let axes: Vec<_> = axes.iter().map(|&(extent, stride)| (extent, [stride])).collect();
        Some(Self { walk: Walk::new(&axes, [start], [reads])?, reads })
    }

    pub(super) fn reads(&self) -> usize {
        self.reads
    }

    pub(super) fn makes(&self) -> usize {
        self.rows() * self.walk.length
    }

    pub(super) fn rows(&self) -> usize {
        self.walk.rows()
    }

    pub(super) fn run(&self, from: &[f32], rows: Range<usize>, to: &mut [f32]) {
        let mut to = to.chunks_exact_mut(self.walk.length);
        let [stride] = self.walk.strides;
        self.walk.visit(rows, |[start]| {
            let Some(to) = to.next() else { return };
            if stride == 1 {
                to.copy_from_slice(&from[start..start + to.len()]);
            } else {
                for (index, to) in to.iter_mut().enumerate() {
                    *to = from[start.wrapping_add_signed(index as isize * stride)];
                }
            }
        });
    }
}
