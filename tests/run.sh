#!/bin/sh
# Everything that has to hold before a change lands: installs what is missing, then formatting, lints and all tests.
set -eu
cd "$(dirname "$0")/.."

tests/setup.sh
cargo fmt --check
cargo clippy --all-targets --locked -- -D warnings
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --no-fail-fast
else
    cargo test --locked
fi
