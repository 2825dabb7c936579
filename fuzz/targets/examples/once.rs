//! Runs a target on one file: `cargo run -p clearlane-fuzz --example once -- TARGET FILE`, for an input that failed elsewhere.
#![allow(clippy::unwrap_used)]

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, file] = &arguments[..] else { panic!("expected TARGET FILE") };
    clearlane_fuzz::or_abort(name, &std::fs::read(file).unwrap());
    println!("{name} takes {file}");
}
