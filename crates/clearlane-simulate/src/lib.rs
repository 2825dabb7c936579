//! Simulation without pictures: synthetic subjects, a day at a port, and the search measurement.
//!
//! Templates are random directions, whose false match rates are known exactly ([`calibration`]). [`DayPlan::run`] lets them
//! through the real search, rules, decision and records; [`soak::SoakPlan::run`] does so for as long as is asked for, with all that a
//! port does beside; [`search::run`] measures a gallery of them. For the commands
//! `clearlane lane simulate`, `demo` and `bench`, and for the benches: no library that gate software embeds depends on this
//! crate.
#![forbid(unsafe_code)]

mod calibration;
mod day;
pub mod faces;
pub mod search;
pub mod soak;
mod subjects;
mod vector_file;
pub mod vectors;

pub use calibration::calibration;
pub use day::{DayPlan, DayReport, SimulationError};
pub use subjects::{eligible, enrol};
pub use vector_file::{VectorFile, VectorsError};
