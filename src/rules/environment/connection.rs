//! From Evolution to the database server: address, password, rights, pools.

use super::RuleEntry;
use crate::rules::rule::Severity::{Error, Warning};

pub(super) const RULES: &[RuleEntry] = &[
    RuleEntry {
        code: "EVO701",
        name: "database-server-unreachable",
        severity: Error,
        summary: "the database server does not answer at this address",
        why: "Nothing listens at the host and port of the connection string, the name is not known in this \
              network, or a firewall is in between (P1001, P1002, ECONNREFUSED, ENOTFOUND). \
              The data is not the cause. In a container localhost is the container itself: \
              the host is the database service's name in the compose file.",
        next: "",
        sqlstate: "08001",
        matches: &["Can't reach database server at", "connect ECONNREFUSED …:5432", "getaddrinfo ENOTFOUND"],
        answers: &["code=P1001", "code=08001", "code=08006", "code=P1002"],
    },
    RuleEntry {
        code: "EVO702",
        name: "database-login-refused",
        severity: Error,
        summary: "the database server refuses the user or the password",
        why: "The user or the password in DATABASE_CONNECTION_URI is not the server's (P1000, 28P01). \
              The image of Postgres sets POSTGRES_PASSWORD only when it makes a new volume: \
              changing it later in the compose file changes nothing in the server.",
        next: "",
        sqlstate: "28P01",
        matches: &["password authentication failed for user", "P1000", "SASL: SCRAM-SERVER-FIRST-MESSAGE"],
        answers: &[
            "code=28P01",
            "code=P1000",
            "message=wrong-password",
            "message=peer-authentication",
            "message=role-missing",
        ],
    },
    RuleEntry {
        code: "EVO703",
        name: "database-access-rule",
        severity: Error,
        summary: "the server's pg_hba.conf has no line that lets this client in",
        why: "The server was reached, and its pg_hba.conf lists no entry for this user, database and \
              address, or only one that asks for TLS.",
        next: "",
        sqlstate: "28000",
        matches: &["no pg_hba.conf entry for host"],
        answers: &["message=no-access-rule", "message=no-access-rule message=tls"],
    },
    RuleEntry {
        code: "EVO704",
        name: "database-missing",
        severity: Error,
        summary: "the server has no database of this name",
        why: "The server was reached, and the last part of the connection string's path names a database \
              that it does not have (P1003, 3D000). Prisma makes it in `migrate deploy` only if the role \
              may. A new, empty volume has none either: check that the right volume is mounted before you \
              create anything.",
        next: "",
        sqlstate: "3D000",
        matches: &["database \"…\" does not exist", "P1003"],
        answers: &["code=3D000", "code=P1003"],
    },
    RuleEntry {
        code: "EVO705",
        name: "database-permission-denied",
        severity: Error,
        summary: "the role may not do that in this database",
        why: "The login worked, and the role of DATABASE_CONNECTION_URI owns neither the tables nor the \
              schema (P1010, 42501). It happens after a restore as another role (postgres), and since \
              PostgreSQL 15 only the owner may create tables in \"public\".",
        next: "",
        sqlstate: "42501",
        matches: &[
            "permission denied for schema public",
            "permission denied for table",
            "must be owner of table",
            "P1010",
        ],
        answers: &["code=42501", "code=P1010"],
    },
    RuleEntry {
        code: "EVO706",
        name: "connection-string-invalid",
        severity: Error,
        summary: "the connection string cannot be read, or the variable that holds it is not set",
        why: "Prisma reads the connection string before it connects (P1012, P1013). Special characters in \
              the password must be percent-encoded; quotes around the value belong in a .env file and not in \
              a compose file's environment list; and Evolution reads DATABASE_CONNECTION_URI, not \
              DATABASE_URL.",
        next: "Write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE?schema=NAME, with @ as %40, \
               # as %23, / as %2F, : as %3A, and check what the container really has: \
               docker exec CONTAINER printenv DATABASE_CONNECTION_URI.",
        sqlstate: "",
        matches: &[
            "P1012",
            "P1013",
            "the URL must start with the protocol",
            "Environment variable not found: DATABASE_CONNECTION_URI",
        ],
        answers: &[
            "code=P1013",
            "code=P1012",
            r#"text="Environment variable not found""#,
            r#"text="invalid port number in database URL""#,
            r#"text="resolved to an empty string""#,
            r#"text="The provided database string is invalid""#,
            r#"text="the URL must start with the protocol … postgresql""#,
            r#"text="Invalid URL" text="prisma""#,
        ],
    },
    RuleEntry {
        code: "EVO707",
        name: "database-provider-mismatch",
        severity: Error,
        summary: "DATABASE_PROVIDER and the connection string name different kinds of database",
        why: "DATABASE_PROVIDER is postgresql, mysql or psql_bouncer, and decides which schema and \
              migrations the server takes. With a connection string of another kind, or after a change \
              between the two, it does not start (P3019, \"the URL must start with the protocol mysql://\", \
              errors ER_… of MySQL). evodoctor reads PostgreSQL databases only.",
        next: "Set DATABASE_PROVIDER to what the connection string is, and start again. \
               Data does not move from MySQL to PostgreSQL by changing the setting.",
        sqlstate: "",
        matches: &[
            "P3019",
            "The datasource provider `…` specified in your schema does not match",
            "Database provider … invalid",
        ],
        answers: &[
            "code=P3019",
            r#"text="the URL must start with the protocol … mysql""#,
            r#"text="datasource provider … does not match""#,
            r#"text="Database provider … invalid""#,
            r#"text="ER_ACCESS_DENIED_ERROR""#,
            r#"text="ER_NO_SUCH_TABLE""#,
            r#"text="ER_DUP_ENTRY""#,
            r#"text="ER_BAD_DB_ERROR""#,
            r#"text="ER_CON_COUNT_ERROR""#,
            r#"text="provider … mysql … is not supported""#,
            r#"text="mysql-migrations""#,
            r#"text="Duplicate entry … for key""#,
            r#"text="Access denied for user … using password""#,
            r#"text="to this MySQL server""#,
            r#"text="to this MariaDB server""#,
            r#"text="Unknown database '""#,
            r#"text="You have an error in your SQL syntax""#,
        ],
    },
    RuleEntry {
        code: "EVO708",
        name: "connection-lost",
        severity: Error,
        summary: "the connection to the database was closed while it was in use",
        why: "The server was restarted or stopped, an administrator ended the session, one of its processes \
              crashed (often: the kernel killed it because memory was full), or something in between closes \
              idle connections (P1017, 57P01, 57P02). What was being written is not in the database; \
              the rest is.",
        next: "",
        sqlstate: "57P01",
        matches: &[
            "Server has closed the connection",
            "terminating connection due to administrator command",
            "P1017",
        ],
        answers: &[
            "code=57P01",
            "code=57P02",
            "code=P1017",
            "code=08003",
            "code=57P05",
            "code=25P03",
            r#"text="ECONNRESET" text="prisma""#,
            r#"text="ECONNRESET" text="postgres""#,
        ],
    },
    RuleEntry {
        code: "EVO709",
        name: "server-starting",
        severity: Warning,
        summary: "the database server is starting, stopping or recovering",
        why: "The server answers, and takes no queries yet (57P03). After a crash it first replays its WAL, \
              which takes minutes on a large database. In a compose file a health check keeps Evolution from \
              starting before.",
        next: "",
        sqlstate: "57P03",
        matches: &["the database system is starting up", "the database system is in recovery mode"],
        answers: &["code=57P03"],
    },
    RuleEntry {
        code: "EVO710",
        name: "connection-pool-exhausted",
        severity: Error,
        summary: "all connections of Evolution's own pool were in use for too long",
        why: "Prisma gives up when no connection of its pool comes free within pool_timeout (P2024). \
              A slow query or a lock holds them, for all routes at once, also those that touch other tables; \
              look for those first: evodoctor check finds lookups without an index (EVO212, EVO209).",
        next: "Add connection_limit=20&pool_timeout=30 to the connection string, as far as the server's \
               max_connections allows, and see in pg_stat_activity what the connections wait for.",
        sqlstate: "",
        matches: &["Timed out fetching a new connection from the connection pool", "P2024"],
        answers: &[
            "code=P2024",
            r#"text="Timed out fetching a new connection from the connection pool""#,
            r#"text="timeout exceeded when trying to connect""#,
        ],
    },
    RuleEntry {
        code: "EVO711",
        name: "too-many-connections",
        severity: Error,
        summary: "the database server has no connection left to give",
        why: "Every connection of the server is in use (53300). Each Evolution container has a pool of its \
              own, two for each core by default and one more, and Chatwoot, n8n or a second container draw \
              on the same server.",
        next: "",
        sqlstate: "53300",
        matches: &[
            "sorry, too many clients already",
            "remaining connection slots are reserved",
            "Too many database connections opened",
        ],
        answers: &["code=53300"],
    },
    RuleEntry {
        code: "EVO712",
        name: "pooler-in-between",
        severity: Error,
        summary: "prepared statements do not work through a pooler in transaction mode",
        why: "PgBouncer or a cloud pooler hands one connection of the server to several clients, so a \
              prepared statement of one is there for another, or gone (42P05, 26000), and settings of a \
              connection are refused (08P01). `migrate deploy` cannot run through it at all.",
        next: "Add pgbouncer=true to the connection string of the server (DATABASE_PROVIDER=psql_bouncer and \
               DATABASE_BOUNCER_CONNECTION_URI since 2.3), and let DATABASE_CONNECTION_URI lead to Postgres directly.",
        sqlstate: "",
        matches: &[
            "prepared statement \"s0\" already exists",
            "prepared statement … does not exist",
            "unsupported startup parameter",
        ],
        answers: &[
            "code=42P05",
            "code=26000",
            "message=prepared-statement",
            "message=statement-mode",
            "code=08P01",
        ],
    },
    RuleEntry {
        code: "EVO713",
        name: "tls-to-database",
        severity: Error,
        summary: "the TLS connection to the database fails",
        why: "Server and client do not agree on TLS: the server has none, asks for it, or shows a \
              certificate that the client does not trust (P1011).",
        next: "Set sslmode=require where the server asks for TLS, sslmode=disable where it has none, \
               and sslaccept=accept_invalid_certs or sslcert=… for a certificate of your own.",
        sqlstate: "",
        matches: &[
            "P1011",
            "self-signed certificate in certificate chain",
            "The server does not support SSL connections",
        ],
        answers: &["code=P1011"],
    },
];
