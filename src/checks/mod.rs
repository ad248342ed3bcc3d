//! Finding what is wrong: rules, the checks that carry them out, and what they found.

pub mod check;
mod check_run;
pub mod conditional_sql;
pub mod context;
pub mod detector;
mod duplicates;
pub mod empty_tables;
pub mod executor;
pub mod finding_row;
pub mod orphans;
pub mod precondition;
mod progress_estimate;
pub mod query_error;
pub mod query_variables;
pub mod references;
pub mod row_filter;
pub mod run_checks;
pub mod savepoint;
pub mod step;
mod step_queue;
pub mod table_scan;
pub mod unique_indexes;

pub use crate::redact;
