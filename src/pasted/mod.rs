//! Errors that people paste: taken apart into what they consist of, and answered with a rule.
//!
//! A paste is a piece of a log, an API's answer or a line from a screen, with whatever stood around it. It is cleaned
//! ([`text`]), split into the errors that it holds ([`causes`]), each of which is taken apart into [`Parts`]: codes of
//! Postgres and Prisma, HTTP status, model, fields, constraint, relation, column. Rules match on these parts and not on
//! words: a rule's header says which, in `answers` ([`pattern`]). Of several rules that match, the more specific one is
//! the answer ([`answer`]).

pub mod answer;
mod causes;
mod codes;
mod messages;
mod parts;
pub mod pattern;
mod text;

pub use causes::causes;
pub use parts::{NameForm, Parts};
