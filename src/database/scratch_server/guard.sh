# Makes a Postgres server and runs it for as long as its owner lives.
#
#   sh -c "$GUARD" evodoctor-server DIRECTORY BINARIES SERVER-OPTION…
#
# The owner holds the other end of the pipe on stdin and writes nothing to it. When the owner ends, however it
# ends (even by SIGKILL), the kernel closes the pipe; then the server is stopped and DIRECTORY is removed. There
# is one way to stop, so it is always the tested one. Must be started in a process group of its own: a Ctrl-C
# at the owner's terminal then does not reach the server, and signals sent here reach nobody else.

directory=$1
binaries=$2
shift 2

exec 3<&0

# Data that is kept from an earlier server is behind a link, which rm does not follow.
# initdb is never cut short: its servers, unlike a real one, would leave shared memory behind. It takes a second.
if [ -e "$directory/data/PG_VERSION" ] || "$binaries/initdb" --pgdata="$directory/data" --username=postgres --pwfile="$directory/password" \
    --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --no-locale -N \
    </dev/null >"$directory/log" 2>&1 3<&-; then
    "$binaries/postgres" -D "$directory/data" "$@" </dev/null >>"$directory/log" 2>&1 3<&- &
    server=$!

    # SIGQUIT is an immediate shutdown. It is repeated because a process that has just been started may still
    # ignore it.
    (
        read -r _ <&3
        while kill -QUIT "$server"; do
            sleep 1
        done
    ) &
    watch=$!

    wait "$server"
    kill "$watch"
fi

# A server that ended by itself leaves its log for the owner to read.
: >"$directory/ended"
read -r _ <&3
rm -rf -- "$directory"
