//! What is known of Evolution API itself. Knows no SQL session.

pub mod fetched;
pub mod instances;
pub mod phone;
pub mod release;
pub mod route_pattern;
pub mod routes;
pub mod schema;
pub mod steps;
