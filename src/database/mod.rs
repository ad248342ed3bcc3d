//! Everything that talks to Postgres, or prepares to.

pub mod catalog;
pub mod quote;
pub mod run;
pub mod script;
