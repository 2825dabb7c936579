//! One port, four lanes on four threads, one gallery: `four_lanes FOLDER PICTURE…`, with the folder that
//! `clearlane demo --gallery 10000 --keep FOLDER` leaves.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clearlane::{Decision, DecodeLimits, Direction, Frame, Language, Port, PortOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().ok_or("expected FOLDER PICTURE…")?;
    let frames = arguments.map(|path| Frame::open(path, &DecodeLimits::default())).collect::<Result<Vec<_>, _>>()?;
    let options = PortOptions::new(folder.join("demo.register")).key_file(folder.join("demo.key"));
    let port = Port::open(options.policy_file(folder.join("demo-policy.toml")).port("shenzhen-bay".parse()?))?;
    let _refresher = port.refresh_every(Duration::from_secs(1))?;
    thread::scope(|scope| {
        for number in 1..=4 {
            let (port, frames) = (&port, &frames);
            scope.spawn(move || {
                let lane = port.lane(format!("lane {number}"), Direction::Exit).expect("a lane's name");
                for frame in frames {
                    match lane.pass(std::slice::from_ref(frame), &[], None).decision {
                        Decision::Admit { subject } => println!("lane {number}: subject {subject} may pass"),
                        Decision::Refer { reasons, .. } => {
                            println!("lane {number}: to an officer: {}", reasons[0].phrase(Language::English));
                        }
                    }
                }
            });
        }
    });
    println!("{} references in one gallery", port.references().len());
    Ok(())
}
