//! Enrolling and revoking, and searches beside them: prints the report as JSON.

use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// Templates in the gallery
    #[arg(long, default_value_t = 200_000)]
    size: usize,
    /// Values of a template
    #[arg(long, default_value_t = 512)]
    dimension: usize,
    /// Single additions that are timed
    #[arg(long, default_value_t = 20_000)]
    adds: usize,
    /// Additions a second beside searches
    #[arg(long, default_value_t = 10_000.0)]
    rate: f64,
    /// How long searches are counted, alone and beside the writer
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a = Arguments::parse();
    let report = clearlane_benches::living::run(a.size, a.dimension, a.adds, a.rate, a.seconds)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
