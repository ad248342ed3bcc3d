//! One file per subcommand, each short: gather, call, report.

mod batches;
pub mod change;
pub mod check;
pub mod completions;
pub mod conclude;
mod configure;
pub mod credentials;
pub mod demo;
pub mod emit;
pub mod explain;
pub mod fix;
pub mod history;
mod hosts;
pub mod logs;
pub mod man;
mod meant;
mod online;
pub mod open;
pub mod options;
pub mod preflight;
mod reading;
mod rehearse;
pub mod select;
pub mod silence;
mod stop;
mod targets;
pub mod undo;
