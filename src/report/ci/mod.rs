//! Formats that pipelines read.

pub mod github;
pub mod gitlab;
pub mod junit;
pub mod markdown;
pub mod sarif;
