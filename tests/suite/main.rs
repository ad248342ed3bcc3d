//! One file per promise.

mod atomic;
mod bad_input;
mod behaviour;
mod build;
mod checks;
mod cli;
mod connect;
mod consent;
mod contract;
mod credentials;
mod demo;
mod explain;
mod files;
mod fixes;
mod logs;
mod merges;
mod own_schema;
mod owner;
mod plan;
mod read_only;
mod secrets;
mod server;
mod support;
mod undo;
mod upgrades;
mod waiting;
