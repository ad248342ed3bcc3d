//! The options of the commands that change something.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::completion_values::CompletionValues;
use crate::text::duration::parse_duration;

/// Options of every command that may have to wait for locks.
#[derive(Debug, Clone, Copy, Args)]
pub struct LockWaitArgs {
    /// How long to retry a lock, such as 90s or 10m; 0 tries once
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_wait)]
    pub wait: Duration,
}

/// Parses the time to wait: a duration, or 0.
pub fn parse_wait(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" { Ok(Duration::ZERO) } else { parse_duration(text) }
}

impl Default for LockWaitArgs {
    /// As on the command line.
    fn default() -> Self {
        Self { wait: Duration::from_secs(30) }
    }
}

/// Options of every command that may block writers of a large table.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct LockLimitArgs {
    /// Roll back when writers would wait longer [default: 2s; none with --apply]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub max_lock: Option<Duration>,
}

impl LockLimitArgs {
    /// The limit of a dry run where none is given.
    pub const OF_DRY_RUN: Duration = Duration::from_secs(2);

    /// Returns the longest time that writers may have to wait; `None` means no limit.
    pub fn limit_for(self, is_dry_run: bool) -> Option<Duration> {
        self.max_lock.or(is_dry_run.then_some(Self::OF_DRY_RUN))
    }
}

/// `evodoctor fix`.
#[derive(Debug, Clone, Args)]
pub struct FixArgs {
    /// Codes to fix, at any severity [default: all that --fail-on counts]
    #[arg(value_name = "CODE", value_parser = CompletionValues::Fixable, hide_possible_values = true)]
    pub codes: Vec<String>,
    /// Commit instead of rolling back
    #[arg(long)]
    pub apply: bool,
    /// Allow a hazard that the plan names, such as deletes-rows
    #[arg(long, value_name = "HAZARD", value_delimiter = ',', value_parser = CompletionValues::Hazard, hide_possible_values = true)]
    pub allow: Vec<String>,
    /// Write the plan of the dry run to a file
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    pub plan_out: Option<PathBuf>,
    /// Apply exactly this plan; refuse if the database no longer fits it
    #[arg(long, value_name = "FILE", requires = "apply", conflicts_with_all = ["codes", "to"])]
    pub plan: Option<PathBuf>,
    /// Repair rows in many short transactions
    ///
    /// For EVO101, EVO102, EVO103, EVO107 and EVO108. SIZE is the number of rows of the first batch [default: 1000].
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "1000", conflicts_with_all = ["plan", "plan_out", "to"])]
    pub batch: Option<std::num::NonZeroUsize>,
    /// Build indexes CONCURRENTLY and validate keys after the commit
    ///
    /// Other sessions go on reading and writing.
    #[arg(long, conflicts_with_all = ["batch", "plan", "plan_out", "to"])]
    pub online: bool,
    /// For EVO6xx: target release of the upgrade [default: newest known]
    #[arg(long, value_name = "RELEASE", value_parser = CompletionValues::Release, hide_possible_values = true)]
    pub to: Option<String>,
    /// How long to wait for others.
    #[command(flatten)]
    pub waiting: LockWaitArgs,
    /// How long writers may have to wait.
    #[command(flatten)]
    pub lock_limit: LockLimitArgs,
}

/// `evodoctor undo`.
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// Number of the run, from `evodoctor history`, or last
    #[arg(value_name = "RUN", value_parser = parse_run)]
    pub run: UndoRun,
    /// Commit instead of rolling back
    #[arg(long)]
    pub apply: bool,
    /// Allow a hazard that the plan names: leaves-rows
    #[arg(long, value_name = "HAZARD", value_delimiter = ',', value_parser = CompletionValues::Hazard, hide_possible_values = true)]
    pub allow: Vec<String>,
    /// Lay the rows of the run out as tables of a new schema instead
    #[arg(long, value_name = "NAME")]
    pub into_schema: Option<String>,
    /// How long to wait for others.
    #[command(flatten)]
    pub waiting: LockWaitArgs,
    /// How long writers may have to wait.
    #[command(flatten)]
    pub lock_limit: LockLimitArgs,
}

/// The run to take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoRun {
    /// The one with this number.
    Number(i64),
    /// The newest that can be undone.
    Last,
}

fn parse_run(text: &str) -> Result<UndoRun, String> {
    match text {
        "last" => Ok(UndoRun::Last),
        _ => text
            .parse()
            .map(UndoRun::Number)
            .map_err(|_| "a number from evodoctor history, or last".to_owned()),
    }
}

/// `evodoctor credentials`.
#[derive(Debug, Subcommand)]
pub enum CredentialsCommand {
    /// List each credential, its instance, and the settings and bots that use it
    List,
    /// Copy a credential to another instance (dry run; --apply commits)
    Share {
        /// Id of the credential, from `evodoctor credentials list`
        #[arg(value_name = "CREDENTIAL")]
        credential: String,
        /// Name of the instance that gets the copy
        #[arg(value_name = "INSTANCE")]
        instance: String,
        /// Name of the copy [default: the same]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Commit instead of rolling back
        #[arg(long)]
        apply: bool,
        /// How long to wait for others.
        #[command(flatten)]
        waiting: LockWaitArgs,
    },
    /// Detach a credential from settings and bots (dry run; --apply commits)
    Release {
        /// Id of the credential, from `evodoctor credentials list`
        #[arg(value_name = "CREDENTIAL")]
        credential: String,
        /// Credential to use instead [default: settings and bots are removed]
        #[arg(long, value_name = "CREDENTIAL")]
        to: Option<String>,
        /// Let instances use the credential of another one, with --to
        #[arg(long, requires = "to")]
        across_instances: bool,
        /// Commit instead of rolling back
        #[arg(long)]
        apply: bool,
        /// Allow a hazard that the plan names, such as deletes-rows
        #[arg(long, value_name = "HAZARD", value_delimiter = ',', value_parser = CompletionValues::Hazard, hide_possible_values = true)]
        allow: Vec<String>,
        /// How long to wait for others.
        #[command(flatten)]
        waiting: LockWaitArgs,
    },
}
