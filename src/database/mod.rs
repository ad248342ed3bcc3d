//! Everything that talks to Postgres, or prepares to.

pub mod build;
pub mod catalog;
pub mod columns;
pub mod compose;
pub mod deadline;
pub mod env_file;
pub mod lexer;
pub mod objects;
pub mod pulse;
pub mod quote;
pub mod restore;
pub mod run;
pub mod script;
pub mod server;
pub mod session;
pub mod snapshot;
pub mod trouble;
pub mod trust;
pub mod url;
