//! Repairing what was found: versioned fixes that are rehearsed in a transaction, shown as a diff, recorded in a
//! ledger, and undone from it.

pub mod access;
pub mod batch;
pub mod diff;
pub mod fix;
pub mod ledger;
pub mod locks;
pub mod marks;
pub mod merge;
pub mod online;
pub mod orphans;
pub mod plan;
pub mod quarantine;
pub mod rehearsal;
pub mod rights;
pub mod rows;
pub mod statements;
pub mod strangers;
pub mod turn;
pub mod undo;
mod verify;
