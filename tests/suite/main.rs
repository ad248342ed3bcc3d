//! One file per promise.

mod logs;
