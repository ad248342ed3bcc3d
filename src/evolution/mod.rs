//! What is known of Evolution API itself. Knows no SQL session.

pub mod release;
pub mod schema;
