//! A table of a page in `docs/`, which a test makes of what happens and holds beside what is written there.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The table below the heading `title` of a page of this repository, beside `rows`, the first of which is the table's head.
/// With `CLEARLANE_WRITE_TABLES` set it is written anew.
pub(crate) fn hold(page: &str, title: &str, rows: &[Vec<String>]) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join(page));
    let path = path.into_iter().find(|path| path.exists()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let heading = format!("\n## {title}\n");
    let section = text.find(&heading).unwrap_or_else(|| panic!("{page} has no section {title}")) + heading.len();
    let end = text[section..].find("\n## ").map_or(text.len(), |length| section + length + 1);
    let table = text[section..end].find("\n|").map_or(end, |length| section + length + 1);
    let last = text[table..end].rfind("|\n").map_or(table, |length| table + length + 2);
    let made = markdown(rows);
    if std::env::var_os("CLEARLANE_WRITE_TABLES").is_some() {
        std::fs::write(path, [&text[..table], &made, &text[last..]].concat()).unwrap();
        return;
    }
    let (written, happened) = (text[table..last].lines(), made.lines());
    for (number, (written, happened)) in written.clone().zip(happened.clone()).enumerate() {
        assert_eq!(
            happened, written,
            "{page}, {title}, row {number}: what happens is not what is written there. If it should be so, CLEARLANE_WRITE_TABLES=1 \
             with this test writes the table anew"
        );
    }
    assert_eq!(
        happened.count(),
        written.count(),
        "{page}, {title}: rows; CLEARLANE_WRITE_TABLES=1 writes the table anew"
    );
}

fn markdown(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if number == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
    text
}
