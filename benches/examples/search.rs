//! `clearlane bench search` without the rest of the command line: prints the report as JSON.

use clap::Parser;
use clearlane_simulate::search::{SearchBench, run};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    bench: SearchBench,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let report = run(&Arguments::parse().bench, |doing| eprintln!("{doing}"))?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
