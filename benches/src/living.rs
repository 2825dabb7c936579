//! What enrolling and revoking cost, and what they cost the searches beside them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clearlane_match::{Gallery, GalleryError, Mode, SearchOptions};
use clearlane_simulate::search::BenchError;
use clearlane_simulate::vectors::{model, random_rows};
use clearlane_template::{SubjectId, Template, TemplateError, TemplateId};
use serde::Serialize;

/// What was measured on a gallery that others change.
#[derive(Clone, Debug, Serialize)]
pub struct LivingReport {
    /// Templates that stood in the gallery at the start.
    pub size: usize,
    /// Values of a template.
    pub dimension: usize,
    /// Microseconds for one of many single additions, on one thread.
    pub add_us: f64,
    /// The longest single addition, in microseconds.
    pub longest_add_us: f64,
    /// Microseconds for one of many revocations.
    pub revoke_us: f64,
    /// Sketch searches a second, alone.
    pub rate_alone: f64,
    /// Sketch searches a second beside a writer.
    pub rate_beside: f64,
    /// Additions a second that the writer made meanwhile.
    pub adds_a_second: f64,
}

/// Measures a gallery of `size` templates, with `adds` additions and as many revocations, and searches for `seconds` alone
/// and beside a writer at `adds_a_second`.
pub fn run(
    size: usize,
    dimension: usize,
    adds: usize,
    adds_a_second: f64,
    seconds: f64,
) -> Result<LivingReport, BenchError> {
    const AT_ONCE: usize = 1 << 15;
    let gallery = Gallery::builder(model(), dimension).build()?;
    gallery.try_reserve(size)?;
    let mut values = vec![0.0; AT_ONCE.min(size.max(1)) * dimension];
    for first in (0..size).step_by(AT_ONCE) {
        let ids: Vec<_> = (first..(first + AT_ONCE).min(size)).map(ids).collect();
        let values = &mut values[..ids.len() * dimension];
        random_rows(values, dimension, 1, first);
        gallery.extend_rows(&ids, values)?;
    }
    let fresh = templates(adds.max(1), dimension)?;
    let mut longest = Duration::ZERO;
    let start = Instant::now();
    for (i, template) in fresh.iter().enumerate() {
        let (subject, id) = ids(size + i);
        let start = Instant::now();
        gallery.add(subject, id, template)?;
        longest = longest.max(start.elapsed());
    }
    let add = start.elapsed();
    let start = Instant::now();
    for i in 0..fresh.len() {
        gallery.revoke(ids(size + i).0)?;
    }
    let revoke = start.elapsed();

    let alone = rate(&gallery, &fresh[0], seconds)?;
    let done = AtomicBool::new(false);
    let (beside, added) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&gallery, &fresh, size + fresh.len(), adds_a_second, &done));
        let beside = rate(&gallery, &fresh[0], seconds);
        done.store(true, Ordering::Relaxed);
        let added = writer.join().unwrap_or(Ok(0));
        (beside, added)
    });
    let each = |time: Duration| time.as_secs_f64() * 1e6 / fresh.len() as f64;
    Ok(LivingReport {
        size,
        dimension,
        add_us: each(add),
        longest_add_us: longest.as_secs_f64() * 1e6,
        revoke_us: each(revoke),
        rate_alone: alone,
        rate_beside: beside?,
        adds_a_second: added? as f64 / seconds,
    })
}

fn ids(i: usize) -> (SubjectId, TemplateId) {
    (SubjectId(i as u64), TemplateId(i as u64))
}

fn templates(count: usize, dimension: usize) -> Result<Vec<Template>, TemplateError> {
    let mut values = vec![0.0; count * dimension];
    random_rows(&mut values, dimension, 2, 0);
    values.chunks_exact(dimension).map(|row| Template::from_unit(model(), row.to_vec())).collect()
}

/// Searches one after the other, each on the gallery as it then stands.
fn rate(gallery: &Gallery, probe: &Template, seconds: f64) -> Result<f64, GalleryError> {
    let options = SearchOptions { threshold: 0.35, mode: Mode::SKETCH, ..SearchOptions::new(10) };
    let start = Instant::now();
    let mut searches = 0_u32;
    while start.elapsed().as_secs_f64() < seconds {
        gallery.search(probe, &options)?;
        searches += 1;
    }
    Ok(f64::from(searches) / start.elapsed().as_secs_f64())
}

/// Adds templates at a steady pace, in small bursts, until it is told that it is done.
fn write(
    gallery: &Gallery,
    fresh: &[Template],
    first: usize,
    adds_a_second: f64,
    done: &AtomicBool,
) -> Result<usize, GalleryError> {
    let start = Instant::now();
    let mut added = 0;
    while !done.load(Ordering::Relaxed) {
        while (added as f64) < start.elapsed().as_secs_f64() * adds_a_second {
            let (subject, id) = ids(first + added);
            gallery.add(subject, id, &fresh[added % fresh.len()])?;
            added += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(added)
}
