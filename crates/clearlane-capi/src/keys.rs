//! The register's keys, from wherever the host keeps them.

use std::ffi::c_void;
use std::ptr;

use clearlane::store::{KeyError, KeyId};
use clearlane::{Key, KeySource};
use zeroize::Zeroizing;

use crate::status::{CLEARLANE_NOT_FOUND, CLEARLANE_OK, Failure, clearlane_status};

/// Gives a key of the register: writes 32 bytes to `key` and returns CLEARLANE_OK, or returns CLEARLANE_NOT_FOUND where the host
/// has no such key; any other status means that it failed. `id` has the 8 bytes of the key's id, or is NULL where the current
/// key is meant. The library wipes the 32 bytes once they are taken. Called from any thread that uses the port; it must not
/// throw.
pub type clearlane_key_callback =
    Option<unsafe extern "C" fn(user: *mut c_void, id: *const u8, key: *mut u8) -> clearlane_status>;

/// Called once nothing uses `user` any more: the port and all that came of it are closed, or could not be opened.
pub type clearlane_release_callback = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// A host's key callback.
pub(crate) struct HostKeys {
    callback: unsafe extern "C" fn(*mut c_void, *const u8, *mut u8) -> clearlane_status,
    user: *mut c_void,
    release: clearlane_release_callback,
}

// SAFETY: the header asks for a callback that any thread may call.
unsafe impl Send for HostKeys {}
// SAFETY: as above.
unsafe impl Sync for HostKeys {}

impl HostKeys {
    /// The keys behind `callback`, where there is one.
    pub(crate) fn new(
        callback: clearlane_key_callback,
        user: *mut c_void,
        release: clearlane_release_callback,
    ) -> Result<Option<Self>, Failure> {
        match (callback, release) {
            (Some(callback), release) => Ok(Some(Self { callback, user, release })),
            (None, Some(_)) => Err(Failure::argument("`keys_release` is given without `keys`")),
            (None, None) => Ok(None),
        }
    }
}

impl KeySource for HostKeys {
    fn key(&self, id: Option<KeyId>) -> Result<Option<Key>, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        let id = id.as_ref().map_or(ptr::null(), |id| id.0.as_ptr());
        // SAFETY: a callback as the header describes it, which reads 8 bytes and writes 32.
        match unsafe { (self.callback)(self.user, id, key.as_mut_ptr()) } {
            // Nobody's random key: nothing was written.
            CLEARLANE_OK if key.iter().all(|byte| *byte == 0) => {
                Err(KeyError::Source("the host's callback returned CLEARLANE_OK and wrote no key".to_owned()))
            }
            CLEARLANE_OK => Ok(Some(Key::from_bytes(*key))),
            CLEARLANE_NOT_FOUND => Ok(None),
            status => Err(KeyError::Source(format!("the host's callback returned status {status}"))),
        }
    }
}

impl Drop for HostKeys {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: a callback as the header describes it, called once.
            unsafe { release(self.user) };
        }
    }
}
