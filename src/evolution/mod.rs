//! Knowledge about Evolution API itself. Knows no SQL session.

pub mod fetch_instances;
pub mod instances;
pub mod migration_steps;
pub mod personal_data;
pub mod personal_rows;
pub mod phone;
pub mod release;
pub mod route_pattern;
pub mod route_tables;
pub mod routes;
pub mod schema;
pub mod servers;
