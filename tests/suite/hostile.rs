//! Whatever a database holds, and however it is set up: the right result, or an undecided one or a refusal with the
//! reason. Never a crash, and never "clean" where nobody could look.

pub mod all_commands;
mod altered_tables;
mod content;
mod server_language;
mod session_settings;
