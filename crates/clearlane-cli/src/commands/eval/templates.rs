//! Many pictures to templates, on all cores.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clearlane_embed::{Extractor, Template};
use rayon::prelude::*;
use serde::Serialize;

use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::{Output, shown};
use crate::pictures::extract;

/// What became of many pictures.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Extracted {
    pub(in crate::commands) detector: String,
    pub(in crate::commands) embedder: String,
    pub(in crate::commands) images: usize,
    /// Pictures that gave no template, and why.
    pub(in crate::commands) failed: Vec<String>,
    /// How long it took, on so many threads.
    pub(in crate::commands) seconds: f64,
    pub(in crate::commands) threads: usize,
    /// One for each path, in order.
    #[serde(skip)]
    pub(in crate::commands) templates: Vec<Option<Template>>,
}

/// The templates of the pictures at `paths`. A picture without a face is a failure to acquire; one that
/// cannot be read is an error.
pub(in crate::commands) fn extract_all(extractor: &Extractor, paths: &[PathBuf], output: &Output) -> Result<Extracted> {
    let interrupt = Interrupt::listen()?;
    let progress = output.progress(paths.len() as u64, "templates");
    let start = Instant::now();
    let one = |path: &PathBuf| {
        interrupt.check()?;
        let result = template(extractor, path);
        progress.step();
        result
    };
    let results = paths.par_iter().map(one).collect::<Result<Vec<_>>>();
    progress.done();
    let mut failed = Vec::new();
    let keep = |result: Result<Template, String>| match result {
        Ok(template) => Some(template),
        Err(why) => {
            failed.push(why);
            None
        }
    };
    let templates = results?.into_iter().map(keep).collect();
    Ok(Extracted {
        detector: extractor.detector().name().to_owned(),
        embedder: extractor.embedder().name().to_owned(),
        images: paths.len(),
        failed,
        seconds: start.elapsed().as_secs_f64(),
        threads: rayon::current_num_threads(),
        templates,
    })
}

/// A picture's template, or why a readable picture gave none.
fn template(extractor: &Extractor, path: &Path) -> Result<Result<Template, String>> {
    if !path.is_file() {
        return Err(Failure::new(Exit::Input, format!("{}: the data set lacks this image", shown(path))));
    }
    match extract(extractor, path) {
        Ok(extraction) => Ok(Ok(extraction.template)),
        Err(failure) if failure.exit == Exit::Input => Ok(Err(failure.message)),
        Err(failure) => Err(failure),
    }
}

impl Extracted {
    /// What was done, in words.
    pub(in crate::commands) fn text(&self) -> String {
        let Self { detector, embedder, images, seconds, threads, failed, .. } = self;
        let rate = *images as f64 / seconds;
        let mut text = format!(
            "{detector} and {embedder}: {images} images in {seconds:.1} s on {threads} threads ({rate:.0} a second), {} failures to acquire\n",
            failed.len()
        );
        for why in failed.iter().take(10) {
            text.extend(["  ", why, "\n"]);
        }
        text
    }
}
