//! Finding what is wrong: rules, the checks that carry them out, and what they found.

pub mod baseline;
mod board;
pub mod check;
mod course;
mod duplicates;
pub mod empty;
pub mod facts;
pub mod finder;
pub mod finding;
pub mod first;
mod known;
pub mod obstacle;
pub mod orphans;
pub mod parts;
pub mod place;
pub mod policy;
pub mod reading;
pub mod references;
pub mod rule;
pub mod runner;
pub mod schedule;
mod standing;
pub mod step;
pub mod suspects;
pub mod unique_indexes;

pub use crate::mask;
