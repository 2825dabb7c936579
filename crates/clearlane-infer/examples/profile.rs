//! Where a model's time goes: `profile MODEL CHANNELS HEIGHT WIDTH [RUNS]`, on one thread.

use clearlane_infer::{Isa, Network, fma_peak};
use ndarray::Array3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, extents @ ..] = &arguments[..] else { return Err("which model?".into()) };
    let number = |index: usize, default: usize| extents.get(index).map_or(Ok(default), |text| text.parse());
    let input = [number(0, 3)?, number(1, 112)?, number(2, 112)?];
    let network = Network::from_onnx(&std::fs::read(file)?, input)?;
    let steps = network.profile(Array3::from_elem(input, 0.5).view(), number(3, 20)?)?;
    for step in &steps {
        let names: Vec<_> = step.nodes.iter().map(|&node| network.nodes()[node].operator.as_str()).collect();
        let [from, to] = step.extents;
        let rate = 2.0 * step.products as f64 / step.time.as_secs_f64() / 1e9;
        let micros = step.time.as_secs_f64() * 1e6;
        println!("{micros:8.1} us  {rate:6.1} GFLOP/s  {from:?} to {to:?}  {}", names.join("+"));
    }
    let total: f64 = steps.iter().map(|step| step.time.as_secs_f64()).sum();
    let products: usize = steps.iter().map(|step| step.products).sum();
    let (rate, peak) = (2.0 * products as f64 / total / 1e9, fma_peak(Isa::best()));
    println!("{:8.1} us in all, {rate:.1} GFLOP/s of a peak of {peak:.1}", total * 1e6);
    Ok(())
}
