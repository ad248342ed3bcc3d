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
trap : QUIT

(
    "$binaries/initdb" --pgdata="$directory/data" --username=postgres --pwfile="$directory/password" \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --no-locale -N &&
        exec "$binaries/postgres" -D "$directory/data" "$@"
) </dev/null >"$directory/log" 2>&1 3<&- &
server=$!

# SIGQUIT is Postgres's immediate shutdown, and initdb obeys it too. It is repeated because a process that has
# just been started may still ignore it.
(
    read -r _ <&3
    while :; do
        kill -QUIT 0
        sleep 1
    done
) &
watch=$!

# The trap interrupts wait, hence the loop.
while kill -0 "$server" 2>/dev/null; do
    wait "$server"
done
: >"$directory/ended"

# A server that ended by itself leaves its log for the owner to read.
read -r _ <&3
kill "$watch"
rm -rf -- "$directory"
