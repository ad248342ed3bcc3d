//! Counts over all logs.

use serde::Serialize;

/// Counts over all lines of all files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Lines with anything in them.
    pub lines: u64,
    /// Lines that tell of a request.
    pub parsed: u64,
    /// Lines that do not.
    pub unparsed: u64,
    /// Requests that name an instance.
    pub matched: u64,
    /// Of these, those that the server refused with 404, for want of the instance or another thing.
    pub refused: u64,
    /// Of these, those that name an instance exactly as it is named now: it may have been created since.
    pub names_that_exist_now: u64,
    /// Requests with a wrong name that were refused with 401 or 403, where nothing but that was seen of the name. The
    /// API itself looks at the name first, so something before it looked at the key.
    pub unauthorized: u64,
    /// Requests that name an instance and of which the log holds no status that is understood.
    pub without_status: u64,
    /// Requests left out because their host serves no route of the API, while another host does.
    pub elsewhere: u64,
    /// Names that were served and are not in the list of instances.
    pub not_listed: u64,
}
