//! How far a long reading is, on a terminal.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::requests::progress::Progress;

/// What is done sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);

const WITH_END: &str = "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
const WITHOUT_END: &str = "{spinner} {binary_bytes}, {binary_bytes_per_sec}";

/// A line on stderr that says how far the reading is; nothing where nobody looks at it.
pub struct Bar {
    bar: ProgressBar,
    begun: Instant,
    is_wanted: bool,
}

impl Bar {
    /// Not to be seen yet.
    pub fn new(is_wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { bar: bar.with_style(style(WITHOUT_END)), begun: Instant::now(), is_wanted }
    }

    /// Shows how far it is by now, if that is worth showing.
    pub fn update(&self, progress: &Progress) {
        if !self.is_wanted || self.begun.elapsed() < PATIENCE {
            return;
        }
        if self.bar.is_hidden() && stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        if !progress.is_endless.load(Relaxed) && self.bar.length().is_none() {
            self.bar.set_length(progress.total.load(Relaxed));
            self.bar.set_style(style(WITH_END));
        }
        self.bar.set_position(progress.read.load(Relaxed));
    }

    /// Takes it away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
