//! Rows are published once they are written: no reader sees one that is not, on any machine of the memory model.

mod sync {
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};

    /// A lock without poison, as the product's is.
    #[derive(Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
#[path = "../../crates/clearlane-match/src/kernel/row_count.rs"]
mod row_count;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use row_count::RowCount;

/// Rows as a buffer holds them: loom ends the test where one is read while it is written.
#[derive(Default)]
struct Rows {
    count: RowCount,
    rows: [UnsafeCell<usize>; 3],
}

// SAFETY: that no row is read before it is published, and none written after, is what the test tries.
unsafe impl Sync for Rows {}

impl Rows {
    /// Adds a row after those that are published.
    fn add(&self, value: usize) {
        let appending = self.count.append();
        assert!(appending.is_of(&self.count));
        let row = self.count.get();
        // SAFETY: loom checks it.
        self.rows[row].with_mut(|place| unsafe { *place = value });
        appending.publish(row + 1);
    }

    /// Gives up before anything is published, as a writer does that unwinds.
    fn give_up(&self) {
        let _appending = self.count.append();
        let row = self.count.get();
        // SAFETY: loom checks it.
        self.rows[row].with_mut(|place| unsafe { *place = usize::MAX });
    }

    fn read(&self) -> Vec<usize> {
        // SAFETY: loom checks it.
        (0..self.count.get()).map(|row| self.rows[row].with(|place| unsafe { *place })).collect()
    }
}

#[test]
fn readers_see_whole_rows_and_never_fewer_than_before() {
    loom::model(|| {
        let rows = Arc::new(Rows::default());
        let writers: Vec<_> = [1, 2]
            .into_iter()
            .map(|value| {
                let rows = Arc::clone(&rows);
                thread::spawn(move || rows.add(value))
            })
            .collect();
        let (first, second) = (rows.read(), rows.read());
        assert!(second.starts_with(&first) && second.iter().all(|value| [1, 2].contains(value)), "{first:?} {second:?}");
        for writer in writers {
            writer.join().unwrap();
        }
        let mut all = rows.read();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn what_a_writer_left_half_done_is_written_over_and_never_seen() {
    loom::model(|| {
        let rows = Arc::new(Rows::default());
        let failing = {
            let rows = Arc::clone(&rows);
            thread::spawn(move || rows.give_up())
        };
        let writer = {
            let rows = Arc::clone(&rows);
            thread::spawn(move || rows.add(1))
        };
        assert!(rows.read().iter().all(|value| *value == 1));
        failing.join().unwrap();
        writer.join().unwrap();
        assert_eq!(rows.read(), [1]);
    });
}
