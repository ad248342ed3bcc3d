//! Everything that talks to Postgres, or prepares to.

pub mod build;
pub mod quote;
pub mod script;
pub mod server;
