//! Repairing: versioned fixes that run in a transaction, are shown as a diff, recorded in a ledger, and undone from it.

pub mod adaptive_batch;
pub mod apply_fix;
mod batch_plan;
pub mod change_target;
pub mod deferred_ddl;
pub mod dry_run;
pub mod fix;
pub mod fix_sql;
pub mod ledger;
pub mod locks;
pub mod merge_query;
pub mod orphan_constraints;
pub mod plan;
pub mod privileges;
pub mod prune;
pub mod quarantine;
mod redact_plan;
pub mod row_changes;
pub mod schema_acl;
pub mod schema_diff;
pub mod undo;
pub mod untrusted_references;
mod verify;
pub mod work_tables;
