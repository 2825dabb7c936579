//! A progress bar with rate and time left, on standard error.

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of a long job; drawn only where somebody sees it.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

const TEMPLATE: &str = "{msg:>10} [{bar:32}] {human_pos}/{human_len}  {per_sec}  {eta} left";

#[cfg(feature = "fetch")]
const OF_BYTES: &str = "{msg:>10} [{bar:32}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";

/// Under the bar stands a table.
const WITH_TABLE: &str = "[{bar:32}] {human_pos}/{human_len}  {eta} left\n{msg}";

impl Progress {
    pub(crate) fn new(total: u64, what: &'static str, visible: bool) -> Self {
        Self::styled(total, what, visible, TEMPLATE)
    }

    /// The progress of a file that comes in.
    #[cfg(feature = "fetch")]
    pub(crate) fn of_bytes(visible: bool) -> Self {
        Self::styled(0, "", visible, OF_BYTES)
    }

    /// A bar over a table that [`Progress::say`] fills.
    pub(crate) fn with_table(total: u64, visible: bool) -> Self {
        Self::styled(total, "", visible, WITH_TABLE)
    }

    fn styled(total: u64, what: &'static str, visible: bool, template: &str) -> Self {
        if !visible {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(total).with_message(what);
        // Templates are constants; were one wrong, the default style would show the same numbers.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    /// So many steps are done, of so many.
    pub(crate) fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Says something in place of the job's name, or in the table.
    pub(crate) fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// Runs `print` with the bar out of the way.
    pub(crate) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}
