//! Rules: what a code stands for, what was found, how bad it is, and what is known or ignored of it.

pub mod baseline;
pub mod code;
pub mod consequence;
pub mod environment;
pub mod error_lookup;
pub mod finding;
pub mod location;
pub mod message_template;
pub mod misuse;
pub mod order;
pub mod policy;
pub mod registry;
pub mod rehearsal;
pub mod rule;
pub mod way_back;
