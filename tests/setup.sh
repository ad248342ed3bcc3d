#!/bin/sh
# Installs what the tests need and this machine lacks: Postgres's server programs, locales, PgBouncer, openssl, curl, xmllint, jq, the
# proxies nginx, HAProxy and Caddy, Prometheus's node exporter, the shells zsh and fish, mandoc, and Chromium and Node.js with
# a few npm packages, Prisma's among them, and systemd-analyze; with EVODOCTOR_TEST_PACKAGE what tests/package.sh uses. With --demo
# it installs Postgres's server programs and nothing else: `evodoctor demo` needs no more. Debian and Ubuntu. Starts no service.
# Does nothing, and asks no network, when all is there.
set -eu

case "${1-}" in
"") only_demo= ;;
--demo) only_demo=yes ;;
*)
    echo "setup: usage: tests/setup.sh [--demo]" >&2
    exit 2
    ;;
esac

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
if [ -z "$only_demo" ]; then
    # A server speaks another language in one test.
    [ -e /usr/share/i18n/locales/de_DE ] || missing="$missing locales"
    command -v psql >/dev/null || missing="$missing postgresql-client"
    command -v pgbouncer >/dev/null || missing="$missing pgbouncer"
    command -v openssl >/dev/null || missing="$missing openssl"
    command -v nginx >/dev/null || missing="$missing nginx-light"
    command -v haproxy >/dev/null || missing="$missing haproxy"
    command -v caddy >/dev/null || missing="$missing caddy"
    command -v prometheus-node-exporter >/dev/null || missing="$missing prometheus-node-exporter"
    command -v xmllint >/dev/null || missing="$missing libxml2-utils"
    command -v curl >/dev/null || missing="$missing curl"
    command -v jq >/dev/null || missing="$missing jq"
    command -v zsh >/dev/null || missing="$missing zsh"
    command -v fish >/dev/null || missing="$missing fish"
    command -v mandoc >/dev/null || missing="$missing mandoc"
    command -v groff >/dev/null || missing="$missing groff-base"
    command -v chromium >/dev/null || missing="$missing chromium"
    command -v node >/dev/null || missing="$missing nodejs"
    command -v npm >/dev/null || missing="$missing npm"
    python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
    command -v systemd-analyze >/dev/null || missing="$missing systemd"
fi
if [ -n "${EVODOCTOR_TEST_PACKAGE:-}" ]; then
    command -v busybox >/dev/null || missing="$missing busybox-static"
    command -v buildah >/dev/null || missing="$missing buildah"
    command -v readelf >/dev/null || missing="$missing binutils"
    command -v debootstrap >/dev/null || missing="$missing debootstrap debian-archive-keyring"
    command -v lintian >/dev/null || missing="$missing lintian"
fi

# Packages from npm, each set fetched once, whole or not at all.
fetch() {
    from=$(dirname "$0")/suite/$1
    cache=$(dirname "$0")/.cache/$2
    cmp -s "$from/package-lock.json" "$cache/fetched" && return 0
    echo "setup: fetching $3"
    mkdir -p "$cache"
    cp "$from/package.json" "$from/package-lock.json" "$cache/"
    (cd "$cache" && npm ci --ignore-scripts --no-audit --no-fund --silent)
    cp "$from/package-lock.json" "$cache/fetched"
}

fetch_from_npm() {
    [ -z "$only_demo" ] || return 0
    fetch html pages "what pages are looked at with"
    fetch waiting/prisma prisma "Prisma, whose migrations a fix has to stand beside"
    fetch examples examples "what workflows and compose files are checked with"
}

# Kubernetes's schemas, of the newest release only: all of them are large.
fetch_from_pypi() {
    [ -z "$only_demo" ] || return 0
    cache=$(dirname "$0")/.cache/kubernetes
    version=1.37.0
    [ "$(cat "$cache/fetched" 2>/dev/null)" = "$version" ] && return 0
    echo "setup: fetching what Kubernetes's objects are checked with"
    rm -rf "$cache"
    python3 -m venv "$cache"
    "$cache/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$version"
    find "$cache" -path '*/kubernetes-json-schema/v*' -prune ! -name "v${version%.*}*" -exec rm -rf {} +
    echo "$version" >"$cache/fetched"
}

if [ -z "$missing" ]; then
    fetch_from_npm
    fetch_from_pypi
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
fetch_from_npm
fetch_from_pypi
echo "setup: done"
