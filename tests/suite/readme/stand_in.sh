#!/bin/sh
# Stands in for a program that the README's commands use and the test does not have. Its own name says for which.
set -eu
root=$STAND_IN_FOR_ROOT

case "$(basename "$0") $*" in
"sudo apt-get "*) exec "$@" ;;
"apt-get update" | "apt-get install -y "*) ;;
"cargo install --path .") ;;
"curl --fail --location --output evodoctor.tar.gz https://example.org/evodoctor.tar.gz")
    mkdir -p released/evodoctor
    ln -sf "$(command -v evodoctor)" released/evodoctor/evodoctor
    exec tar -C released -czf evodoctor.tar.gz evodoctor
    ;;
"cargo run --release -- demo") exec evodoctor demo ;;
"cargo nextest run" | "cargo build" | "cargo bench --bench "*) ;;
"cargo nextest run -E test("*)
    # Each module that the filter names is a file of the suite.
    for module in $(echo "$*" | sed -n 's|.*/^(\{0,1\}\([a-z_|]*\))\{0,1\}::.*|\1|p' | tr '|' ' '); do
        [ -e "$root/tests/suite/$module.rs" ] || { echo "there is no tests/suite/$module.rs" >&2 && exit 64; }
        found=$module
    done
    : "${found:?no module in $*}"
    ;;
"cargo test --test suite -- --ignored --nocapture "*)
    # What the last word names is a function of a file of the suite, which reads these variables.
    named=${*##* }
    grep -q "async fn ${named##*::}()" "$root/tests/suite/${named%%::*}.rs"
    : "${NEW_RELEASE:?}" "${NEW_RELEASE_DATE:?}"
    [ -d "$NEW_RELEASE_MIGRATIONS" ]
    ;;
"postgres.sh 1"[2-8]) echo /usr/lib/postgresql ;;
"run.sh ") ;;
"aws s3 cp s3://backups/evolution.dump "*) exec cp evolution.dump "$4" ;;
"curl --fail --output "*" https://example.org/evolution.dump") exec cp evolution.dump "$3" ;;
"docker create "*:v[0-9]*) echo 4f66ad9a0b2e ;;
"docker cp 4f66ad9a0b2e:/evolution/prisma/postgresql-migrations "*) exec cp -R "$root/fixtures/migrations" "$3" ;;
"docker logs traefik") exec cat "$root/fixtures/logs/traefik.json" ;;
"docker logs --tail 50 evolution") exec cat "$root/fixtures/logs/evolution-console.log" ;;
*)
    echo "the README's test knows no such command: $(basename "$0") $*" >&2
    exit 64
    ;;
esac
