//! One file per promise.

mod build;
mod cli;
mod server;
mod support;
