//! The options of the commands that change something.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::completion_values::CompletionValues;
use crate::text::duration::parse_duration;

/// Of every command that may have to wait for others.
#[derive(Debug, Clone, Copy, Args)]
pub struct LockWaitArgs {
    /// How long to try again where others hold a lock, such as 90s, 10m or 2h; 0 tries once
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_wait)]
    pub wait: Duration,
}

/// How long to wait: a duration, or 0.
///
/// # Errors
/// When it is neither.
pub fn parse_wait(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" { Ok(Duration::ZERO) } else { parse_duration(text) }
}

impl Default for LockWaitArgs {
    /// As on the command line.
    fn default() -> Self {
        Self { wait: Duration::from_secs(30) }
    }
}

/// Of every command that may keep writers of a large table waiting.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct LockLimitArgs {
    /// Roll back when writers of a table would have to wait for longer [default: 2s for a dry run, no limit with --apply]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub max_lock: Option<Duration>,
}

impl LockLimitArgs {
    /// The limit of a dry run where none is given.
    pub const OF_DRY_RUN: Duration = Duration::from_secs(2);

    /// How long writers may have to wait; `None` where nobody may mind.
    pub fn limit_for(self, is_dry_run: bool) -> Option<Duration> {
        self.max_lock.or(is_dry_run.then_some(Self::OF_DRY_RUN))
    }
}

/// `evodoctor fix`.
#[derive(Debug, Clone, Args)]
pub struct FixArgs {
    /// The codes to fix, at any severity [default: everything that --fail-on counts]
    #[arg(value_name = "CODE", value_parser = CompletionValues::Fixable, hide_possible_values = true)]
    pub codes: Vec<String>,
    /// Commit instead of rolling back
    #[arg(long)]
    pub apply: bool,
    /// Consent to a hazard that the plan names, such as deletes-rows
    #[arg(long, value_name = "HAZARD", value_delimiter = ',', value_parser = CompletionValues::Hazard, hide_possible_values = true)]
    pub allow: Vec<String>,
    /// Write the rehearsed plan to a file, for review
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    pub plan_out: Option<PathBuf>,
    /// Apply exactly this plan, or refuse
    #[arg(long, value_name = "FILE", requires = "apply", conflicts_with_all = ["codes", "to"])]
    pub plan: Option<PathBuf>,
    /// Treat rows in batches (EVO101, EVO102, EVO103, EVO107, EVO108), each committed by itself; SIZE is that of the first one
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "1000", conflicts_with_all = ["plan", "plan_out", "to"])]
    pub batch: Option<std::num::NonZeroUsize>,
    /// Build indexes and validate keys after the commit, in the forms that let others read and write
    #[arg(long, conflicts_with_all = ["batch", "plan", "plan_out", "to"])]
    pub online: bool,
    /// For hazards of an upgrade (EVO6xx): the release to go to [default: the newest known]
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
    /// The run's number, from `evodoctor history`
    #[arg(value_name = "RUN")]
    pub run: i64,
    /// Commit instead of rolling back
    #[arg(long)]
    pub apply: bool,
    /// How long to wait for others.
    #[command(flatten)]
    pub waiting: LockWaitArgs,
    /// How long writers may have to wait.
    #[command(flatten)]
    pub lock_limit: LockLimitArgs,
}

/// `evodoctor credentials`.
#[derive(Debug, Subcommand)]
pub enum CredentialsCommand {
    /// Each credential, its instance, and the settings and bots that hold it
    List,
    /// Give another instance a credential of its own with the same key (a dry run until --apply)
    Share {
        /// The credential's id, from `evodoctor credentials list`
        #[arg(value_name = "CREDENTIAL")]
        credential: String,
        /// The name of the instance that gets one
        #[arg(value_name = "INSTANCE")]
        instance: String,
        /// The new credential's name [default: the same]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Commit instead of rolling back
        #[arg(long)]
        apply: bool,
        /// How long to wait for others.
        #[command(flatten)]
        waiting: LockWaitArgs,
    },
    /// Free a credential from the settings and bots that hold it (a dry run until --apply)
    Release {
        /// The credential's id, from `evodoctor credentials list`
        #[arg(value_name = "CREDENTIAL")]
        credential: String,
        /// The credential that takes its place [default: settings and bots are removed]
        #[arg(long, value_name = "CREDENTIAL")]
        to: Option<String>,
        /// Let instances use the credential of another one, with --to
        #[arg(long, requires = "to")]
        across_instances: bool,
        /// Commit instead of rolling back
        #[arg(long)]
        apply: bool,
        /// Consent to a hazard that the plan names, such as deletes-rows
        #[arg(long, value_name = "HAZARD", value_delimiter = ',', value_parser = CompletionValues::Hazard, hide_possible_values = true)]
        allow: Vec<String>,
        /// How long to wait for others.
        #[command(flatten)]
        waiting: LockWaitArgs,
    },
}
