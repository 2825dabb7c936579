//! Kinds of bad input, and what each gets: every row of `docs/bad-inputs.md` about the command line and Rust is tried here.
//! `CLEARLANE_WRITE_TABLES=1` writes the tables anew.
#![cfg(all(target_os = "linux", feature = "builtin", feature = "fetch"))]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod command_line;
mod kinds;
mod port;
mod rust;
