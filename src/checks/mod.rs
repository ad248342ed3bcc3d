//! Finding what is wrong: rules, the checks that carry them out, and what they found.

pub mod check;
pub mod check_error;
mod check_report;
pub mod conditional_sql;
pub mod context;
pub mod detector;
mod duplicates;
pub mod empty_tables;
pub mod executor;
pub mod finding_row;
pub mod orphans;
pub mod pool;
pub mod precondition;
mod progress_estimate;
pub mod query_error;
pub mod query_variables;
pub mod references;
pub mod row_filter;
pub mod run_checks;
pub mod savepoint;
pub mod scan_reader;
pub mod table_scan;
pub mod task;
pub mod task_group;
mod task_queue;
pub mod unique_indexes;

pub use crate::redact;
