//! The options of the commands that only read.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::completion_values::CompletionValues;
use super::fix::LockWaitArgs;
use crate::text::duration::parse_duration;

/// Maximum number of connections; more would only load the server.
pub const MOST_JOBS: u64 = 64;

/// `evodoctor check`.
#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// Several databases.
    #[command(flatten)]
    pub several: TargetListArgs,
    /// Read tables instead of indexes: slower, sees past corrupt indexes
    #[arg(long)]
    pub paranoid: bool,
    /// Number of connections, all on one snapshot [default: 1 to 4]
    ///
    /// The default is max_parallel_workers_per_gather, but 2 for 1 and 1 for 0, at most 4, and at most half of the free connections.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_JOBS))]
    pub jobs: Option<u64>,
    /// Stop after this time, such as 90s or 5m, and report what is known
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

/// `evodoctor preflight`.
#[derive(Debug, Args)]
pub struct PreflightArgs {
    /// Several databases.
    #[command(flatten)]
    pub several: TargetListArgs,
    /// Target release, such as 2.3.7 [default: newest stable]
    #[arg(long, value_name = "RELEASE", value_parser = CompletionValues::Release, hide_possible_values = true)]
    pub to: Option<String>,
    /// Print the steps before the upgrade as a shell script for sh -e
    #[arg(long, conflicts_with = "targets")]
    pub resolve: bool,
    /// Rehearse the migration files of this directory
    ///
    /// The directory is prisma/postgresql-migrations of an image or a checkout of Evolution API.
    #[arg(long, value_name = "DIR", conflicts_with = "targets")]
    pub migrations: Option<PathBuf>,
    /// Find the best hour for the upgrade in an access log
    ///
    /// A * in a file's name stands for anything. The formats are those of `evodoctor logs`.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["targets", "resolve"])]
    pub traffic: Vec<PathBuf>,
    /// Show what the upgrade destroys; with --apply keep a copy of it
    ///
    /// The copies are in the quarantine, as a run of the ledger. After the upgrade `undo` brings back what has a place.
    #[arg(long, conflicts_with_all = ["targets", "migrations", "resolve"])]
    pub keep: bool,
    /// Commit instead of only counting, with --keep
    #[arg(long, requires = "keep")]
    pub apply: bool,
    /// Rows in a transaction, with --keep
    #[arg(long, value_name = "SIZE", requires = "keep", default_value = "20000")]
    pub batch: std::num::NonZeroU32,
    /// Allow --migrations on a live database (rolled back; blocks Evolution)
    #[arg(long, requires = "migrations")]
    pub rehearse_on_live: bool,
    /// How long to wait for others, then.
    #[command(flatten)]
    pub waiting: LockWaitArgs,
}

/// Several databases in one run.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetListArgs {
    /// Check every database in this list; - reads stdin
    ///
    /// A file that ends in .toml holds [[target]] tables. Any other file has one database per line: a name and a connection
    /// string, or a name and the path of an .env file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["database_url", "env_file", "compose", "snapshot"])]
    pub targets: Option<PathBuf>,
    /// Number of databases to check in parallel
    #[arg(long, value_name = "N", requires = "targets", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parallel: u8,
}
