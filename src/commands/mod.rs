//! One file per subcommand: gather, call, report.

pub mod logs;
