#!/bin/sh
# Everything that has to hold before a change lands: installs what is missing, then formatting, lints and all tests.
set -eu
cd "$(dirname "$0")/.."

# Downloads and compiles side by side.
tests/setup.sh &
setup=$!
cargo fmt --check
# Clippy is the compiler of our own crate here, with its lints as errors: in one pass each crate is compiled once, where `cargo clippy`
# would check all libraries first, and compile them again for the tests. Without optimisation its code is that of rustc.
export RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
cargo build --tests --benches --locked
wait "$setup"
# What is handed out, and that it runs where there is nothing: a whole build of its own, which the release workflow asks for.
if [ -n "${EVODOCTOR_TEST_PACKAGE:-}" ]; then
    env -u RUSTC_WORKSPACE_WRAPPER .ci/dist
    tests/package.sh
fi
# What may differ between versions of PostgreSQL, on the oldest and the newest too: that a dry run is dry, that undo is exact,
# that a killed run leaves nothing half done, and that nobody else's code runs. EVODOCTOR_TEST_VERSIONS="" leaves it out.
promises="atomic batches consent damaged fixes keep online own_schema read_only standby table_owner trust undo waiting"
# What takes long, and one version is enough for: more than a hundred deaths, the load behind a plain fix, Prisma, and half a minute
# of asking a server that is gone or a network that is silent. And a staging snapshot: the machine's pg_dump reads no server that is
# newer than itself.
long="waiting::load:: ::moments:: ::prisma:: an_unknown_commit silent_network a_staging_snapshot"
versions=${EVODOCTOR_TEST_VERSIONS-12 18}
if cargo nextest --version >/dev/null 2>&1; then
    # One more at once than there are processors: some of them wait for locks and for silent networks.
    cargo nextest run --locked --no-fail-fast --test-threads $(($(nproc) + 1))
    for version in $versions; do
        programs=$(tests/postgres.sh "$version")
        echo "run: the promises on PostgreSQL $version"
        # Twice as many at once as there are processors: much of this waits for locks and for dead connections.
        EVODOCTOR_TEST_PG_BIN=$programs PROPTEST_CASES=2 cargo nextest run --locked --no-fail-fast --test-threads $(($(nproc) * 2)) \
            -E "test(/^($(echo "$promises" | tr ' ' '|'))::/) - test(/$(echo "$long" | tr ' ' '|')/)"
    done
else
    cargo test --locked
    for version in $versions; do
        programs=$(tests/postgres.sh "$version")
        echo "run: the promises on PostgreSQL $version"
        # shellcheck disable=SC2046 # a list of words
        EVODOCTOR_TEST_PG_BIN=$programs PROPTEST_CASES=2 cargo test --locked --test suite -- $(printf '%s:: ' $promises) \
            $(printf -- '--skip %s ' $long)
    done
fi
