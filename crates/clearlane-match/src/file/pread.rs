//! Reading at a place of a file that several threads share.

use std::fs::File;
use std::io;

/// Fills `bytes` from this place on.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Fills `bytes` from this place on.
#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => (bytes, at) = (&mut bytes[count..], at + count as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `bytes` from this place on.
#[cfg(not(any(unix, windows)))]
pub(super) fn read_exact_at(mut file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    // The file has one place that all threads share.
    static ALONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
    let _alone = ALONE.lock();
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

/// Tells the system that reads will jump about: what it reads ahead would be for nothing.
pub(super) fn expect_jumps(file: &File) {
    #[cfg(target_os = "linux")]
    {
        // Advice: where it is not taken, reads cost more and give the same.
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Has the system fetch a part of the file while this thread does something else.
pub(super) fn fetch(file: &File, at: u64, bytes: u64) {
    #[cfg(target_os = "linux")]
    if let Some(bytes) = std::num::NonZeroU64::new(bytes) {
        // Advice: where it is not taken, reads wait longer and give the same.
        let _ = rustix::fs::fadvise(file, at, Some(bytes), rustix::fs::Advice::WillNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, at, bytes);
}
