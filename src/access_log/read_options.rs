//! How logs are read.

use std::sync::Arc;

use super::formats::LineFormat;
use super::read_progress::ReadProgress;

/// The settings for reading logs.
pub struct ReadOptions<'o> {
    /// The only kind of line to read.
    pub format: LineFormat,
    /// True if files are read on as they grow.
    pub follow: bool,
    /// True if these are printed as JSON.
    pub is_json: bool,
    /// True if clients and phone numbers are replaced by pseudonyms.
    pub is_redacted: bool,
    /// The progress, and the request to stop.
    pub progress: &'o Arc<ReadProgress>,
    /// Called for every wrong request, once for each client, when it is first seen.
    pub on_finding: Option<&'o (dyn Fn(&str) + Sync)>,
}
