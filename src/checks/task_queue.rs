//! Tasks that wait for a connection, and which of them is next.
//!
//! What takes no time is first, then what other tasks need, then the most expensive. So --timeout and Ctrl-C leave as little
//! undecided as can be, and no connection is still at work on a long task while the others are idle.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::task::Task;

/// A task that reads no more pages than these takes no time that anybody notices.
const QUICK: u64 = 1000;

/// Why a task of a group has failed, once one has.
pub(super) type Failure = Rc<RefCell<Option<String>>>;

/// Tasks that wait for a connection of this type.
pub(super) struct TaskQueue<C> {
    tasks: Vec<WaitingTask<C>>,
    /// The number of tasks so far.
    count: usize,
}

struct WaitingTask<C> {
    number: usize,
    code: String,
    task: Task,
    failure: Failure,
    to: oneshot::Sender<C>,
}

/// What decides which task is next: whether it is quick, whether others need it, its cost, its place in the report.
type TaskRank = (bool, Option<Reverse<u64>>, u64, Reverse<usize>);

/// Of what others need the cheapest is first: what a large table brings is then compared with it at once, and not kept until it is
/// there. Of two alike the one that asked first.
fn rank(task: &Task, number: usize) -> TaskRank {
    let awaited = task.is_awaited().then_some(Reverse(task.cost));
    (task.cost <= QUICK, awaited, task.cost, Reverse(number))
}

impl<C> Default for TaskQueue<C> {
    fn default() -> Self {
        Self { tasks: Vec::new(), count: 0 }
    }
}

impl<C> TaskQueue<C> {
    /// Adds a task of a check; returns its number, and where its connection comes. Nothing comes any more once `failure` says why.
    pub fn push(&mut self, code: &str, task: Task, failure: &Failure) -> (usize, oneshot::Receiver<C>) {
        self.count += 1;
        let (to, connection) = oneshot::channel();
        let (code, failure) = (code.to_owned(), Rc::clone(failure));
        self.tasks.push(WaitingTask { number: self.count, code, task, failure, to });
        (self.count, connection)
    }

    /// Gives a connection to the task that is next; returns its number, and what it is about.
    ///
    /// # Errors
    /// Gives the connection back if no task waits.
    pub fn give_to_best(&mut self, mut connection: C) -> Result<(usize, String), C> {
        self.drop_unneeded();
        loop {
            let ranked = self.tasks.iter().enumerate();
            let best = ranked.max_by_key(|(_, waiting)| rank(&waiting.task, waiting.number));
            let Some((best, _)) = best else { return Err(connection) };
            let WaitingTask { number, code, task, to, .. } = self.tasks.swap_remove(best);
            match to.send(connection) {
                Ok(()) => return Ok((number, format!("{code} {}", task.about).trim_end().to_owned())),
                Err(unwanted) => connection = unwanted,
            }
        }
    }

    /// Drops tasks of groups in which another one has failed.
    pub fn drop_unneeded(&mut self) {
        self.tasks.retain(|waiting| waiting.failure.borrow().is_none());
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.tasks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_whose_group_has_failed_gets_no_connection() {
        let mut queue = TaskQueue::default();
        let (failed, open) = (Failure::default(), Failure::default());
        let (_, unneeded) = queue.push("EVO101", Task::new("a", 0), &failed);
        let (_, needed) = queue.push("EVO102", Task::new("b", 1), &open);
        *failed.borrow_mut() = Some("no".to_owned());
        assert_eq!(queue.give_to_best(7), Ok((2, "EVO102 b".to_owned())));
        assert_eq!((needed.await, unneeded.await.is_err()), (Ok(7), true));
        assert_eq!(queue.give_to_best(8), Err(8), "nobody waits");
    }

    #[test]
    fn what_takes_no_time_is_taken_first_then_what_others_wait_for() {
        let large = QUICK + 1;
        let tasks = [
            ("large", large, false),
            ("largest", 50 * large, false),
            ("awaited, larger", 3 * large, true),
            ("awaited, large", 2 * large, true),
            ("tiny", 1, false),
            ("quick", QUICK, false),
            ("awaited, quick", 2, true),
            ("tiny again", 1, false),
        ];
        let ranked = tasks.iter().enumerate().map(|(number, (about, cost, is_awaited))| {
            let task = Task::new(*about, *cost);
            (rank(&if *is_awaited { task.awaited() } else { task }, number), *about)
        });
        let mut ranked: Vec<(TaskRank, &str)> = ranked.collect();
        ranked.sort_by(|one, other| other.cmp(one));
        let order: Vec<&str> = ranked.into_iter().map(|(_, about)| about).collect();
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
