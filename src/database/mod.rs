//! Everything that talks to Postgres, or prepares to.

pub mod quote;
pub mod script;
pub mod server;
