//! One file per promise.

mod build;
mod cli;
mod connect;
mod server;
mod support;
