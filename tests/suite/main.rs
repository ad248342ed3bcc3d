//! One file per promise.

mod build;
mod checks;
mod cli;
mod connect;
mod contract;
mod credentials;
mod demo;
mod explain;
mod files;
mod fixes;
mod logs;
mod server;
mod support;
