//! Copies of a whole register, made while it is in use, and put back.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::error::Sql as _;
use crate::file::{self, Access};
use crate::{KeySource, Register, RegisterOptions, Result, StoreError};

/// 4 MiB at a time: a writer in another process waits for one step at most.
const STEP: i32 = 256;

impl Register {
    /// Copies the register, as it is at this moment, to a new file. It goes on being used. The copy needs the same keys.
    /// `progress` gets how many pages are done, of how many.
    pub fn backup(&self, to: impl AsRef<Path>, progress: impl FnMut(u64, u64)) -> Result<()> {
        copy(&self.another_reader()?, to.as_ref(), progress)
    }

    /// Makes a register at `to` out of a backup, after SQLite's check of its structure, and opens it. An existing file is
    /// left alone: move it away first, together with its write-ahead log.
    pub fn restore(
        backup: impl AsRef<Path>,
        to: impl AsRef<Path>,
        keys: impl KeySource + 'static,
        progress: impl FnMut(u64, u64),
    ) -> Result<Self> {
        RegisterOptions::new().restore(backup, to, keys, progress)
    }
}

impl RegisterOptions {
    /// As [`Register::restore`]. A witness that has seen a newer register takes over the restored one as the newest: to
    /// restore is to go back on purpose.
    pub fn restore(
        &self,
        backup: impl AsRef<Path>,
        to: impl AsRef<Path>,
        keys: impl KeySource + 'static,
        progress: impl FnMut(u64, u64),
    ) -> Result<Register> {
        let (backup, to) = (backup.as_ref(), to.as_ref());
        let source = file::connect(backup, Access::Read, crate::DEFAULT_WAIT)?;
        let sound = source.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        match sound.map_err(|error| StoreError::sqlite(error).at(backup, Duration::ZERO))? {
            text if text == "ok" => {}
            reason => return Err(StoreError::Corrupt { path: backup.to_owned(), reason }),
        }
        copy(&source, to, progress)?;
        self.open_restored(to, keys)
    }
}

fn copy(source: &Connection, to: &Path, mut progress: impl FnMut(u64, u64)) -> Result<()> {
    file::check_free(to)?;
    file::write_then_name(to, |temporary| {
        // One state of the source: a reader is not disturbed by writers.
        source.execute_batch("BEGIN; SELECT id FROM register").sql()?;
        let mut target = Connection::open(temporary).sql()?;
        let backup = Backup::new(source, &mut target).sql()?;
        loop {
            let step = backup.step(STEP).sql()?;
            let pages = backup.progress();
            let (left, total) = (pages.remaining.max(0) as u64, pages.pagecount.max(0) as u64);
            progress(total - left, total);
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        drop(backup);
        source.execute_batch("COMMIT").sql()?;
        target.pragma_update(None, "synchronous", "FULL").sql()?;
        target.close().map_err(|(_, error)| StoreError::sqlite(error))
    })
}
