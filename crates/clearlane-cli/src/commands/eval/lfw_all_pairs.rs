//! All images of LFW against all.

use std::path::Path;

use super::all_pairs;
use super::lfw::Lfw;
use crate::failure::{Exit, Result};
use crate::output::Output;

pub(super) fn run(lfw: &Lfw<'_>, det: Option<&Path>, output: &Output) -> Result<Exit> {
    let mut images = lfw.images()?;
    images.retain(|image| !lfw.errata.drops(image));
    let named: Vec<_> = images.iter().collect();
    let (templates, made) = lfw.templates(&named)?;
    let people: Vec<_> =
        images.iter().filter_map(|image| Some((lfw.errata.person(image.person()), templates.get(image)?))).collect();
    all_pairs::run("LFW, all pairs, errata removed", &people, &made, det, output)
}
