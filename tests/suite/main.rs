//! One file per promise.

mod build;
mod checks;
mod cli;
mod files;
mod fixes;
mod logs;
mod server;
mod support;
