//! The tests of this package take files of the product as they are, and give them other locks, condition variables and atomics: those of
//! [shuttle](https://docs.rs/shuttle), which draws thousands of schedules, and of [loom](https://docs.rs/loom), which goes through all that
//! the memory model allows. Such a file imports what threads meet by from `crate::sync`, and nothing else of its crate.
