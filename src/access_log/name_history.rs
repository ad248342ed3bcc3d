//! The history of one name in the log, besides the requests that are findings, and the number of names.

use super::timestamp::Timestamp;

/// Different wrong names that are distinguished; requests with any other are counted together.
pub(super) const MOST_NAMES: usize = 2_000;

/// The rest of the log's evidence about a name.
#[derive(Debug, Default)]
pub(super) struct NameHistory {
    /// True if it worked once and does no more.
    pub is_gone: bool,
    /// When it was last served.
    pub worked_until: Option<Timestamp>,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
}
