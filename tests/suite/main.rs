//! One file per promise.

mod checks;
mod files;
mod fixes;
mod logs;
mod support;
