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
mod owner;
mod server;
mod support;
