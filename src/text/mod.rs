//! Text and figures, in and out: what is not about databases, logs or findings. Imports nothing of ours.

pub mod date;
pub mod decompress;
pub mod duration;
pub mod escape;
pub mod hex;
pub mod humanize;
pub mod shell;
pub mod suggest;
