//! When to use colours.

use std::ffi::OsString;

use anstream::ColorChoice;
use clap::ValueEnum;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorMode {
    /// On a terminal, unless NO_COLOR is set; elsewhere if CLICOLOR_FORCE is
    Auto,
    /// Also in pipes and files
    Always,
    /// Nowhere
    Never,
}

impl ColorMode {
    /// What the arguments ask for. Help and usage errors have colours too, and are written before the arguments are read.
    pub fn from_args(arguments: &[OsString]) -> Self {
        let own: Vec<&str> =
            arguments.iter().filter_map(|text| text.to_str()).take_while(|text| *text != "--").collect();
        let value = |at: usize| match own[at] {
            "--color" => own.get(at + 1).copied(),
            text => text.strip_prefix("--color="),
        };
        let last = (0..own.len()).rev().find_map(value);
        last.and_then(|value| Self::from_str(value, false).ok()).unwrap_or(Self::Auto)
    }

    /// Holds for everything that is written from now on.
    pub fn apply(self) {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
        .write_global();
    }
}
