//! Findings and diffs, written for whoever reads them.

pub mod logs;
