//! What the tests share: one server for all of them, databases cut from templates, and the program itself.

pub mod checkout;
pub mod cluster;
pub mod damage;
pub mod database;
pub mod database_dump;
pub mod examination;
pub mod fixtures;
pub mod http_proxy;
pub mod kill_points;
pub mod killable_server;
pub mod load;
pub mod migrations;
pub mod program;
pub mod property_config;
pub mod roles;
pub mod sample_rows;
pub mod standby;
pub mod upgrade;
pub mod wire_proxy;
