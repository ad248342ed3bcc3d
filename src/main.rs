//! Parses, dispatches, and turns the outcome into an exit code.

use clap::Parser;

fn main() {
    let _ = evodoctor::cli::Cli::parse();
}
