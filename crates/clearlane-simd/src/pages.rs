//! Memory of whole pages from the system, for what must not end up elsewhere: templates, their codes, activations.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use zeroize::Zeroize;

/// The size of a huge page, in bytes. A scan of huge pages misses the TLB once in 2 MiB, which is worth a third of one
/// core's read bandwidth.
pub const HUGE_PAGE: usize = 2 << 20;

/// Whole pages that hold nothing else, all zero at first. The system gives memory to them as they are first written to.
///
/// On Linux they are left out of core dumps. Other systems are not asked: there a dump has to be forbidden for the whole
/// process. Nothing is wiped on drop, since only the owner knows how much was written: see [`Pages::wipe`].
#[derive(Debug)]
pub struct Pages {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: the pages belong to this value alone, wherever it is.
unsafe impl Send for Pages {}
// SAFETY: a shared `Pages` gives out nothing but their address.
unsafe impl Sync for Pages {}

impl Pages {
    /// At least `bytes` in pages of the system's usual size. `None` where the system has no such room.
    #[must_use]
    pub fn new(bytes: usize) -> Option<Self> {
        Self::aligned(bytes, system::page_size())
    }

    /// As [`new`](Self::new), and from [`HUGE_PAGE`] bytes on begins at a multiple of that and asks for huge pages.
    #[must_use]
    pub fn huge(bytes: usize) -> Option<Self> {
        Self::aligned(bytes, if bytes >= HUGE_PAGE { HUGE_PAGE } else { system::page_size() })
    }

    fn aligned(bytes: usize, page: usize) -> Option<Self> {
        let size = bytes.max(1).checked_next_multiple_of(page)?;
        let base = system::map(size, page)?;
        advise(base, size, page == HUGE_PAGE);
        Some(Self { base, size })
    }

    /// The first byte, at the start of a page. The caller sees to it that nobody writes what somebody else reads or writes.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Zeroes the first `bytes`, in a way that the compiler keeps.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn wipe(&mut self, bytes: usize) {
        assert!(bytes <= self.size, "{bytes} bytes to wipe of {}", self.size);
        // SAFETY: the pages are so many bytes, borrowed exclusively; what values left between them may be uninitialised.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().cast::<MaybeUninit<u8>>(), bytes) }.zeroize();
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `system::map` gave this range, and nobody has it any longer.
        unsafe { system::unmap(self.base, self.size) };
    }
}

// Miri, which interprets programs to find undefined behaviour, knows neither the advice nor mappings that are given back in parts.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise(base: NonNull<u8>, size: usize, huge: bool) {
    // SAFETY: the range is one whole mapping of ours; the advice changes how it is kept, not what it holds. Where the
    // system refuses huge pages, small ones serve; every Linux since 3.4 leaves out of a dump what it is told to.
    unsafe {
        libc::madvise(base.as_ptr().cast(), size, libc::MADV_DONTDUMP);
        if huge {
            libc::madvise(base.as_ptr().cast(), size, libc::MADV_HUGEPAGE);
        }
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
fn advise(_base: NonNull<u8>, _size: usize, _huge: bool) {}

#[cfg(all(unix, not(miri)))]
mod system {
    use std::ptr::{self, NonNull};

    use super::HUGE_PAGE;

    pub(super) fn page_size() -> usize {
        // SAFETY: it asks for a constant of the system.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(1 << 16)
    }

    /// `size` bytes that begin at a multiple of `page`, of which `size` is a multiple too.
    pub(super) fn map(size: usize, page: usize) -> Option<NonNull<u8>> {
        // Room to begin at a multiple of a huge page; what is left of it is given back.
        let spare = if page == HUGE_PAGE { HUGE_PAGE } else { 0 };
        let whole = size.checked_add(spare)?;
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
        // SAFETY: a new mapping where the system likes it touches no memory that is in use.
        let base = unsafe { libc::mmap(ptr::null_mut(), whole, access, kind, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = NonNull::new(base.cast::<u8>())?;
        if spare == 0 {
            return Some(base);
        }
        let before = base.addr().get().wrapping_neg() % HUGE_PAGE;
        // SAFETY: the three parts lie one after the other in the mapping of `size + spare` bytes, each of whole pages; the
        // first and the last are not used.
        unsafe {
            let start = base.add(before);
            for (part, length) in [(base, before), (start.add(size), spare - before)] {
                if length > 0 {
                    unmap(part, length);
                }
            }
            Some(start)
        }
    }

    /// # Safety
    ///
    /// The range is of whole pages of a mapping that nobody uses any longer.
    pub(super) unsafe fn unmap(base: NonNull<u8>, size: usize) {
        // SAFETY: as the caller says.
        unsafe { libc::munmap(base.as_ptr().cast(), size) };
    }
}

#[cfg(any(not(unix), miri))]
mod system {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ptr::NonNull;

    use super::HUGE_PAGE;

    pub(super) fn page_size() -> usize {
        4096
    }

    /// At the largest alignment in use, so that [`unmap`] needs only the size.
    fn layout(size: usize) -> Option<Layout> {
        Layout::from_size_align(size, if size.is_multiple_of(HUGE_PAGE) { HUGE_PAGE } else { page_size() }).ok()
    }

    /// `size` bytes that begin at a multiple of `page`, of which `size` is a multiple too.
    pub(super) fn map(size: usize, _page: usize) -> Option<NonNull<u8>> {
        // SAFETY: the size is that of one page or more.
        NonNull::new(unsafe { alloc_zeroed(layout(size)?) })
    }

    /// # Safety
    ///
    /// The range is one that `map` gave, and nobody uses it any longer.
    pub(super) unsafe fn unmap(base: NonNull<u8>, size: usize) {
        if let Some(layout) = layout(size) {
            // SAFETY: as the caller says; `map` made it of this layout.
            unsafe { dealloc(base.as_ptr(), layout) };
        }
    }
}
