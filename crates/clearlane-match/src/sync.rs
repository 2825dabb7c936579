//! What threads meet by. `interleavings/` puts others in their place, which try every order.

pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use parking_lot::{Mutex, MutexGuard};
