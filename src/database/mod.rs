//! Everything that talks to Postgres, or prepares to.

pub mod catalog;
pub mod column_stats;
pub mod compose;
pub mod env_file;
pub mod expected_objects;
pub mod ident;
pub mod lock_deadline;
pub mod pending_statements;
pub mod pooler;
pub mod query;
pub mod release_facts;
mod release_objects;
pub mod release_schema;
pub mod restore;
pub mod scratch_server;
pub mod server_error;
pub mod session;
pub mod shared_snapshot;
pub mod shared_sql;
pub mod sql_file;
pub mod statement_splitter;
pub mod trusted_roles;
pub mod url;
