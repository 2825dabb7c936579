//! A 1:N test on LFW: everybody's first image enrolled, second images as probes.

use std::collections::BTreeMap;

use super::{Errata, ImageName};

/// Who is enrolled with which image, and which images are searched with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// One image of each subject, by name: the person's image of the lowest number.
    pub references: Vec<ImageName>,
    /// A further image of those that have one, by name: the person's next number.
    pub probes: Vec<Probe>,
}

/// An image to search with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The image.
    pub image: ImageName,
    /// The place of its mate in [`Identification::references`].
    pub mate: usize,
}

impl Identification {
    /// The test that `images` make, in any order, without those that `errata` drops and with its names merged.
    #[must_use]
    pub fn new(images: impl IntoIterator<Item = ImageName>, errata: &Errata) -> Self {
        let mut people: BTreeMap<String, Vec<ImageName>> = BTreeMap::new();
        for image in images.into_iter().filter(|image| !errata.drops(image)) {
            people.entry(errata.person(image.person()).to_owned()).or_default().push(image);
        }
        let mut test = Self { references: Vec::new(), probes: Vec::new() };
        for mut images in people.into_values() {
            images.sort_unstable();
            images.dedup();
            let mut images = images.into_iter();
            let mate = test.references.len();
            test.references.extend(images.next());
            test.probes.extend(images.next().map(|image| Probe { image, mate }));
        }
        test
    }
}
