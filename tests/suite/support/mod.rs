//! What the tests share: one server for all of them, databases cut from templates, and the program itself.

pub mod checkout;
pub mod cluster;
pub mod damage;
pub mod database;
pub mod filler;
pub mod fixtures;
pub mod generated;
pub mod load;
pub mod migrations;
pub mod moments;
pub mod mortal;
pub mod program;
pub mod proxy;
pub mod roles;
pub mod standby;
pub mod state;
pub mod upgrade;
pub mod wire;
