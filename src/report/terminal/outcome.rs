//! How a migration's outcome looks.

use crate::terminal::style::{ERROR, PLAIN, WARNING};
use crate::upgrade::MigrationOutcome;

/// The colour of an outcome.
pub fn style(outcome: MigrationOutcome) -> anstyle::Style {
    match outcome {
        MigrationOutcome::Fails | MigrationOutcome::LosesData => ERROR,
        MigrationOutcome::GoesAstray | MigrationOutcome::Undecided | MigrationOutcome::Blocks => WARNING,
        MigrationOutcome::Passes => PLAIN,
    }
}
