//! The options of `evodoctor history`.

use std::time::Duration;

use clap::{ArgGroup, Args};

use super::completion_values::CompletionValues;
use super::fix::LockWaitArgs;
use crate::text::duration::parse_duration;

/// `evodoctor history`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("pruning").args(["prune", "older_than"])))]
pub struct HistoryArgs {
    /// Drop the rows that a run keeps (dry run)
    #[arg(long, value_name = "RUN")]
    pub prune: Option<i64>,
    /// The same for all runs of this age, such as 90d
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    pub older_than: Option<Duration>,
    /// Commit instead of only listing
    #[arg(long, requires = "pruning")]
    pub apply: bool,
    /// Allow a hazard: deletes-rows, limits-undo
    #[arg(long, value_name = "HAZARD", value_delimiter = ',', requires = "pruning", value_parser = CompletionValues::Hazard, hide_possible_values = true)]
    pub allow: Vec<String>,
    /// How long to wait for others.
    #[command(flatten)]
    pub waiting: LockWaitArgs,
}
