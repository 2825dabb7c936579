//! Operators that move values: between layouts, into larger tensors, up to a larger size; and the halo.

use std::ops::Range;

use super::function::sigmoid as sigmoid_of;
use super::memory::{Arena, Element, View};
use super::vector::LANES;

/// Copies a tensor into some of the channels of another of the same height and width, whatever their layouts.
pub(crate) struct Copy {
    from: View,
    to: View,
    /// The first channel that is written.
    first: usize,
    /// The first channel that is read, and how many.
    skip: usize,
    count: usize,
}

impl Copy {
    /// `None` if the tensors' extents do not belong together.
    pub(crate) fn new(from: View, skip: usize, count: usize, to: View, first: usize) -> Option<Self> {
        let fits = from.height == to.height
            && from.width == to.width
            && skip + count <= from.channels
            && first + count <= to.channels;
        fits.then_some(Self { from, to, first, skip, count })
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>) {
        let Self { from, to, first, skip, count } = self;
        let together = from.lanes == to.lanes && first % to.lanes == 0 && skip % from.lanes == 0;
        let lanes = if together { from.lanes } else { 1 };
        for y in rows {
            let mut done = 0;
            if from.lanes == 1 && to.lanes == LANES && first % LANES == 0 {
                // Sixteen channels at a time, so that each pixel is written once.
                while done + LANES <= *count {
                    let sources = std::array::from_fn(|lane| arena.at(from.at(skip + done + lane, y, 0)).cast_const());
                    // SAFETY: `new` saw that these rows lie inside their tensors.
                    unsafe { interleave(sources, arena.at(to.at(first + done, y, 0)), from.width) };
                    done += LANES;
                }
            }
            for channel in (done..*count).step_by(lanes) {
                let source = arena.at(from.at(skip + channel, y, 0)).cast_const();
                let target = arena.at(to.at(first + channel, y, 0));
                // SAFETY: `new` saw that both rows lie inside their tensors.
                unsafe {
                    if together {
                        std::ptr::copy_nonoverlapping(source, target, from.width * lanes);
                    } else {
                        for x in 0..from.width {
                            *target.add(x * to.lanes) = *source.add(x * from.lanes);
                        }
                    }
                }
            }
        }
    }
}

/// Writes pixels of sixteen channels each, whose values lie in rows of their own.
///
/// # Safety
///
/// Each source leads to `width` floats, and `target` to sixteen times as many.
unsafe fn interleave(sources: [*const f32; LANES], target: *mut f32, width: usize) {
    for x in 0..width {
        // SAFETY: the caller gives rows of so many pixels.
        unsafe { *target.add(x * LANES).cast::<[f32; LANES]>() = std::array::from_fn(|lane| *sources[lane].add(x)) };
    }
}

/// Copies some channels of a tensor into a flat list, pixel by pixel: height x width x channels.
pub(crate) struct ToRows {
    from: View,
    skip: usize,
    count: usize,
    to: View,
    sigmoid: bool,
}

impl ToRows {
    /// `None` if the flat list is not as long as the values to copy.
    pub(crate) fn new(from: View, skip: usize, count: usize, to: View, sigmoid: bool) -> Option<Self> {
        let values = from.height * from.width * count;
        let fits = to.is_flat() && to.len() >= values && skip + count <= from.channels;
        fits.then_some(Self { from, skip, count, to, sigmoid })
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>) {
        let Self { from, skip, count, to, sigmoid } = self;
        for y in rows {
            let target = arena.at(to.start + y * from.width * count);
            let mut done = 0;
            while done < *count {
                let channel = skip + done;
                let lanes = (from.lanes - channel % from.lanes).min(count - done);
                let source = arena.at(from.at(channel, y, 0)).cast_const();
                for x in 0..from.width {
                    for lane in 0..lanes {
                        // SAFETY: `new` saw that the channels lie inside the tensor and the list is long enough.
                        unsafe { *target.add(x * count + done + lane) = *source.add(x * from.lanes + lane) };
                    }
                }
                done += lanes;
            }
            if *sigmoid {
                // SAFETY: `new` saw that the list holds this row, which was just written.
                let row = unsafe { std::slice::from_raw_parts_mut(target, from.width * count) };
                for value in row {
                    *value = sigmoid_of(*value);
                }
            }
        }
    }
}

/// Resizes a blocked tensor by taking the nearest value.
pub(crate) struct Resize {
    from: View,
    to: View,
    /// The input row of each output row, and the same for columns.
    rows: Vec<usize>,
    columns: Vec<usize>,
}

impl Resize {
    /// `None` if the tensors' extents do not belong together.
    pub(crate) fn new(from: View, to: View, rows: Vec<usize>, columns: Vec<usize>) -> Option<Self> {
        let fits = from.lanes == to.lanes
            && from.channels == to.channels
            && rows.len() == to.height
            && columns.len() == to.width
            && rows.iter().all(|&row| row < from.height)
            && columns.iter().all(|&column| column < from.width);
        fits.then_some(Self { from, to, rows, columns })
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        for plane in planes {
            for y in rows.clone() {
                for (x, &column) in self.columns.iter().enumerate() {
                    let source = arena.at(self.from.pixel(plane, self.rows[y], column)).cast_const();
                    let target = arena.at(self.to.pixel(plane, y, x));
                    // SAFETY: `new` saw that both pixels lie inside their tensors, which do not overlap.
                    unsafe { std::ptr::copy_nonoverlapping(source, target, self.to.lanes) };
                }
            }
        }
    }
}

/// Fills the halo around some rows of some planes, with what stands for 0 where the tensor is quantised; with the first and
/// the last row also the rows above and below them.
pub(crate) fn fill_halo(arena: &Arena, view: &View, fill: Option<&[f32]>, rows: Range<usize>, planes: Range<usize>) {
    let View { halo, lanes, width, height, .. } = *view;
    if halo == 0 {
        return;
    }
    let value =
        |plane: usize, lane: usize| fill.and_then(|fill| fill.get(plane * lanes + lane)).copied().unwrap_or(0.0);
    for plane in planes {
        let pixels = |from: usize, count: usize| match view.element {
            // SAFETY: the callers below name pixels of this plane's halo.
            Element::Byte { zero } => unsafe { arena.at_byte(from).write_bytes(zero, count * lanes) },
            Element::Float => {
                for pixel in 0..count {
                    for lane in 0..lanes {
                        // SAFETY: the callers below name pixels of this plane's halo.
                        unsafe { *arena.at(from + pixel * lanes + lane) = value(plane, lane) };
                    }
                }
            }
        };
        let left = |y: usize| view.start + plane * view.plane_len() + y * view.pitch();
        if rows.start == 0 {
            (0..halo).for_each(|y| pixels(left(y), width + 2 * halo));
        }
        for y in rows.clone() {
            pixels(left(y + halo), halo);
            pixels(view.pixel(plane, y, width), halo);
        }
        if rows.end == height {
            (0..halo).for_each(|y| pixels(left(height + halo + y), width + 2 * halo));
        }
    }
}
