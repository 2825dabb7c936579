//! What threads wait by. `interleavings/` puts others in their place, which try every order.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
