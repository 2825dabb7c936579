//! SQLite's way to the model: a VFS around the default one, and `fsync` around the system's.
//!
//! It is made the default VFS of the test's process, so that a register needs no hook. Files in the folder of a
//! [`Disk`] are followed; all others are opened by the VFS below, as if this one were not there.
//!
//! What the store does without SQLite (it syncs a new register and its folder itself) comes in by [`fsync`]: an executable
//! that defines the function is the one that is called, by the standard library as by SQLite. No real sync is made in a
//! disk's folder.

use std::cell::Cell;
use std::ffi::{CStr, OsStr, c_char, c_int, c_long, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::{fs, ptr, slice};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use crate::disk::{self, Call, Disk, NodeId, Verdict};

/// The VFS below.
struct Below(*mut sqlite3_vfs);

// SAFETY: SQLite's own VFS is never changed once it is there, and may be called by any thread.
unsafe impl Send for Below {}
// SAFETY: as above.
unsafe impl Sync for Below {}

static BELOW: OnceLock<Below> = OnceLock::new();

/// Makes this the default VFS, once.
pub fn install() {
    BELOW.get_or_init(|| {
        // SAFETY: no name asks for the default VFS, which SQLite never frees.
        let below = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!below.is_null());
        // All else is as below: SQLite's own VFS look at nothing of the structure but what is copied here with it.
        // SAFETY: it was found, so it points to a VFS.
        let mut vfs = unsafe { *below };
        vfs.szOsFile += size_of::<Handle>() as c_int;
        vfs.zName = c"clearlane-faults".as_ptr();
        vfs.pNext = ptr::null_mut();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.xAccess = Some(access);
        // SAFETY: it is never freed, its name is static, and its functions keep to what SQLite asks of them.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
        assert_eq!(registered, ffi::SQLITE_OK);
        Below(below)
    });
}

fn below() -> *mut sqlite3_vfs {
    BELOW.get().unwrap().0
}

/// An open file on a disk. The file of the VFS below lies behind it, in the room that SQLite gives.
#[repr(C)]
struct Handle {
    base: sqlite3_file,
    disk: *const Disk,
    node: NodeId,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // Without the third version's memory-mapped reads, every read comes by here.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map),
    xShmLock: Some(lock_shared),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Calls a method of the file below.
macro_rules! below {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let file = inner($file);
        // SAFETY: the file below is open as long as this one is, and its methods are those of SQLite's own VFS.
        unsafe { (*(*file).pMethods).$method.unwrap()(file $(, $argument)*) }
    }};
}

fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    file.cast::<Handle>().wrapping_add(1).cast()
}

/// Where a file is: SQLite calls the methods below with files that [`open`] opened, and no others.
fn place<'a>(file: *mut sqlite3_file) -> (&'a Disk, NodeId) {
    // SAFETY: `open` made it a handle, whose disk is kept until `close`.
    unsafe { (&*(*file.cast::<Handle>()).disk, (*file.cast::<Handle>()).node) }
}

/// The disk and the name of a path that SQLite gives.
///
/// # Safety
///
/// `name` is null or ends with a zero.
unsafe fn located<'a>(name: *const c_char) -> Option<(Arc<Disk>, &'a OsStr)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()));
    Some((disk::of(path)?, path.file_name()?))
}

/// Whether a call goes on; if not, what it returns.
fn admit(disk: &Disk, call: Call) -> Result<(), c_int> {
    match disk.enter(call) {
        Verdict::Go => Ok(()),
        Verdict::Fail(error) | Verdict::Short(error) => Err(error),
    }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a path or null.
    let located = unsafe { located(name) };
    let target = if located.is_some() { inner(file) } else { file };
    if let Some((disk, _)) = &located
        && let Err(error) = admit(disk, Call::Open)
    {
        // SAFETY: SQLite gives room for a file; one without methods is not open.
        unsafe { (*file).pMethods = ptr::null() };
        return error;
    }
    // SAFETY: the arguments are SQLite's own, and behind the handle is room for the VFS below.
    let opened = unsafe { (*below()).xOpen.unwrap()(below(), name, target, flags, out) };
    let Some((disk, name)) = located else { return opened };
    if opened != ffi::SQLITE_OK {
        // SAFETY: as above.
        unsafe { (*file).pMethods = ptr::null() };
        return opened;
    }
    let node = disk.opened(name);
    let handle = Handle { base: sqlite3_file { pMethods: &raw const METHODS }, disk: Arc::into_raw(disk), node };
    // SAFETY: SQLite gives room for it, aligned for any file.
    unsafe { file.cast::<Handle>().write(handle) };
    opened
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, and_sync: c_int) -> c_int {
    // SAFETY: SQLite gives a path.
    let located = unsafe { located(name) };
    if let Some((disk, _)) = &located
        && let Err(error) = admit(disk, Call::Delete)
    {
        return error;
    }
    // SAFETY: the arguments are SQLite's own.
    let deleted = within(|| unsafe { (*below()).xDelete.unwrap()(below(), name, and_sync) });
    if let Some((disk, _)) = located {
        disk.renamed();
    }
    deleted
}

unsafe extern "C" fn access(_: *mut sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a path.
    let located = unsafe { located(name) };
    if let Some((disk, _)) = &located
        && let Err(error) = admit(disk, Call::Access)
    {
        return error;
    }
    // SAFETY: the arguments are SQLite's own.
    unsafe { (*below()).xAccess.unwrap()(below(), name, flags, out) }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let closed = below!(file, xClose);
    // SAFETY: `open` kept the disk for this handle, which is used no more.
    drop(unsafe { Arc::from_raw((*file.cast::<Handle>()).disk) });
    closed
}

unsafe extern "C" fn read(file: *mut sqlite3_file, to: *mut c_void, length: c_int, at: i64) -> c_int {
    match admit(place(file).0, Call::Read) {
        Ok(()) => below!(file, xRead, to, length, at),
        Err(error) => error,
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, length: c_int, at: i64) -> c_int {
    let (disk, node) = place(file);
    let (length, error) = match disk.enter(Call::Write) {
        Verdict::Go => (length, None),
        Verdict::Short(error) => (length / 2, Some(error)),
        Verdict::Fail(error) => return error,
    };
    let wrote = below!(file, xWrite, from, length, at);
    if wrote == ffi::SQLITE_OK {
        // SAFETY: SQLite gives so many bytes.
        disk.wrote(node, at as usize, unsafe { slice::from_raw_parts(from.cast(), length as usize) });
    }
    error.unwrap_or(wrote)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: i64) -> c_int {
    let (disk, node) = place(file);
    if let Err(error) = admit(disk, Call::Truncate) {
        return error;
    }
    let truncated = below!(file, xTruncate, length);
    if truncated == ffi::SQLITE_OK {
        disk.truncated(node, length as usize);
    }
    truncated
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let (disk, node) = place(file);
    if let Err(error) = admit(disk, Call::Sync) {
        if !disk.is_cut() {
            disk.failed_to_sync(node);
        }
        return error;
    }
    // The VFS below knows when the folder is to be synced with the file.
    let synced = within(|| below!(file, xSync, flags));
    disk.synced(node);
    synced
}

unsafe extern "C" fn size(file: *mut sqlite3_file, out: *mut i64) -> c_int {
    match admit(place(file).0, Call::Size) {
        Ok(()) => below!(file, xFileSize, out),
        Err(error) => error,
    }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    match admit(place(file).0, Call::Lock) {
        Ok(()) => below!(file, xLock, level),
        Err(error) => error,
    }
}

/// What is unlocked is unlocked, whatever is told: a lock that nobody holds would be no fault of a disk.
unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    let unlocked = below!(file, xUnlock, level);
    admit(place(file).0, Call::Unlock).map_or_else(|error| error, |()| unlocked)
}

unsafe extern "C" fn reserved(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    match admit(place(file).0, Call::Reserved) {
        Ok(()) => below!(file, xCheckReservedLock, out),
        Err(error) => error,
    }
}

unsafe extern "C" fn control(file: *mut sqlite3_file, what: c_int, argument: *mut c_void) -> c_int {
    below!(file, xFileControl, what, argument)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    below!(file, xSectorSize)
}

unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    below!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn map(
    file: *mut sqlite3_file,
    region: c_int,
    length: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    match admit(place(file).0, Call::Map) {
        Ok(()) => below!(file, xShmMap, region, length, extend, out),
        Err(error) => {
            // SAFETY: SQLite gives room for a pointer.
            unsafe { *out = ptr::null_mut() };
            error
        }
    }
}

unsafe extern "C" fn lock_shared(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    if flags & ffi::SQLITE_SHM_UNLOCK == 0
        && let Err(error) = admit(place(file).0, Call::LockShared)
    {
        return error;
    }
    below!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn barrier(file: *mut sqlite3_file) {
    below!(file, xShmBarrier);
}

unsafe extern "C" fn unmap(file: *mut sqlite3_file, and_delete: c_int) -> c_int {
    below!(file, xShmUnmap, and_delete)
}

thread_local! {
    /// Whether this thread is in a call that is counted already.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

fn within<T>(call: impl FnOnce() -> T) -> T {
    WITHIN.set(true);
    let value = call();
    WITHIN.set(false);
    value
}

/// Stands in for the system's function of this name.
#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    own_sync(file, libc::SYS_fsync)
}

/// Stands in for the system's function of this name.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: c_int) -> c_int {
    own_sync(file, libc::SYS_fdatasync)
}

fn own_sync(file: c_int, system_call: c_long) -> c_int {
    let path = fs::read_link(format!("/proc/self/fd/{file}")).unwrap_or_default();
    let Some(disk) = disk::of(&path) else {
        // SAFETY: both system calls take a file descriptor and nothing else.
        return unsafe { libc::syscall(system_call, file) } as c_int;
    };
    let (counted, folder) = (WITHIN.get(), path == disk.folder());
    if !counted && admit(&disk, Call::OwnSync).is_err() {
        // SAFETY: it points to this thread's error number.
        unsafe { *libc::__errno_location() = libc::EIO };
        return -1;
    }
    match path.file_name() {
        _ if folder => disk.synced_names(),
        // SQLite's own syncs of its files come by `sync`.
        Some(name) if !counted => disk.synced_by_store(name),
        _ => {}
    }
    0
}
