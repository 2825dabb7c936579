//! All images of LFW against all.

use std::path::Path;

use super::all_pairs::{self, AllPairsArgs};
use super::lfw::Lfw;
use crate::failure::{Exit, Result};
use crate::output::Output;

pub(super) fn run(lfw: &Lfw<'_>, det: Option<&Path>, args: &AllPairsArgs, output: &Output) -> Result<Exit> {
    let mut images = lfw.images()?;
    images.retain(|image| !lfw.errata.drops(image));
    let named: Vec<_> = images.iter().collect();
    let (mut templates, mut made) = lfw.templates(&named)?;
    let captures = all_pairs::captures(images.iter().map(|image| lfw.errata.person(image.person())));
    made.templates = images.iter().map(|image| templates.remove(image)).collect();
    let protocol = "LFW, all pairs, errata removed".to_owned();
    let (captures, made, report, quality) = (&captures, &made, &lfw.args.run.report, &lfw.args.quality);
    all_pairs::run(&all_pairs::Test { protocol, captures, made, group_by: &[], det, args, quality, report }, output)
}
