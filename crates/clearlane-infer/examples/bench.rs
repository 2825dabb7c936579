//! How long a model takes: `bench MODEL CHANNELS HEIGHT WIDTH [BACKEND] [BATCH] [RUNS] [THREADS]`.
//!
//! Prints one line of JSON: the time to load, and of the runs the median, the 95th and the 99th percentile, all in
//! milliseconds a batch.

use std::time::Instant;

use clearlane_infer::{Backend, Network, Options};
use ndarray::Array4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, extents @ ..] = &arguments[..] else { return Err("which model?".into()) };
    let number = |index: usize, default: usize| extents.get(index).map_or(Ok(default), |text| text.parse());
    let input = [number(0, 3)?, number(1, 112)?, number(2, 112)?];
    let backend: Backend = extents.get(3).map_or("auto", String::as_str).parse()?;
    let (batch, runs, threads) = (number(4, 1)?, number(5, 200)?, number(6, 1)?);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;

    let bytes = std::fs::read(file)?;
    let start = Instant::now();
    let network = Network::with_options(&bytes, input, &Options::on(backend))?;
    let load = start.elapsed().as_secs_f64() * 1e3;
    let image = Array4::from_shape_fn((batch, input[0], input[1], input[2]), |(n, c, y, x)| {
        ((n * 31 + c * 17 + y * 7 + x * 3) % 255) as f32 / 127.5 - 1.0
    });
    for _ in 0..runs.div_ceil(10) {
        pool.install(|| network.run_parallel(image.view()))?;
    }
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        pool.install(|| network.run_parallel(image.view()))?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    println!(
        "{{\"load_ms\": {load:.1}, \"p50_ms\": {:.3}, \"p95_ms\": {:.3}, \"p99_ms\": {:.3}, \"batch\": {batch}, \"threads\": {threads}}}",
        at(0.5),
        at(0.95),
        at(0.99)
    );
    Ok(())
}
