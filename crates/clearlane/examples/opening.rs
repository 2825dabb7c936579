//! How long a lane takes to open a register: loading, unsealing, and building the gallery until it is searchable.
//!
//! `cargo run --release -p clearlane-store --example figures -- FILE` makes one of a million random templates, under a key for
//! figures; `cargo run --release -p clearlane --example opening -- FILE` opens it.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use clearlane::References;
use clearlane_match::SearchOptions;
use clearlane_store::{Key, Keyring, Register};
use clearlane_template::{ModelId, Template};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: opening FILE")?;
    let model = ModelId::digest([b"random".as_slice()]);
    let start = Instant::now();
    let register = Arc::new(Register::open(path, Keyring::new(Key::from_bytes([7; 32])))?);
    let dimension = register.protection(model)?.dimension();
    let opened = start.elapsed();
    let references = References::load(register, model, |_, _| {})?;
    let loaded = start.elapsed();
    let probe = Template::normalised(model, (0..dimension).map(|at| (at as f32).sin()).collect())?;
    let found = references.search(&probe, &SearchOptions::new(1))?.ok_or("the register is empty")?;
    println!(
        "{} templates of {dimension} values: opened in {opened:.2?}, loaded in {loaded:.2?}, a first search ended at {:.2?} on {} threads ({:?})",
        references.len(),
        start.elapsed(),
        rayon::current_num_threads(),
        found.completeness
    );
    Ok(())
}
