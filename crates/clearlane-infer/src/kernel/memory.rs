//! The arena that a run computes in, and where tensors lie in it.

use std::ops::Range;

use clearlane_simd::Pages;
use zeroize::Zeroize;

use super::vector::LANES;
use crate::InferError;

/// Bytes in a float.
pub(crate) const BYTES: usize = size_of::<f32>();

/// Unused bytes at the end of a quantised tensor.
const TAIL: usize = 4 * LANES;

/// One channel block, on a cache line of its own.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [f32; LANES]);

/// Values in blocks, the last one filled up with zeros.
pub(crate) fn blocks(values: &[f32]) -> Vec<Block> {
    let chunk = |chunk: &[f32]| Block(std::array::from_fn(|lane| chunk.get(lane).copied().unwrap_or(0.0)));
    values.chunks(LANES).map(chunk).collect()
}

/// The memory of one run, allocated once: whole pages, which core dumps leave out where the system can. It is zeroed before
/// it is given back.
///
/// Operators read and write it through pointers, since those that run side by side write different parts of the same
/// tensor. [`Program`](super::program::Program) holds it exclusively while it runs and lets no two operators overlap.
pub(crate) struct Arena {
    pages: Pages,
}

impl Arena {
    pub(crate) fn new(floats: usize) -> Result<Self, InferError> {
        let bytes = floats.saturating_mul(BYTES);
        Ok(Self { pages: Pages::new(bytes).ok_or(InferError::OutOfMemory { bytes })? })
    }

    /// The place `offset` floats from the start.
    #[expect(clippy::cast_ptr_alignment, reason = "pages begin at multiples of more than a float's alignment")]
    pub(crate) fn at(&self, offset: usize) -> *mut f32 {
        debug_assert!(offset * BYTES <= self.pages.size(), "{offset} lies outside of the arena");
        self.pages.base().as_ptr().cast::<f32>().wrapping_add(offset)
    }

    /// Zeroes a range of its floats.
    pub(crate) fn wipe_part(&self, range: &Range<usize>) {
        // SAFETY: `Program::new` took the range from tensors that it saw inside the arena, and uses it when no step does so
        // any more.
        unsafe { std::slice::from_raw_parts_mut(self.at(range.start), range.len()) }.zeroize();
    }

    /// Zeroes all of it.
    pub(crate) fn wipe(&mut self) {
        self.pages.wipe(self.pages.size());
    }

    /// The place `offset` bytes from the start.
    pub(crate) fn at_byte(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.pages.size(), "byte {offset} lies outside of the arena");
        self.pages.base().as_ptr().wrapping_add(offset)
    }

    /// A flat tensor's values.
    pub(crate) fn slice(&mut self, view: &View) -> &[f32] {
        // SAFETY: `Program::new` saw that the tensor lies inside the arena, which is borrowed exclusively.
        unsafe { std::slice::from_raw_parts(self.at(view.start).cast_const(), view.len()) }
    }

    /// Writes a row of a plain tensor.
    pub(crate) fn write(&self, offset: usize, row: &[f32]) {
        // SAFETY: `Program::new` saw that the tensor lies inside the arena; no other task writes this row.
        unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), self.at(offset), row.len()) };
    }

    /// A flat tensor that nobody writes meanwhile.
    pub(crate) fn list(&self, view: &View) -> &[f32] {
        // SAFETY: `Program::new` saw that the tensor lies inside the arena, and that no step writes what it reads.
        unsafe { std::slice::from_raw_parts(self.at(view.start).cast_const(), view.len()) }
    }

    /// A part of a flat tensor, which one task of the step that makes the tensor writes.
    #[expect(clippy::mut_from_ref, reason = "operators write through a shared arena, each task its own part")]
    pub(crate) fn list_part(&self, view: &View, part: Range<usize>) -> &mut [f32] {
        assert!(part.start <= part.end && part.end <= view.len(), "{part:?} lies outside of the list");
        // SAFETY: `Program::new` saw that the tensor lies inside the arena, apart from what the step reads; a step's tasks
        // write parts that do not overlap.
        unsafe { std::slice::from_raw_parts_mut(self.at(view.start + part.start), part.len()) }
    }

    /// Tensors to read and tensors to write.
    #[expect(clippy::mut_from_ref, reason = "operators write through a shared arena, each its own tensors")]
    pub(crate) fn split(&self, from: &[View], to: &[View]) -> (Vec<&[f32]>, Vec<&mut [f32]>) {
        let place = |view: &View| (self.at(view.start), view.len());
        // SAFETY: `Program::new` saw that the tensors lie inside the arena, and that none to write overlaps another;
        // no other step runs meanwhile, and what is wiped is part of none of them.
        unsafe {
            (
                from.iter().map(place).map(|(at, len)| std::slice::from_raw_parts(at.cast_const(), len)).collect(),
                to.iter().map(place).map(|(at, len)| std::slice::from_raw_parts_mut(at, len)).collect(),
            )
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// What a tensor is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Float,
    /// Quantised values, of which `zero` stands for 0.
    Byte {
        zero: u8,
    },
}

/// Where a tensor lies in an arena, counted in its values: floats or bytes.
///
/// Channels lie in planes of `lanes` channels each: 16 in the blocked layout of the kernels, 1 in plain C x H x W, 4 in a
/// quantised image of few channels. Each plane is surrounded by `halo` pixels, so that a convolution's padding is read
/// like any other pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) element: Element,
    pub(crate) start: usize,
    pub(crate) lanes: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) halo: usize,
}

impl View {
    pub(crate) fn planes(&self) -> usize {
        self.channels.div_ceil(self.lanes)
    }

    /// Values from one row to the next.
    pub(crate) fn pitch(&self) -> usize {
        (self.width + 2 * self.halo) * self.lanes
    }

    /// Values from one plane to the next.
    pub(crate) fn plane_len(&self) -> usize {
        (self.height + 2 * self.halo) * self.pitch()
    }

    pub(crate) fn len(&self) -> usize {
        self.planes() * self.plane_len()
    }

    /// The part of the arena that the tensor takes, in floats. Kernels that read bytes by fours of pixels may read past
    /// the last one, so that a quantised tensor ends in a [`TAIL`].
    pub(crate) fn span(&self) -> Range<usize> {
        match self.element {
            Element::Float => self.start..self.start + self.len(),
            Element::Byte { .. } => self.start / BYTES..(self.start + self.len() + TAIL).div_ceil(BYTES),
        }
    }

    pub(crate) fn is_float(&self) -> bool {
        self.element == Element::Float
    }

    /// The first lane of a pixel inside the halo.
    pub(crate) fn pixel(&self, plane: usize, y: usize, x: usize) -> usize {
        self.start + plane * self.plane_len() + (y + self.halo) * self.pitch() + (x + self.halo) * self.lanes
    }

    /// One value.
    pub(crate) fn at(&self, channel: usize, y: usize, x: usize) -> usize {
        self.pixel(channel / self.lanes, y, x) + channel % self.lanes
    }

    /// Whether the values lie one after the other with nothing between them, so that they may be read as a flat list.
    pub(crate) fn is_flat(&self) -> bool {
        self.halo == 0 && (self.lanes == 1 || self.height * self.width == 1)
    }
}
