//! The result of pruning.

use crate::repair::prune::PrunePlan;
use crate::report::words::runs::lines;
use crate::terminal::page::Page;

/// The dropped rows, the rows that stay and why, and the command that does it.
pub fn human(plan: &PrunePlan, again: Option<&str>, page: Page) -> String {
    let text: String = lines(plan).iter().map(|line| page.wrap(line, 0)).collect();
    match again {
        Some(command) => text + &page.command_hint(command, "drops them", 0),
        None => text,
    }
}
