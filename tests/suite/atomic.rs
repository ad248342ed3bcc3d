//! Promise 4: all or nothing. Ended at any moment and in any way, the database is as before or as after, and the
//! ledger says which.

mod disk;
mod moments;
mod patient;
mod servers;
mod still;
