//! The options of `evodoctor snapshot`.

use clap::Args;

/// `evodoctor snapshot`.
#[derive(Debug, Clone, Args)]
pub struct SnapshotArgs {
    /// Keep N rows of each table, and every row that a finding names [default: all rows]
    ///
    /// What these rows refer to is kept, too, so that no new orphan appears.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rows: Option<u64>,
}
