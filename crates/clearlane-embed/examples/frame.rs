//! How long a frame takes to its template: `frame MODELS DETECTOR EMBEDDER FILE [RUNS]`, on one thread.
//!
//! FILE is a picture, or raw NV12 of 1280 x 720 pixels where its name ends in `.nv12`. Prints one line of JSON: the median
//! of each stage and of the whole in milliseconds; `read` is decoding, which raw frames need none of.

use std::time::{Duration, Instant};

use clearlane_embed::{DecodeLimits, Extractor, Frame, Models, PixelFormat, Selection, Stage};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, detector, embedder, file, rest @ ..] = &arguments[..] else {
        return Err("MODELS DETECTOR EMBEDDER FILE [RUNS]".into());
    };
    let runs: usize = rest.first().map_or(Ok(50), |runs| runs.parse())?;
    let mut models = Models::builtin()?;
    models.add_folder(folder)?;
    let extractor = Extractor::new(models.detector(detector)?, models.embedder(embedder)?);
    let extractor = extractor.with_selection(Selection::Largest);
    let bytes = std::fs::read(file)?;
    let raw = std::path::Path::new(file).extension().is_some_and(|extension| extension == "nv12");
    let mut stages: [Vec<Duration>; 6] = Default::default();
    for run in 0..runs + runs.div_ceil(10) {
        let start = Instant::now();
        let frame = if raw {
            Frame::new(PixelFormat::Nv12, 1280, 720, 1280, bytes.as_slice())?
        } else {
            Frame::decode(&bytes, &DecodeLimits::default())?
        };
        let read = start.elapsed();
        let timings = extractor.extract(&frame)?.timings;
        let all = start.elapsed();
        if run >= runs.div_ceil(10) {
            let [detect, align, quality, embed] =
                [Stage::Detect, Stage::Align, Stage::Quality, Stage::Embed].map(|stage| timings[stage]);
            let taken = [read, detect, align, quality, embed, all];
            stages.iter_mut().zip(taken).for_each(|(times, time)| times.push(time));
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        1e3 * times[times.len() / 2].as_secs_f64()
    };
    let [read, detect, align, quality, embed, all] = stages.each_mut().map(median);
    println!(
        "{{\"read\": {read:.3}, \"detect\": {detect:.3}, \"align\": {align:.3}, \"quality\": {quality:.3}, \
         \"embed\": {embed:.3}, \"all\": {all:.3}}}"
    );
    Ok(())
}
