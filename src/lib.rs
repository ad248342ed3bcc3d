//! evodoctor: finds the known failures of an Evolution API Postgres database, explains them, and repairs them
//! with fixes that are rehearsed inside a transaction, shown as a diff, and undoable.
//!
//! Arrows point one way: `commands` → `report`, `upgrade` and `repair` → `checks` → `evolution` and `database`.

pub mod access_log;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod config;
pub mod database;
pub mod error;
pub mod evolution;
pub mod exit_code;
pub mod interrupt;
pub mod logging;
pub mod output_file;
pub mod progress;
pub mod pseudonym;
pub mod redact;
pub mod repair;
pub mod report;
pub mod resolver;
pub mod rules;
pub mod staging;
pub mod terminal;
pub mod text;
pub mod upgrade;
