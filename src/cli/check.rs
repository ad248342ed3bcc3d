//! The options of the commands that only look.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::completion_values::CompletionValues;
use super::fix::LockWaitArgs;
use crate::text::duration::parse_duration;

/// More connections than that are no examination but a load.
pub const MOST_JOBS: u64 = 64;

/// `evodoctor check`.
#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// Several databases.
    #[command(flatten)]
    pub several: TargetListArgs,
    /// Trust no index and read the tables themselves: slower, and finds what a corrupt index hides
    #[arg(long)]
    pub paranoid: bool,
    /// Use this many connections, all on one snapshot [default: what the server has to spare, at most 4]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_JOBS))]
    pub jobs: Option<u64>,
    /// End after this time, such as 90s or 5m, with a report of what is decided by then
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

/// `evodoctor preflight`.
#[derive(Debug, Args)]
pub struct PreflightArgs {
    /// Several databases.
    #[command(flatten)]
    pub several: TargetListArgs,
    /// The release to upgrade to, such as 2.3.7 [default: the newest stable one]
    #[arg(long, value_name = "RELEASE", value_parser = CompletionValues::Release, hide_possible_values = true)]
    pub to: Option<String>,
    /// Print only what to do before the upgrade, a line for each step
    #[arg(long, conflicts_with = "targets")]
    pub resolve: bool,
    /// Run the pending files of this folder for real: a checkout's or an image's prisma/postgresql-migrations
    #[arg(long, value_name = "DIR", conflicts_with = "targets")]
    pub migrations: Option<PathBuf>,
    /// Consent to run them on a live database, in one transaction that is rolled back; it blocks Evolution meanwhile
    #[arg(long, requires = "migrations")]
    pub rehearse_on_live: bool,
    /// How long to wait for others, then.
    #[command(flatten)]
    pub waiting: LockWaitArgs,
}

/// Several databases in one run.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetListArgs {
    /// Examine every database of a list: [[target]] in a file that ends in .toml, else lines of a name and a connection
    /// string; - reads lines from stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["database_url", "env_file", "compose", "snapshot"])]
    pub targets: Option<PathBuf>,
    /// So many databases at a time
    #[arg(long, value_name = "N", requires = "targets", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parallel: u8,
}
