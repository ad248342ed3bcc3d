//! What the log says of one name besides the requests that are findings, and of how many names.

use super::timestamp::Timestamp;

/// Different wrong names that are distinguished; requests with any other are counted together.
pub(super) const MOST_NAMES: usize = 2_000;

/// What the rest of the log says of a name.
#[derive(Debug, Default)]
pub(super) struct NameHistory {
    /// True if it worked once and does no more.
    pub is_gone: bool,
    /// When it was last served.
    pub worked_until: Option<Timestamp>,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
}
