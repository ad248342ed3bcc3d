//! The files that the database's server lives on, and what its image brings along.

use super::RuleEntry;
use crate::rules::rule::Severity::{Error, Warning};

pub(super) const RULES: &[RuleEntry] = &[
    RuleEntry {
        code: "EVO730",
        name: "transaction-id-wraparound",
        severity: Error,
        summary: "the server refuses writes, or soon will: old rows were not frozen in time",
        why: "Each transaction takes one of two thousand million numbers, and VACUUM has to free the old \
              ones. Something holds them: a prepared transaction, a replication slot that nobody reads, \
              a session that is \"idle in transaction\" for days, or autovacuum that is off or always \
              interrupted. With three million numbers left the server refuses every write, so that nothing \
              is lost.",
        next: "Stop Evolution. As a superuser check pg_prepared_xacts, pg_replication_slots and \
               pg_stat_activity (ORDER BY backend_xmin) and end what is old; then run VACUUM (not VACUUM \
               FULL) in the database that the message names, and switch autovacuum on.",
        sqlstate: "",
        matches: &["to avoid wraparound data loss", "must be vacuumed within … transactions"],
        answers: &[
            r#"text="to avoid wraparound data loss""#,
            r#"text="must be vacuumed within … transactions""#,
            r#"text="not accepting commands … wraparound""#,
        ],
    },
    RuleEntry {
        code: "EVO752",
        name: "volume-permissions",
        severity: Error,
        summary: "the server may not read or write its own files: the volume belongs to another user",
        why: "Postgres starts only when the user that it runs as owns the data directory, and no other user \
              may write there. It belongs to another user after a copy made as root, with another image \
              (Debian's postgres has the number 999, Alpine's 70), on a folder of Windows or a network \
              share, or with `user:` in the compose file. The data is not damaged.",
        next: "Stop the server, give the files back to the user of the image (for Debian's: \
               docker run --rm -v VOLUME:/data debian chown -R 999:999 /data), and start it. \
               On a share that knows no owners use a named volume instead.",
        sqlstate: "",
        matches: &[
            "data directory … has wrong ownership",
            "data directory … has invalid permissions",
            "could not change permissions of directory",
        ],
        answers: &[
            r#"text="data directory … has wrong ownership""#,
            r#"text="data directory … has invalid permissions""#,
            r#"text="data directory … has group or world access""#,
            r#"text="could not change permissions of directory""#,
            r#"text="could not access directory … Permission denied""#,
            r#"text="could not create directory … Permission denied""#,
            r#"text="could not create lock file … Permission denied""#,
            r#"text="could not open lock file … Permission denied""#,
            r#"text="could not open file \"global … Permission denied""#,
            r#"text="could not open file \"base … Permission denied""#,
            r#"text="could not open file \"pg_ … Permission denied""#,
            r#"text="changing ownership of … postgresql … Operation not permitted""#,
        ],
    },
    RuleEntry {
        code: "EVO753",
        name: "locale-missing",
        severity: Error,
        summary: "the database was made with a locale that this server's system does not have",
        why: "The files come from a system that knew the locale (pt_BR.UTF-8, en_US.utf8); \
              the new image does not: Alpine's images have none but C, Debian's have en_US.utf8. \
              A dump with such a locale cannot be restored there either.",
        next: "Start the files with the image that wrote them, or with one that has the locale (Debian's \
               image, with localedef in a Dockerfile). To move to another locale, dump with pg_dump and \
               restore into a database made with TEMPLATE template0 LOCALE 'C.UTF-8'.",
        sqlstate: "",
        matches: &[
            "database locale is incompatible with operating system",
            "invalid locale name",
            "not recognized by setlocale",
        ],
        answers: &[
            r#"text="database locale is incompatible with operating system""#,
            r#"text="is not recognized by setlocale""#,
            r#"text="invalid locale name""#,
            r#"text="could not create locale""#,
        ],
    },
    RuleEntry {
        code: "EVO754",
        name: "extension-files-missing",
        severity: Warning,
        summary: "the database uses an extension whose files this server does not have",
        why: "An extension (pg_stat_statements, vector, timescaledb) needs files on the server's machine \
              besides its entry in the database. The image was changed, or a dump comes from a server that \
              had it. Evolution itself needs none.",
        next: "Where nothing uses it: DROP EXTENSION, and remove it from shared_preload_libraries. \
               Otherwise use an image that has it (pgvector/pgvector, timescale/timescaledb), or install the \
               package. In a restore, leave it out with pg_restore -l and -L.",
        sqlstate: "",
        matches: &[
            "could not open extension control file",
            "extension … is not available",
            "could not access file \"$libdir/…\"",
        ],
        answers: &[
            r#"text="could not open extension control file""#,
            r#"text="extension … is not available""#,
            r#"text="could not access file \"$libdir""#,
            r#"text="could not load library … postgresql""#,
        ],
    },
];
