//! The sentences that several formats share: what was seen or done, in words, without colours or markup.

/// The line above the GRANT statements.
pub const LACKS_RIGHTS: &str = "This role lacks rights. Run as the owner of the tables:";

pub mod after_upgrade;
pub mod keep;
pub mod logs;
pub mod preflight;
pub mod rehearsal;
pub mod runs;
pub mod way_back;
pub mod window;
