#!/bin/sh
# What .ci/dist has built (the folder is the argument) runs where there is nothing: no libc, no certificates, no /etc/passwd, any
# user, a file system that nobody can write to. As root, for chroot and mount. Uses PostgreSQL's server programs, and Debian's
# busybox-static for the root that looks like Alpine's. Images are made where buildah is there. The .deb is installed into a small
# Debian where debootstrap is there; the same Debian with PostgreSQL's programs is what the second image is made from.
set -eu
cd "$(dirname "$0")/.."
dist=$(cd "${1:-target/dist}" && pwd)
program=$dist/evodoctor
work=$(mktemp -d)
chmod 755 "$work"
debian=$PWD/tests/.cache/debian
server=
dns=
clean() {
    [ -z "$dns" ] || kill "$dns" 2>/dev/null || true
    [ -z "$server" ] || kill -INT "$server" 2>/dev/null || true
    for root in bare alpine; do umount "$work/$root" 2>/dev/null || true; done
    umount "$debian/proc" 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
fail() {
    echo "package: $*" >&2
    exit 1
}

# It is one file, small, and asks for no other.
size=$(stat -c %s "$program")
[ "$size" -lt 20000000 ] || fail "$size bytes are too many"
! readelf -l "$program" | grep -q INTERP || fail "it wants a dynamic linker"
! readelf -d "$program" | grep -q NEEDED || fail "it wants a library"
! readelf -S "$program" | grep -q '\.symtab' || fail "it is not stripped"
! grep -aqF "$PWD" "$program" || fail "it holds the path of this folder"
! grep -aqF "${CARGO_HOME:-$HOME/.cargo}" "$program" || fail "it holds the path of cargo's folder"

# A server to talk to. It serves whoever comes from this machine.
binaries=$(find /usr/lib/postgresql -path '*/bin/initdb' -printf '%h\n' 2>/dev/null | sort -V | tail -n 1)
binaries=${EVODOCTOR_TEST_PG_BIN:-$binaries}
user=postgres
mkdir "$work/data"
chown "$user" "$work/data"
as_user() { setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; }
as_user "$binaries/initdb" -D "$work/data" -A trust -U postgres -N >/dev/null
port=$(($$ % 20000 + 30000))
(cd "$work/data" && openssl req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.crt -days 2 -subj /CN=db.test \
    -addext basicConstraints=CA:FALSE 2>/dev/null && chown "$user" server.* && chmod 600 server.key)
as_user "$binaries/postgres" -D "$work/data" -p "$port" -k "$work/data" -c fsync=off -c ssl=on -c listen_addresses=127.0.0.1 \
    >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
    "$binaries/pg_isready" -q -h 127.0.0.1 -p "$port" && break
    sleep 0.2
done

# Answers one question: where db.test is.
python3 - "$work/dns" <<'PYTHON' &
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.53", 53))
while True:
    question, client = server.recvfrom(512)
    end = question.index(b"\0", 12) + 5
    is_known = question[12:end - 4] == b"\x02db\x04test\0" and question[end - 4:end - 2] == b"\0\x01"
    open(sys.argv[1], "ab").write(question)
    head = question[:2] + (b"\x81\x80" if is_known or b"\x02db\x04test" in question else b"\x81\x83") + b"\0\1" + (b"\0\1" if is_known else b"\0\0") + b"\0\0\0\0"
    answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01" if is_known else b""
    server.sendto(head + question[12:end] + answer, client)
PYTHON
dns=$!

# Two roots: one with nothing but the program, one like Alpine's without certificates. Neither can be written to.
mkdir "$work/bare" "$work/alpine" "$work/bare-files" "$work/alpine-files"
cp "$program" "$work/bare-files/evodoctor"
mkdir -p "$work/alpine-files/bin" "$work/alpine-files/etc" "$work/alpine-files/tmp"
cp "$program" "$work/alpine-files/bin/evodoctor"
cp "$(command -v busybox)" "$work/alpine-files/bin/busybox"
ln -s busybox "$work/alpine-files/bin/sh"
echo "127.0.0.1 localhost db.hosts" >"$work/alpine-files/etc/hosts"
echo "nameserver 127.0.0.53" >"$work/alpine-files/etc/resolv.conf"
# What a statically linked glibc must not follow.
printf 'hosts: resolve [!UNAVAIL=return] myhostname\npasswd: systemd sss\n' >"$work/alpine-files/etc/nsswitch.conf"
for root in bare alpine; do
    mount --bind "$work/$root-files" "$work/$root"
    mount -o remount,bind,ro "$work/$root"
done
chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)
# shellcheck disable=SC2086 # words
in_bare() { env -i "$@" "$chroot" --userspec=4711:4711 "$work/bare" /evodoctor $arguments; }
# shellcheck disable=SC2086 # words
in_alpine() { env -i "$@" "$chroot" --userspec=4711:4711 "$work/alpine" /bin/evodoctor $arguments; }
# Ends with this code and says this.
expect() {
    code=$1 said=$2
    shift 2
    actual=0
    "$@" >"$work/said" 2>&1 || actual=$?
    if [ "$actual" -ne "$code" ] || ! tr -s ' \n' ' ' <"$work/said" | grep -qF -- "$said"; then
        cat "$work/said" >&2
        fail "$* $arguments: ended with $actual, expected were $code and \"$said\""
    fi
}
url() { echo "DATABASE_URL=postgresql://postgres@$1:$port/postgres?${2:-}"; }

arguments=--version expect 0 evodoctor in_bare
arguments=--help expect 0 preflight in_bare
arguments="explain EVO101" expect 0 EVO101 in_bare
arguments=check
expect 2 "no database is named" in_bare
expect 2 "Evolution" in_bare "$(url 127.0.0.1)"
expect 2 "Evolution" in_bare "$(url 127.0.0.1 sslmode=require)"
expect 2 "is not known here" in_bare "$(url db.hosts)"
expect 2 "Evolution" in_alpine "$(url db.hosts)"
expect 2 "Evolution" in_alpine "$(url db.test)"
[ -s "$work/dns" ] || fail "the name server was not asked"
expect 2 "is not known here" in_alpine "$(url other.test)"
# Without any certificate of the system's, Mozilla's are those that do not know this server.
for mode in verify-ca verify-full; do
    arguments="check -vv"
    expect 2 "the built-in ones of Mozilla are used" in_alpine "$(url db.test sslmode=$mode)"
    expect 2 "UnknownIssuer" in_alpine "$(url db.test sslmode=$mode)"
done
echo "package: $size bytes, static, run in two empty roots"

# A dump of a small database that looks like Evolution's, of which something is to be said.
database="host=127.0.0.1 port=$port user=postgres dbname=postgres"
"$binaries/psql" -qX "$database" -c 'CREATE TABLE "Instance" ("id" text PRIMARY KEY, "name" varchar(255) NOT NULL)' \
    -c 'CREATE TABLE "Session" ("id" text PRIMARY KEY)' -c 'CREATE TABLE "Chat" ("id" text PRIMARY KEY)' \
    -c 'CREATE TABLE "Contact" ("id" text PRIMARY KEY)' -c 'CREATE TABLE "Message" ("id" text PRIMARY KEY, "instanceId" text NOT NULL)'
"$binaries/pg_dump" --format=custom --file="$work/evolution.dump" "$database"

# The .deb, as Debian's own tool sees it.
deb=$(find "$dist" -maxdepth 1 -name '*.deb' | head -n 1)
if [ -z "$deb" ] && command -v cargo >/dev/null; then
    deb=$work/evodoctor.deb
    .ci/deb "$deb" >/dev/null
fi
if [ -n "$deb" ]; then
    dpkg-deb -x "$deb" "$work/deb"
    cmp "$program" "$work/deb/usr/bin/evodoctor"
    [ -z "$(dpkg-deb -f "$deb" Depends)" ] || fail "the package wants others"
    if command -v lintian >/dev/null; then
        lintian --allow-root --profile debian --fail-on error,warning "$deb"
    fi
    echo "package: the .deb is whole"
fi

# A Debian with PostgreSQL's programs, which starts no server of its own. It is kept: the mirror takes minutes.
if command -v debootstrap >/dev/null; then
    if [ ! -e "$debian/whole" ]; then
        echo "package: fetching a Debian"
        rm -rf "$debian"
        mkdir -p "$debian"
        debootstrap --variant=minbase trixie "$debian" http://deb.debian.org/debian >"$work/said" 2>&1 ||
            { cat "$work/said" >&2 && fail "debootstrap failed"; }
        printf '#!/bin/sh\nexit 101\n' >"$debian/usr/sbin/policy-rc.d"
        chmod 755 "$debian/usr/sbin/policy-rc.d"
        mkdir -p "$debian/etc/postgresql-common"
        echo 'create_main_cluster = false' >"$debian/etc/postgresql-common/createcluster.conf"
        DEBIAN_FRONTEND=noninteractive chroot "$debian" apt-get install -qq --no-install-recommends postgresql >"$work/said" 2>&1 ||
            { cat "$work/said" >&2 && fail "PostgreSQL cannot be installed there"; }
        chroot "$debian" apt-get clean
        touch "$debian/whole"
    fi
fi
within() { chroot --userspec=postgres:postgres "$debian" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/nowhere "$@"; }
tell_the_demo() { [ "$(grep -c '^\$ evodoctor ' "$1")" -gt 5 ] && grep -q 'undone: run 1' "$1"; }

# It is installed, runs as it is found there, and goes without a trace.
if [ -n "$deb" ] && [ -e "$debian/whole" ]; then
    cp "$deb" "$debian/tmp/evodoctor.deb"
    chroot "$debian" dpkg --install /tmp/evodoctor.deb >"$work/said" 2>&1 || { cat "$work/said" >&2 && fail "dpkg refuses it"; }
    chroot "$debian" dpkg --verify evodoctor
    chroot "$debian" dpkg-query --listfiles evodoctor >"$work/files"
    arguments=--version expect 0 evodoctor within evodoctor --version
    arguments="explain EVO101" expect 0 EVO101 within evodoctor explain EVO101
    for command in "" $("$program" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/-\1/p'); do
        page=/usr/share/man/man1/evodoctor$command.1.gz
        [ "$command" = -help ] || gzip -dc "$debian$page" | grep -q '^\.TH' || fail "$page is no manual page"
    done
    chroot "$debian" bash -c '. /usr/share/bash-completion/completions/evodoctor && complete -p evodoctor' >/dev/null
    for file in zsh/vendor-completions/_evodoctor fish/vendor_completions.d/evodoctor.fish doc/evodoctor/examples/evodoctor.timer \
        doc/evodoctor/copyright; do
        grep -qxF "/usr/share/$file" "$work/files" || fail "the package has no $file"
    done
    # With the package that it suggests, it starts a server of its own.
    mount -t proc proc "$debian/proc"
    within evodoctor demo >"$work/said" 2>&1 || { cat "$work/said" >&2 && fail "the demo fails"; }
    tell_the_demo "$work/said" || fail "the demo does not tell its story"
    umount "$debian/proc"
    chroot "$debian" dpkg --purge evodoctor >/dev/null 2>&1
    while read -r file; do
        [ -d "$debian$file" ] || [ ! -e "$debian$file" ] || fail "$file stays"
    done <"$work/files"
    rm "$debian/tmp/evodoctor.deb"
    echo "package: the .deb is installed, runs and goes"
fi

# The images, built by buildah as their Containerfiles say, and run.
if command -v buildah >/dev/null; then
    export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
    store="--root $work/store --runroot $work/store-run"
    # shellcheck disable=SC2086 # words
    {
        buildah $store bud --quiet -f .github/Containerfile -t evodoctor "$dist" >/dev/null
        container=$(buildah $store from --pull-never evodoctor)
        image=$(buildah $store mount "$container")
        [ "$(cd "$image" && find . -type f)" = ./evodoctor ] || fail "there is more in the image than the program"
        chroot --userspec=65534:65534 "$image" /evodoctor --version
        buildah $store umount "$container" >/dev/null
    }
    echo "package: the image has the program and nothing else"
    if [ -e "$debian/whole" ]; then
        tar --create --directory="$debian" --exclude='./dev/*' --exclude='./proc/*' --exclude=./var/lib/apt/lists . >"$work/debian.tar"
        # shellcheck disable=SC2086 # words
        {
            base=$(buildah $store from scratch)
            buildah $store add --quiet "$base" "$work/debian.tar" / >/dev/null
            rm "$work/debian.tar"
            buildah $store commit --rm --quiet "$base" localhost/debian-postgres >/dev/null
            buildah $store bud --quiet --pull-never --build-arg BASE=localhost/debian-postgres \
                -f .github/Containerfile.postgres -t evodoctor:postgres "$dist" >/dev/null
            container=$(buildah $store from --pull-never evodoctor:postgres)
            entry=$(buildah $store inspect --format '{{index .OCIv1.Config.Entrypoint 0}}' "$container")
            in_image() { buildah $store run --volume "$work/evolution.dump:/evolution.dump:ro" "$container" -- "$entry" "$@"; }
            chmod 644 "$work/evolution.dump"
            in_image demo >"$work/said" 2>&1 || { cat "$work/said" >&2 && fail "the demo fails in the image"; }
            tell_the_demo "$work/said" || fail "the demo does not tell its story in the image"
            arguments="in the image" expect 1 EVO302 in_image check --snapshot /evolution.dump
        }
        echo "package: the image with PostgreSQL's programs tells the demo and restores a dump"
    fi
fi
