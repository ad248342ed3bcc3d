//! How far a restore is, on a terminal, when it takes longer than a moment.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done before anything is shown.
const MOMENT: Duration = Duration::from_secs(1);

/// A line on stderr that goes away with this value. Without a terminal there is none.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    is_wanted: bool,
}

impl Progress {
    /// Not shown yet, and never when it is not wanted.
    pub fn new(is_wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { bar, started: Instant::now(), is_wanted }
    }

    /// Begins a part of the work, of `total` steps.
    pub fn begin(&self, what: &'static str, total: u64) {
        tracing::debug!("restore: {what}");
        let style = ProgressStyle::with_template("restoring: {msg} [{bar:30}] {percent}% after {elapsed}");
        self.bar.set_style(style.expect("a constant").progress_chars("## "));
        self.bar.set_message(what);
        self.bar.set_length(total);
        self.bar.set_position(0);
        self.show();
    }

    /// Some steps of the part are done.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
        self.show();
    }

    fn show(&self) {
        if self.is_wanted && self.bar.is_hidden() && self.started.elapsed() > MOMENT {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
