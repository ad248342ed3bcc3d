//! Progress on a terminal, for work that takes longer than a moment.
//!
//! There is one terminal, so the progress is global and nothing has to be passed around. Nothing is shown until
//! `enable` was called, and never if stderr is not a terminal.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::redact::personal::for_stderr;
use crate::text::escape::escape_control;

/// Shorter work is not shown.
const MOMENT: Duration = Duration::from_secs(1);

/// The interval at which a line is redrawn, so that it visibly moves.
const TICK: Duration = Duration::from_millis(200);

const WAIT: &str = "{spinner} {prefix} {wide_msg}";
const WITHOUT_END: &str = "{spinner} {prefix} {elapsed}  {wide_msg}";
const STEPS: &str = "{spinner} {prefix} [{bar:20}] {human_pos} of {human_len} after {elapsed}  {wide_msg}";
const ROWS: &str = "{spinner} {prefix} [{bar:20}] {human_pos} of {human_len} rows, {eta} left  {wide_msg}";
const BYTES: &str = "{spinner} {prefix} [{bar:20}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, \
                     {eta} left  {wide_msg}";
const BYTES_WITHOUT_END: &str = "{spinner} {prefix} {binary_bytes}, {binary_bytes_per_sec}  {wide_msg}";

static IS_WANTED: AtomicBool = AtomicBool::new(false);
/// The first words of statements that take long and whose first line says what they do.
const TELLING: [&str; 6] = ["ALTER ", "CREATE ", "DELETE ", "INSERT ", "LOCK ", "UPDATE "];

static CURRENT: Mutex<Weak<Shown>> = Mutex::new(Weak::new());
static LINES: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// Lets progress be seen from now on, where stderr is a terminal.
pub fn enable() {
    IS_WANTED.store(stderr().is_terminal(), Relaxed);
}

/// Writes a line to stderr, above whatever progress is shown there.
pub fn notice(line: &str) {
    let line = for_stderr(line);
    if IS_WANTED.load(Relaxed) {
        LINES.suspend(|| eprintln!("{line}"));
    } else {
        eprintln!("{line}");
    }
}

/// Shows what the program waits for, as long as the returned value lives: on a terminal a line that the next one
/// replaces, otherwise a line of its own.
pub fn wait(line: &str) -> Option<ProgressTask> {
    if !IS_WANTED.load(Relaxed) {
        notice(&format!("waiting: {line}"));
        return None;
    }
    let work = ProgressTask::hidden("waiting:");
    work.shown.bar.set_style(style(WAIT));
    work.set_message(for_stderr(line));
    work.shown.show();
    Some(work)
}

/// Shows which statement the server runs, after the current step. Statements that only read are not shown, because
/// their first words say little.
pub fn show_statement(sql: &str) {
    if !IS_WANTED.load(Relaxed) {
        return;
    }
    let Some(shown) = lock(&CURRENT).upgrade() else { return };
    let first = sql.lines().next().unwrap_or_default();
    let is_telling = TELLING.iter().any(|verb| first.starts_with(verb));
    let part = lock(&shown.part).clone();
    shown.bar.set_message(if is_telling { format!("{part}: {}", escape_control(first)) } else { part });
}

/// The current work, for code that knows its progress but did not start it.
pub fn current() -> Option<ProgressTask> {
    lock(&CURRENT).upgrade().map(|shown| ProgressTask { shown })
}

/// The unit of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things, such as tables or checks.
    Steps,
    /// Rows, which go by in thousands.
    Rows,
    /// Bytes.
    Bytes,
}

/// A piece of work, and its line while it lasts. Clones are of the same work.
#[derive(Debug, Clone)]
pub struct ProgressTask {
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown {
    bar: ProgressBar,
    part: Mutex<String>,
    is_over: Mutex<bool>,
}

impl ProgressTask {
    /// Begins it; `what` is in front of the line, such as `restoring`.
    pub fn start(what: &'static str) -> Self {
        let task = Self::start_around(what);
        *lock(&CURRENT) = Arc::downgrade(&task.shown);
        task
    }

    /// Starts work that consists of other work without a line of its own: a series of batches.
    pub fn start_around(what: &'static str) -> Self {
        let task = Self::hidden(what);
        if IS_WANTED.load(Relaxed) {
            let waiting = Arc::downgrade(&task.shown);
            // A thread: the worker waits for the server, and cannot look at the clock.
            thread::spawn(move || {
                thread::sleep(MOMENT);
                if let Some(shown) = waiting.upgrade() {
                    shown.show();
                }
            });
        }
        task
    }

    /// Work without a line as yet.
    fn hidden(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style(WITHOUT_END));
        bar.set_prefix(what);
        Self { shown: Arc::new(Shown { bar, part: Mutex::default(), is_over: Mutex::new(false) }) }
    }

    /// Begins a part of it, of so many steps where that is known.
    pub fn start_phase(&self, what: impl Into<String>, total: Option<u64>, unit: Unit) {
        let what = what.into();
        let bar = &self.shown.bar;
        tracing::debug!("{} {what}", bar.prefix());
        self.set_message(what);
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_style(style(match (unit, total) {
            (Unit::Steps | Unit::Rows, None) => WITHOUT_END,
            (Unit::Steps, Some(_)) => STEPS,
            (Unit::Rows, Some(_)) => ROWS,
            (Unit::Bytes, None) => BYTES_WITHOUT_END,
            (Unit::Bytes, Some(_)) => BYTES,
        }));
        bar.set_position(0);
    }

    /// Says what is done now, within the part.
    pub fn set_message(&self, what: impl Into<String>) {
        let what = what.into();
        self.shown.bar.set_message(what.clone());
        *lock(&self.shown.part) = what;
    }

    /// There turn out to be so many steps.
    pub fn set_len(&self, total: u64) {
        self.shown.bar.set_length(total);
    }

    /// Some steps of the part are done.
    pub fn advance(&self, steps: u64) {
        self.shown.bar.inc(steps);
    }

    /// So many steps of the part are done by now.
    pub fn set_position(&self, step: u64) {
        self.shown.bar.set_position(step);
    }
}

impl Shown {
    fn show(&self) {
        let is_over = lock(&self.is_over);
        if !*is_over {
            LINES.add(self.bar.clone());
            self.bar.enable_steady_tick(TICK);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        *lock(&self.is_over) = true;
        self.bar.finish_and_clear();
        if IS_WANTED.load(Relaxed) {
            LINES.remove(&self.bar);
        }
    }
}

/// A panic elsewhere is no reason to show nothing more.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a constant").progress_chars("## ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_can_be_drawn() {
        let work = ProgressTask::start("trying");
        for (total, unit) in [
            (None, Unit::Steps),
            (Some(3), Unit::Steps),
            (Some(3), Unit::Rows),
            (None, Unit::Bytes),
            (Some(9), Unit::Bytes),
        ] {
            work.start_phase("a part", total, unit);
            work.advance(2);
            work.set_message("a step");
            assert_eq!((work.shown.bar.position(), work.shown.bar.length()), (2, total));
        }
        work.set_position(3);
        assert_eq!(work.shown.bar.position(), 3);
    }
}
