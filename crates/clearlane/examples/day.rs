//! A day at a busy port: the pilot's published peak of 46,000 passages, 5 % of them by strangers, on four lanes.
//!
//! `cargo run --release -p clearlane --example day -- policies/shenzhen-bay-and-gongbei.toml`

use std::error::Error;
use std::time::Duration;

use clearlane::Policy;
use clearlane::simulate::DayPlan;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let policy = Policy::open(arguments.next().ok_or("name a policy file")?)?;
    let mut plan = DayPlan::default();
    if let Some(passages) = arguments.next() {
        plan.passages = passages.parse()?;
    }
    let folder = tempfile::tempdir()?;
    let report = plan.run(&folder.path().join("day.register"), policy, |done| {
        if done.is_multiple_of(5_000) {
            eprintln!("{done} passages");
        }
    })?;
    let us = |us: u64| Duration::from_micros(us);
    println!("{} passages, {} by strangers, among {} enrolled", report.passages, report.strangers, plan.enrolled);
    println!("admitted as themselves {}, referred {}", report.admitted, report.mated_referred);
    println!("wrong admissions {}", report.wrong_admissions);
    println!("records {}, register and chain sound: {}", report.records, report.sound);
    println!(
        "threshold {:.4}, {:.0} passages/s in {:.1} s",
        report.threshold,
        report.rate,
        report.elapsed.as_secs_f64()
    );
    let total = report.metrics.total;
    println!("a passage: median {:?}, 95 % {:?}, 99 % {:?}", us(total.p50_us), us(total.p95_us), us(total.p99_us));
    if report.wrong_admissions > 0 || !report.sound || report.records != report.passages {
        return Err("the day went wrong".into());
    }
    Ok(())
}
