//! A gallery whose rows stay in its file, at size: how long it takes to write and to open, what memory it takes, and how long
//! searches take with and without the system's page cache.
//!
//! ```sh
//! cargo run --release -p clearlane-match --example gallery_file -- --rows 10000000 /var/tmp/ten-million.gallery
//! ```
//!
//! A disk that is too small for the rows still shows what a hundred million take: with `--holes` the file keeps its codes alone,
//! and a row that a search asks for is made anew and put into its place, after which the search is begun again.

#[cfg(target_os = "linux")]
mod holes;
#[cfg(target_os = "linux")]
mod measure;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    measure::run()
}

/// What is measured is Linux's page cache and what its processes take.
#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this measures on Linux alone");
}
