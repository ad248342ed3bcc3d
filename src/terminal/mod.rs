//! The terminal: the width of a page, and styles. Imports nothing of ours but `text`.

pub mod page;
pub mod style;
