//! Whatever a database holds, and however it is set up: the right result, or an undecided one or a refusal with the
//! reason. Never a crash, and never "clean" where nobody could look.

mod content;
mod language;
mod settings;
pub mod story;
mod tables;
