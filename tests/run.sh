#!/bin/sh
# Everything that has to hold before a change lands: installs what is missing, then formatting, lints and all tests.
set -eu
cd "$(dirname "$0")/.."

tests/setup.sh
cargo fmt --check
cargo clippy --all-targets --locked -- -D warnings
# What is handed out, and that it runs where there is nothing: a whole build of its own, which the release workflow asks for.
if [ -n "${EVODOCTOR_TEST_PACKAGE:-}" ]; then
    .ci/dist
    tests/package.sh
fi
# The promises, on the oldest and the newest server too. EVODOCTOR_TEST_VERSIONS="" leaves them out.
promises="atomic consent fixes hostile keep online own_schema parallel_checks plan prune read_only secrets standby table_owner undo waiting"
# What takes long, and one version is enough for: hundreds of deaths, the load behind a plain fix, every release once more under
# odd names, Prisma, and half a minute of asking a server that is gone. And a dump, which the machine's pg_dump makes of its own
# version.
long="waiting::load:: ::moments:: ::prisma:: names_that_need_quoting an_unknown_end a_dump_shows_no_secret"
versions=${EVODOCTOR_TEST_VERSIONS-12 18}
if cargo nextest --version >/dev/null 2>&1; then
    # One more at once than there are processors: some of them wait for locks and for silent networks.
    cargo nextest run --locked --no-fail-fast --test-threads $(($(nproc) + 1))
    for version in $versions; do
        programs=$(tests/postgres.sh "$version")
        echo "run: the promises on PostgreSQL $version"
        # Twice as many at once as there are processors: much of this waits for locks and for dead connections.
        EVODOCTOR_TEST_PG_BIN=$programs cargo nextest run --locked --no-fail-fast --test-threads $(($(nproc) * 2)) \
            -E "test(/^($(echo "$promises" | tr ' ' '|'))::/) - test(/$(echo "$long" | tr ' ' '|')/)"
    done
else
    cargo test --locked
    for version in $versions; do
        programs=$(tests/postgres.sh "$version")
        echo "run: the promises on PostgreSQL $version"
        # shellcheck disable=SC2046 # a list of words
        EVODOCTOR_TEST_PG_BIN=$programs cargo test --locked --test suite -- $(printf '%s:: ' $promises) \
            $(printf -- '--skip %s ' $long)
    done
fi
