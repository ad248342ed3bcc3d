//! One file per promise.

mod build;
mod checks;
mod cli;
mod contract;
mod demo;
mod explain;
mod files;
mod fixes;
mod logs;
mod merges;
mod server;
mod support;
