//! Pasted errors: split into their parts, and answered with a rule.
//!
//! A paste is a piece of a log, an API's answer or a line from a screen, with whatever stood around it. It is cleaned
//! ([`normalize`]), split into the errors that it holds ([`split_errors`]), each of which is taken apart into [`ErrorParts`]: codes of
//! Postgres and Prisma, HTTP status, model, fields, constraint, relation, column. Rules match on these parts and not on
//! words: a rule's header says which, in `answers` ([`error_pattern`]). Of several rules that match, the more specific one is
//! the answer ([`lookup`]).

mod error_codes;
mod error_parts;
pub mod error_pattern;
mod known_messages;
pub mod lookup;
mod normalize;
mod split_errors;

pub use error_parts::{ErrorParts, NameForm};
pub use split_errors::split_errors;
