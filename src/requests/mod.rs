//! Requests in a log that name instances wrongly: bytes → request → verdict → findings.

pub mod classify;
pub mod formats;
pub mod rules;
pub mod shown;
pub mod time;
