//! Promise 4: all or nothing. Ended at any moment and in any way, the database is as before or as after, and the
//! ledger says which.

mod frozen_process;
mod full_disk;
mod interrupted_runs;
mod killed_server;
mod moments;
