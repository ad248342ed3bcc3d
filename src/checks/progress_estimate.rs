//! How far an examination is, and how long it will still take.

use std::time::Duration;

/// Maximum number of running tasks that a line shows.
const SHOWN: usize = 2;

/// Before so much is done, nothing can be said of the rest.
const ENOUGH: f64 = 0.05;

/// The progress of an examination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProgressEstimate {
    /// Tasks that are done.
    pub done: usize,
    /// Tasks that are known of; some follow from others.
    pub tasks: usize,
    /// About how many pages the tasks that are done have read.
    pub pages_done: u64,
    /// About how many pages all tasks read.
    pub pages: u64,
    /// What is being done right now, on each connection: the check's code and what it reads.
    pub now: Vec<String>,
}

impl ProgressEstimate {
    /// Counts a task that was asked for.
    pub fn add(&mut self, pages: u64) {
        self.tasks += 1;
        self.pages += pages;
    }

    /// Counts a task that is done, or not needed any more.
    pub fn finish(&mut self, pages: u64) {
        self.done += 1;
        self.pages_done += pages;
    }

    /// In a few words: how much is done, how long the rest takes, and what is being done now.
    pub fn describe(&self, elapsed: Duration) -> String {
        let share = self.share();
        let seconds = elapsed.as_secs_f64() * (1.0 - share) / share;
        let left = match seconds {
            _ if share < ENOUGH => String::new(),
            ..90.0 => format!(", about {:.0} s left", seconds.ceil()),
            _ => format!(", about {:.0} min left", (seconds / 60.0).ceil()),
        };
        let mut text = format!("{:.0} %{left}: ", share * 100.0);
        text += &self.now.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        if self.now.len() > SHOWN {
            text += &format!(" and {} more", self.now.len() - SHOWN);
        }
        text
    }

    /// Returns the share that is done, from 0 to 1: of the pages, and of the tasks, which take a moment each however
    /// little they read.
    fn share(&self) -> f64 {
        let weight = |pages: u64, tasks: usize| pages as f64 + tasks as f64;
        let all = weight(self.pages, self.tasks);
        if all == 0.0 { 0.0 } else { weight(self.pages_done, self.done) / all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_told_by_what_is_done() {
        let now = ["EVO101 Chat", "EVO103 Chat", "EVO104"].map(str::to_owned).to_vec();
        let mut estimate = ProgressEstimate { done: 5, tasks: 10, pages_done: 245, pages: 990, now };
        let described = estimate.describe(Duration::from_secs(10));
        assert_eq!(described, "25 %, about 30 s left: EVO101 Chat, EVO103 Chat and 1 more");
        assert!(estimate.describe(Duration::from_secs(100)).contains(", about 5 min left"));
        estimate.pages_done = 1;
        assert!(estimate.describe(Duration::from_secs(10)).starts_with("1 %: "));
        assert!(ProgressEstimate::default().describe(Duration::from_secs(10)).starts_with("0 %: "));
    }
}
