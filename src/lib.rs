//! evodoctor: finds the known failures of an Evolution API Postgres database, explains them, and repairs them
//! with fixes that are rehearsed inside a transaction, shown as a diff, and undoable.
//!
//! Arrows point one way: `commands` → `report`, `upgrade` and `repair` → `examine` → `evolution` and `database`.

pub mod cli;
pub mod commands;
pub mod config;
pub mod database;
pub mod day;
pub mod environment;
pub mod evolution;
pub mod examine;
pub mod exit;
pub mod files;
pub mod mask;
pub mod nearest;
pub mod pasted;
pub mod progress;
pub mod repair;
pub mod report;
pub mod requests;
pub mod resolver;
pub mod rules;
pub mod trace;
pub mod units;
pub mod unpacked;
pub mod upgrade;
