//! Gallery files: any bytes, and files of one template with bytes exchanged.

use std::sync::LazyLock;

use clearlane::search::{Enrolment, Gallery, GalleryBuilder, Mode, Precision, SearchOptions};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};

use crate::Steer;
use crate::registers::folder;

const SECRET: [u8; 32] = [1; 32];

fn builder() -> GalleryBuilder {
    Gallery::builder(ModelId::digest([b"model".as_slice()]), 8).precision(Precision::I8).parallel(false)
}

fn face(number: u64) -> Template {
    let values = (0..8).map(|at| ((number * 31 + at * at * 7) % 13) as f32 - 5.5).collect();
    Template::normalised(ModelId::digest([b"model".as_slice()]), values).unwrap()
}

/// The bytes of a file that serves.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (folder, template) = (folder(), face(1));
    let path = folder.path().join("sound.gallery");
    let mut file = builder().create_file(&path, &SECRET).unwrap();
    for id in 1..=40 {
        file.extend(&[Enrolment { subject: SubjectId(id / 2), id: TemplateId(id), template: &template }]).unwrap();
    }
    file.finish(b"tag").unwrap();
    std::fs::read(path).unwrap()
});

/// A file is opened and searched, or refused with words; one that differs from what was written gives no answer.
pub(crate) fn galleries(bytes: &[u8]) {
    let mut steer = Steer::new(bytes);
    let file = if bytes.len().is_multiple_of(2) {
        bytes.to_vec()
    } else {
        let mut file = SOUND.clone();
        for _ in 0..steer.below(4) {
            let (at, with) = (steer.below(file.len()), steer.byte());
            file[at] = with;
        }
        let length = file.len() - if steer.below(4) == 0 { steer.below(file.len()) } else { 0 };
        file.truncate(length);
        file
    };
    let folder = folder();
    let path = folder.path().join("any.gallery");
    std::fs::write(&path, &file).unwrap();
    let sound = file == *SOUND;
    let opened = match builder().open_file(&path, &SECRET) {
        Ok((gallery, tag)) => {
            assert_eq!((gallery.len(), gallery.subjects(), &tag[..]), (40, 21, b"tag".as_slice()));
            let options = SearchOptions { mode: Mode::Exhaustive, ..SearchOptions::new(5) };
            gallery
                .search(&face(1), &options)
                .map(|outcome| outcome.candidates.len())
                .map_err(|error| error.to_string())
        }
        Err(refused) => Err(refused.to_string()),
    };
    // Every byte counts: the salt differs from process to process, so `SOUND` is compared with itself.
    assert_eq!(opened.is_ok(), sound, "{opened:?}");
}
