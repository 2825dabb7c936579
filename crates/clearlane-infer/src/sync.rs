//! What threads meet by. `interleavings/` puts others in their place, which try every order.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(crate) use std::sync::{Mutex, PoisonError};
pub(crate) use std::thread::yield_now;
