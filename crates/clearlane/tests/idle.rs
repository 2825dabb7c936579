//! A lane that nobody stands in front of uses no processor time. A process of its own: what other tests use would count.
#![cfg(all(target_os = "linux", feature = "builtin"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use clearlane::{Direction, References};
use clearlane_embed::Models;

/// Processor time of this process so far, of the program and of the system for it.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name in parentheses may have anything in it; utime and stime are the 14th and 15th value.
    let values: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks = |at: usize| values[at - 3].parse::<u64>().unwrap();
    // Linux counts hundredths of a second here on every architecture.
    Duration::from_millis(10 * (ticks(14) + ticks(15)))
}

#[test]
fn an_open_port_whose_lanes_are_idle_uses_next_to_no_processor_time() {
    let (extractor, calibration) = common::builtin();
    let extractor = extractor.with_occlusion(Models::builtin().unwrap().any_occlusion().unwrap().unwrap());
    let home = common::Port::with(2);
    let references = References::load(home.register.clone(), extractor.embedder().model_id(), |_, _| {}).unwrap();
    references.check(|_, _| {}).unwrap();
    let port = clearlane::Port::builder(references)
        .policy(common::policy(common::SERVES_FICTIONAL_PEOPLE))
        .port("shenzhen-bay".parse().unwrap())
        .calibration(calibration)
        .extractor(extractor)
        .parallel(true)
        .build()
        .unwrap();
    let lanes: Vec<_> = (1..=4).map(|n| port.lane(format!("lane {n}"), Direction::Exit).unwrap()).collect();
    let session = lanes[0].passage();
    let refresher = port.refresh_every(Duration::from_millis(500)).unwrap();
    // Whatever opening began has come to an end.
    std::thread::sleep(Duration::from_millis(500));
    let (before, begun) = (processor_time(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let (used, passed) = (processor_time().saturating_sub(before), begun.elapsed());
    drop((refresher, session));
    // One thread that waits busily would use all of it.
    assert!(used < passed / 10, "{used:?} of {passed:?}");
}
