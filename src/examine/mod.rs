//! Finding what is wrong: rules, the checks that carry them out, and what they found.

pub mod finding;
pub mod mask;
pub mod rule;
