//! The arena that a run computes in, and where tensors lie in it.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::Range;
use std::ptr::NonNull;

use zeroize::Zeroize;

use super::vector::LANES;

/// Bytes in a float.
pub(crate) const BYTES: usize = size_of::<f32>();

/// Unused bytes at the end of a tensor of bytes.
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

/// The memory of one run, allocated once: whole pages, which core dumps leave out where the system can.
///
/// Operators read and write it through pointers, since those that run side by side write different parts of the same
/// tensor. [`Program`](super::program::Program) holds it exclusively while it runs and lets no two operators overlap.
pub(crate) struct Arena {
    base: NonNull<Block>,
    layout: Layout,
}

// SAFETY: the memory is the arena's own; shared access goes through `Program`, whose workers write disjoint parts.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    pub(crate) fn new(floats: usize) -> Self {
        let page = page_size();
        let bytes = (floats.max(1) * BYTES).next_multiple_of(page);
        let layout = Layout::from_size_align(bytes, page.max(align_of::<Block>())).expect("plans are of 4 GiB at most");
        // SAFETY: the layout has a size. Zeros are blocks.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        advise(base, layout, KEPT_OUT_OF_DUMPS);
        Self { base: base.cast(), layout }
    }

    /// The place `offset` floats from the start.
    pub(crate) fn at(&self, offset: usize) -> *mut f32 {
        debug_assert!(offset * BYTES <= self.layout.size(), "{offset} lies outside of the arena");
        self.base.as_ptr().cast::<f32>().wrapping_add(offset)
    }

    /// Zeroes a range of its floats.
    pub(crate) fn wipe_part(&self, range: &Range<usize>) {
        // SAFETY: `Program::new` took the range from tensors that it saw inside the arena, and uses it when no step does so
        // any more.
        unsafe { std::slice::from_raw_parts_mut(self.at(range.start), range.len()) }.zeroize();
    }

    /// Zeroes all of it.
    pub(crate) fn wipe(&mut self) {
        // SAFETY: the whole allocation, borrowed exclusively; every byte of it has been written, if by `alloc_zeroed`.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().cast::<u8>(), self.layout.size()) }.zeroize();
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.wipe();
        // Whoever is given these pages next decides for itself.
        advise(self.base.cast(), self.layout, BACK_IN_DUMPS);
        // SAFETY: the memory came from `alloc_zeroed` with this very layout.
        unsafe { dealloc(self.base.as_ptr().cast(), self.layout) };
    }
}

#[cfg(target_os = "linux")]
const KEPT_OUT_OF_DUMPS: i32 = libc::MADV_DONTDUMP;
#[cfg(target_os = "linux")]
const BACK_IN_DUMPS: i32 = libc::MADV_DODUMP;
#[cfg(not(target_os = "linux"))]
const KEPT_OUT_OF_DUMPS: i32 = 0;
#[cfg(not(target_os = "linux"))]
const BACK_IN_DUMPS: i32 = 0;

#[cfg(target_os = "linux")]
fn advise(base: NonNull<u8>, layout: Layout, advice: i32) {
    // SAFETY: the range is whole pages of one allocation of ours; the advice changes what a core dump holds, not what the
    // memory does. Where the system refuses, the wipes alone protect it.
    unsafe { libc::madvise(base.as_ptr().cast(), layout.size(), advice) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_base: NonNull<u8>, _layout: Layout, _advice: i32) {}

#[cfg(target_os = "linux")]
fn page_size() -> usize {
    // SAFETY: it reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) })
        .ok()
        .filter(|page| page.is_power_of_two())
        .unwrap_or(PAGE)
}

#[cfg(not(target_os = "linux"))]
fn page_size() -> usize {
    PAGE
}

/// The pages of most systems.
const PAGE: usize = 4096;

impl Arena {
    /// The place `offset` bytes from the start.
    pub(crate) fn at_byte(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.layout.size(), "byte {offset} lies outside of the arena");
        self.base.as_ptr().cast::<u8>().wrapping_add(offset)
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
    /// the last one, so that a tensor of bytes ends in a [`TAIL`].
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The mapping that an address lies in, as the kernel describes it.
    fn flags(at: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("the kernel tells a process about its memory");
        let mut inside = false;
        for line in maps.lines() {
            let mut ends = line.split(' ').next().unwrap_or("").split('-').map(|end| usize::from_str_radix(end, 16));
            if let (Some(Ok(start)), Some(Ok(end))) = (ends.next(), ends.next()) {
                inside = (start..end).contains(&at);
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
                return flags.to_owned();
            }
        }
        panic!("no mapping holds {at:x}");
    }

    #[test]
    fn no_page_of_an_arena_is_part_of_a_core_dump() {
        let arena = Arena::new(100_000);
        for offset in [0, 50_000, 99_999] {
            let flags = flags(arena.at(offset).addr());
            assert!(flags.split(' ').any(|flag| flag == "dd"), "float {offset}: {flags}");
        }
    }
}
