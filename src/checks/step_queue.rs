//! What is still to be done: the steps of all checks, from which every connection takes the most expensive one.
//!
//! Order: steps that cost almost nothing, then steps that other steps need, then the most expensive. So --timeout and Ctrl-C leave
//! as little undecided as can be, and no connection is still at work on a long step while the others are idle.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Notify;

use super::check::Check;
use super::check_run::{CheckRun, StepId};
use super::context::CheckContext;
use super::progress_estimate::ProgressEstimate;
use super::step::{Step, StepAnswer};
use crate::rules::finding::{CheckReport, Finding};

/// A step that reads no more pages than these takes no time that anybody notices.
const QUICK: u64 = 1000;

/// The steps of all checks, shared by all connections.
pub(super) struct StepQueue<'a> {
    state: RefCell<QueueState<'a>>,
    changed: Notify,
}

struct QueueState<'a> {
    courses: Vec<CheckRun<'a>>,
    ready: BinaryHeap<ReadyStep>,
    running: Vec<(StepTicket, String)>,
    standing: ProgressEstimate,
    stopped: Option<String>,
}

/// What decides which step is next: whether it is quick, whether others wait for it, its cost, its place in the report.
type StepRank = (bool, Option<Reverse<u64>>, u64, Reverse<(usize, StepId)>);

/// A step that waits for a connection.
struct ReadyStep {
    taken: StepTicket,
    step: Step,
}

/// Which step it is, and what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepTicket {
    course: usize,
    place: StepId,
    cost: u64,
}

impl ReadyStep {
    /// What takes no time comes before all. Then what others wait for, the cheapest of it first: what a large table brings is
    /// then held against it at once, and not kept until it is there. Then the most expensive. Of two alike the one that
    /// stands first in the report.
    fn rank(&self) -> StepRank {
        let awaited = self.step.is_awaited.then_some(Reverse(self.taken.cost));
        let is_quick = self.taken.cost <= QUICK;
        (is_quick, awaited, self.taken.cost, Reverse((self.taken.course, self.taken.place)))
    }
}

impl PartialEq for ReadyStep {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for ReadyStep {}

impl PartialOrd for ReadyStep {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ReadyStep {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl<'a> StepQueue<'a> {
    /// Plans checks.
    ///
    /// # Errors
    /// When a check's file is broken.
    pub fn new(scope: &'a CheckContext<'a>, checks: impl Iterator<Item = &'a Check>) -> Result<Self> {
        let mut state = QueueState {
            courses: Vec::new(),
            ready: BinaryHeap::new(),
            running: Vec::new(),
            standing: ProgressEstimate::default(),
            stopped: None,
        };
        let checks: Vec<&Check> = checks.collect();
        for check in &checks {
            check.register_scans(scope);
        }
        for check in checks {
            let (course, steps) = CheckRun::start(scope, check)?;
            state.courses.push(course);
            state.add(state.courses.len() - 1, steps);
        }
        Ok(Self { state: RefCell::new(state), changed: Notify::new() })
    }

    /// About how many pages all steps read that are known of.
    pub fn pages(&self) -> u64 {
        self.state.borrow().standing.pages
    }

    /// The next step, once there is one; `None` when nothing is left to do, or it was stopped.
    pub async fn next(&self) -> Option<(StepTicket, Step)> {
        loop {
            // Asked for before looking: what changes in between is not missed.
            let changed = self.changed.notified();
            if let Some(next) = self.state.borrow_mut().next() {
                return next;
            }
            changed.await;
        }
    }

    /// Takes the answer to a step, or why there is none.
    ///
    /// # Errors
    /// When the rows are not what the check's file promises.
    pub fn complete(
        &self,
        taken: StepTicket,
        answer: Result<StepAnswer, String>,
        took: Duration,
    ) -> Result<()> {
        let mut state = self.state.borrow_mut();
        state.running.retain(|(other, _)| *other != taken);
        state.standing.done += 1;
        state.standing.pages_done += taken.cost;
        let answer = match (&state.stopped, answer) {
            // What the server says then is only that it was told to.
            (Some(reason), Err(_)) => Err(reason.clone()),
            (_, answer) => answer,
        };
        let steps = state.courses[taken.course].complete(taken.place, answer, took)?;
        state.add(taken.course, steps);
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Gives no more steps out. What is not answered is undecided for this reason.
    pub fn stop(&self, reason: String) {
        self.state.borrow_mut().stopped = Some(reason);
        self.changed.notify_waiters();
    }

    /// Comes to an end when nothing is left to do.
    pub async fn is_over(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state.borrow().is_over() {
                return;
            }
            changed.await;
        }
    }

    /// How far it is.
    pub fn progress(&self) -> ProgressEstimate {
        let state = self.state.borrow();
        let now = state.running.iter().map(|(_, about)| about.clone()).collect();
        ProgressEstimate { now, ..state.standing.clone() }
    }

    /// What all checks found, in their order.
    ///
    /// # Errors
    /// When the rows are not what a check's file promises.
    pub fn conclude(self) -> Result<(Vec<CheckReport>, Vec<Finding>)> {
        let QueueState { courses, stopped, .. } = self.state.into_inner();
        let (mut reports, mut findings) = (Vec::new(), Vec::new());
        for mut course in courses {
            if let Some(reason) = &stopped {
                course.give_up(reason);
            }
            let (report, found) = course.conclude()?;
            reports.push(report);
            findings.extend(found);
        }
        Ok((reports, findings))
    }
}

impl QueueState<'_> {
    fn add(&mut self, course: usize, steps: Vec<(StepId, Step)>) {
        for (place, step) in steps {
            let taken = StepTicket { course, place, cost: step.cost };
            self.standing.steps += 1;
            self.standing.pages += step.cost;
            self.ready.push(ReadyStep { taken, step });
        }
    }

    fn is_over(&self) -> bool {
        self.stopped.is_some() || (self.ready.is_empty() && self.running.is_empty())
    }

    /// The outer `None`: wait for what is running.
    fn next(&mut self) -> Option<Option<(StepTicket, Step)>> {
        if self.stopped.is_some() {
            return Some(None);
        }
        while let Some(ReadyStep { taken, step }) = self.ready.pop() {
            let course = &self.courses[taken.course];
            if course.needs(taken.place) {
                let about = format!("{} {}", course.code(), step.about);
                self.running.push((taken, about.trim_end().to_owned()));
                return Some(Some((taken, step)));
            }
            // Another step of its question failed.
            self.standing.done += 1;
            self.standing.pages_done += taken.cost;
        }
        self.running.is_empty().then_some(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_no_time_is_taken_first_then_what_others_wait_for() {
        let large = QUICK + 1;
        let steps = [
            ("large", large, false),
            ("largest", 50 * large, false),
            ("awaited, larger", 3 * large, true),
            ("awaited, large", 2 * large, true),
            ("tiny", 1, false),
            ("quick", QUICK, false),
            ("awaited, quick", 2, true),
            ("tiny again", 1, false),
        ];
        let ready = steps.iter().enumerate().map(|(course, (about, cost, is_awaited))| {
            let step = Step::query(*about, *cost, String::new());
            let step = if *is_awaited { step.awaited() } else { step };
            ReadyStep { taken: StepTicket { course, place: StepId::default(), cost: *cost }, step }
        });
        let mut heap: BinaryHeap<ReadyStep> = ready.collect();
        let order: Vec<String> = std::iter::from_fn(|| heap.pop()).map(|ready| ready.step.about).collect();
        assert_eq!(
            order,
            [
                "awaited, quick",
                "quick",
                "tiny",
                "tiny again",
                "awaited, large",
                "awaited, larger",
                "largest",
                "large"
            ]
        );
    }
}
