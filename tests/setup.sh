#!/bin/sh
# Installs what the tests need and this machine lacks: Postgres's server programs, PgBouncer, openssl, xmllint, jq, the
# proxies nginx, HAProxy and Caddy, and Prometheus's node exporter. Debian and Ubuntu. Starts no service. Does nothing, and
# asks no network, when all is there.
set -eu

has_server() {
    [ -n "${EVODOCTOR_TEST_PG_BIN:-}" ] && return 0
    for directory in /usr/lib/postgresql/*/bin; do
        [ -x "$directory/initdb" ] && [ -x "$directory/postgres" ] && return 0
    done
    command -v initdb >/dev/null && command -v postgres >/dev/null
}

# An ordinary user's PATH lacks /usr/sbin.
PATH=$PATH:/usr/sbin

missing=
has_server || missing="$missing postgresql"
command -v psql >/dev/null || missing="$missing postgresql-client"
command -v pgbouncer >/dev/null || missing="$missing pgbouncer"
command -v openssl >/dev/null || missing="$missing openssl"
command -v nginx >/dev/null || missing="$missing nginx-light"
command -v haproxy >/dev/null || missing="$missing haproxy"
command -v caddy >/dev/null || missing="$missing caddy"
command -v prometheus-node-exporter >/dev/null || missing="$missing prometheus-node-exporter"
command -v xmllint >/dev/null || missing="$missing libxml2-utils"
command -v jq >/dev/null || missing="$missing jq"

if [ -z "$missing" ]; then
    echo "setup: all is there"
    exit 0
fi
echo "setup: installing$missing"

if ! command -v apt-get >/dev/null; then
    echo "setup: no apt-get here; install$missing with this system's package manager" >&2
    exit 2
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "setup: run as root, or install sudo" >&2
    exit 2
fi

# Debian's packages start what they install, unless this file says no: the tests need programs, and ports stay free.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi

$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "setup: done"
