//! The database server and its machine: disk, memory, files, locks between writers.

use super::RuleEntry;
use crate::rules::rule::Severity::{Advice, Error, Warning};

pub(super) const RULES: &[RuleEntry] = &[
    RuleEntry {
        code: "EVO721",
        name: "disk-full",
        severity: Error,
        summary: "the disk of the server is full",
        why: "A write failed for lack of disk space (53100, ENOSPC). Nothing is lost, but the server may \
              stop, and does not start again before there is space for its WAL. Find out what is large \
              before you delete anything: Message and MessageUpdate, the server's own logs, docker's logs, \
              old images. Never delete files in pg_wal by hand.",
        next: "",
        sqlstate: "53100",
        matches: &["No space left on device", "could not extend file", "ENOSPC"],
        answers: &["code=53100", "message=disk-full"],
    },
    RuleEntry {
        code: "EVO722",
        name: "server-out-of-memory",
        severity: Error,
        summary: "the database server ran out of memory",
        why: "The machine, the container's limit or the server's own table of locks is used up (53200). In a container \
              shared memory is 64 MB unless shm_size says more.",
        next: "",
        sqlstate: "53200",
        matches: &["out of memory", "out of shared memory", "could not resize shared memory segment"],
        answers: &["code=53200", "message=out-of-memory"],
    },
    RuleEntry {
        code: "EVO723",
        name: "writers-in-conflict",
        severity: Warning,
        summary: "two writers waited for each other, and the server ended one of them",
        why: "Both wanted the same rows in opposite order (40P01, 40001, P2034). One went on, the other got \
              this error, and the data is consistent. A few are harmless; many at once mean two servers for \
              the same instances, an upgrade while the server runs, or a slow query that holds rows \
              for long.",
        next: "Repeat what failed. If it comes often: let only one server use these instances, and run \
               evodoctor check.",
        sqlstate: "",
        matches: &["deadlock detected", "Transaction failed due to a write conflict or a deadlock", "P2034"],
        answers: &["code=40P01", "code=P2034"],
    },
    RuleEntry {
        code: "EVO724",
        name: "statement-took-too-long",
        severity: Warning,
        summary: "a statement or a request took longer than a limit allows",
        why: "statement_timeout of the role or the database, Prisma's transaction timeout (P2028, P1008), \
              or a proxy's limit (504) ended the wait. The usual causes are a lookup without an index on a \
              large table (EVO212, EVO209) and a lock that another session holds.",
        next: "Run evodoctor check, which finds the missing indexes, and see in pg_stat_activity what waits for whom.",
        sqlstate: "",
        matches: &[
            "canceling statement due to statement timeout",
            "Transaction API error",
            "504 Gateway Time-out",
        ],
        answers: &[
            "code=57014",
            "code=P2028",
            "code=P1008",
            r#"text="Transaction API error""#,
            r#"text="504 Gateway Time-out""#,
            r#"text="504 Gateway Timeout""#,
        ],
    },
    RuleEntry {
        code: "EVO725",
        name: "read-only-server",
        severity: Error,
        summary: "the server takes no writes: it is a standby, or was made read-only",
        why: "The connection leads to a replica, or default_transaction_read_only is on, which hosters set \
              when the disk is full or the plan has ended (25006).",
        next: "",
        sqlstate: "25006",
        matches: &[
            "cannot execute INSERT in a read-only transaction",
            "cannot execute UPDATE during recovery",
        ],
        answers: &["code=25006"],
    },
    RuleEntry {
        code: "EVO726",
        name: "text-encoding",
        severity: Warning,
        summary: "a text holds characters that the database cannot keep",
        why: "Either the database is not in UTF-8, or a message holds a zero byte (\\u0000), which no \
              Postgres text can hold (22P05, 22021). For the second the fault is the server's, that one \
              message is lost, and nothing in the database is wrong.",
        next: "",
        sqlstate: "22P05",
        matches: &[
            "invalid byte sequence for encoding \"UTF8\"",
            "unsupported Unicode escape sequence",
            "has no equivalent in encoding",
        ],
        answers: &["code=22P05", "code=22021", "message=text-encoding"],
    },
    RuleEntry {
        code: "EVO727",
        name: "damaged-files",
        severity: Error,
        summary: "a file of the database is damaged, and rows of it cannot be read",
        why: "The server found a page, an index or a large value that is not what it wrote (XX001, XX002): \
              a broken disk, a power cut on a disk that confirms writes too early, a volume that two servers \
              used, or a copy made while the server ran. It gets worse with use.",
        next: "",
        sqlstate: "XX001",
        matches: &[
            "invalid page in block",
            "could not read block",
            "missing chunk number",
            "contains unexpected zero page",
        ],
        answers: &["code=XX001", "code=XX002", "message=damaged", "message=damaged-index"],
    },
    RuleEntry {
        code: "EVO728",
        name: "files-of-another-major-version",
        severity: Error,
        summary: "the volume was written by another major version of PostgreSQL",
        why: "The image's tag changed, postgres:latest for example, and the new server cannot read the old \
              files (\"database files are incompatible with server\"). From 18 on the image also keeps them \
              in another directory, and refuses a volume at the old one. They are unharmed as long as \
              nothing is forced.",
        next: "Put the old major version back into the compose file, dump with pg_dump, start the new \
               version on an empty volume, and restore. Name the major version in the image's tag from \
               then on.",
        sqlstate: "",
        matches: &[
            "database files are incompatible with server",
            "The data directory was initialized by PostgreSQL version",
        ],
        answers: &[
            "message=files-of-other-version",
            r#"text="in 18+, these Docker images are configured to store database data""#,
        ],
    },
    RuleEntry {
        code: "EVO729",
        name: "server-internal-error",
        severity: Advice,
        summary: "the server reports an internal error",
        why: "XX000 is an internal error of Postgres or of an extension, and only its message says more. \
              Cloud poolers use it too, for an unknown tenant or an ended plan.",
        next: "Read the message beside the code, and the server's log.",
        sqlstate: "",
        matches: &["XX000"],
        answers: &["code=XX000", r#"text="Tenant or user not found""#],
    },
];
