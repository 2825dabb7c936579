//! A gallery that is told so starts no thread. The only test of its file: others would start threads of their own meanwhile.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod support;

use clearlane_match::{Enrolment, Gallery, Mode, SearchOptions};
use clearlane_template::{SubjectId, TemplateId};
use support::{Random, model};

const D: usize = 32;
/// More than are encoded by one thread where that is not asked for.
const MANY: u64 = 5000;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_gallery_that_is_not_parallel_starts_no_thread() {
    let before = threads();
    let mut random = Random(1);
    let gallery = Gallery::builder(model(), D).parallel(false).build().unwrap();
    let templates: Vec<_> = (0..MANY).map(|_| random.template(D)).collect();
    let enrolments: Vec<_> = (0..MANY)
        .zip(&templates)
        .map(|(id, template)| Enrolment { subject: SubjectId(id), id: TemplateId(id), template })
        .collect();
    gallery.extend(&enrolments).unwrap();
    let ids: Vec<_> = (MANY..2 * MANY).map(|id| (SubjectId(id), TemplateId(id))).collect();
    let rows: Vec<_> = templates.iter().flat_map(|template| template.as_slice().iter().map(|value| -value)).collect();
    gallery.extend_rows(&ids, &rows).unwrap();
    for id in 0..MANY {
        gallery.revoke(SubjectId(2 * id)).unwrap();
    }
    gallery.compact().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    gallery.write_file(&path, &[1; 32], b"").unwrap();
    let (on_file, _) = Gallery::builder(model(), D).parallel(false).open_file(&path, &[1; 32]).unwrap();
    for gallery in [&gallery, &on_file] {
        for mode in [Mode::Exhaustive, Mode::Certified, Mode::SKETCH] {
            let found = gallery.search(&templates[1], &SearchOptions { mode, ..SearchOptions::new(50) }).unwrap();
            assert_eq!((found.candidates[0].subject, found.candidates.len()), (SubjectId(1), 50));
        }
    }
    assert_eq!(threads(), before);
}
