//! One file per subcommand, each short: gather, call, report.

pub mod check;
pub mod completions;
pub mod credentials;
pub mod demo;
pub mod explain;
pub mod fix;
mod fix_batched;
mod fix_online;
mod hints;
pub mod history;
mod keep;
pub mod logs;
pub mod man;
mod multi_target;
pub mod preflight;
pub mod proxy_config;
mod rehearse_migrations;
pub mod shared;
pub mod snapshot;
mod traffic;
pub mod undo;
mod undo_kept;
mod way_back;
