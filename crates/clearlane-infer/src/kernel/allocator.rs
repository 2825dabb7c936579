//! The system's allocator, for programs in which libraries free faces and keys without wiping them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::mem::MaybeUninit;

use zeroize::Zeroize;

/// The system's allocator, with all memory wiped when it is freed.
///
/// What this project's crates hold of a face they wipe themselves. Decoders of pictures, and tract where no kernel exists for
/// an operator, free pixels and activations as they are; a program that wants those wiped too makes this its allocator:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: clearlane_infer::WipingAllocator = clearlane_infer::WipingAllocator;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct WipingAllocator;

// SAFETY: it hands out the system allocator's memory as it is. `realloc` is the trait's own: it allocates, copies and frees
// through the methods here, so that what it moves is wiped where it was.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back a whole allocation of this layout, which nobody uses any more.
        unsafe {
            std::slice::from_raw_parts_mut(memory.cast::<MaybeUninit<u8>>(), layout.size()).zeroize();
            System.dealloc(memory, layout);
        }
    }
}
