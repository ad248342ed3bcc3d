//! Whatever a database holds, and however it is configured: the right result, or an undecided one or a refusal with the
//! reason. Never a crash, and never "clean" for what could not be read.

pub mod all_commands;
mod altered_tables;
mod content;
mod server_language;
mod session_settings;
