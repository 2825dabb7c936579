//! Pages from the system, for what must not end up elsewhere: templates and their codes.

use std::ptr::NonNull;

/// Ranges of at least this size begin at a multiple of it and ask for huge pages: a scan then misses the TLB once in 2 MiB,
/// which is worth a third of one core's read bandwidth.
pub(super) const HUGE_PAGE: usize = 2 << 20;

/// Whole pages that hold nothing else, all zero at first. The system gives memory to them as they are first written to.
///
/// On Linux they are left out of core dumps, the smallest range too. Other systems are not asked: there a dump has to be
/// forbidden for the whole process.
pub(super) struct Pages {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: the pages belong to this value alone, wherever it is.
unsafe impl Send for Pages {}
// SAFETY: a shared `Pages` gives out nothing but their address.
unsafe impl Sync for Pages {}

impl Pages {
    /// Pages of `bytes` together, or more. `None` where the system has no such room.
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let page = if bytes >= HUGE_PAGE { HUGE_PAGE } else { system::page_size() };
        let size = bytes.max(1).checked_next_multiple_of(page)?;
        let base = system::map(size)?;
        advise(base, size);
        Some(Self { base, size })
    }

    /// The first byte, at the start of a page.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `map` gave this range, and nobody has it any longer.
        unsafe { system::unmap(self.base, self.size) };
    }
}

#[cfg(target_os = "linux")]
fn advise(base: NonNull<u8>, size: usize) {
    // SAFETY: the range is one whole mapping of ours; the advice changes how it is kept, not what it holds. Where the
    // system refuses huge pages, small ones serve; every Linux since 3.4 leaves out of a dump what it is told to.
    unsafe {
        libc::madvise(base.as_ptr().cast(), size, libc::MADV_DONTDUMP);
        if size >= HUGE_PAGE {
            libc::madvise(base.as_ptr().cast(), size, libc::MADV_HUGEPAGE);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_base: NonNull<u8>, _size: usize) {}

#[cfg(unix)]
mod system {
    use std::ptr::{self, NonNull};

    use super::HUGE_PAGE;

    pub(super) fn page_size() -> usize {
        // SAFETY: it asks for a constant of the system.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(1 << 16)
    }

    pub(super) fn map(size: usize) -> Option<NonNull<u8>> {
        // Room to begin at a multiple of a huge page; what is left of it is given back.
        let spare = if size >= HUGE_PAGE { HUGE_PAGE } else { 0 };
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

#[cfg(not(unix))]
mod system {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ptr::NonNull;

    pub(super) fn page_size() -> usize {
        4096
    }

    fn layout(size: usize) -> Option<Layout> {
        Layout::from_size_align(size, page_size()).ok()
    }

    pub(super) fn map(size: usize) -> Option<NonNull<u8>> {
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
