//! Evolution itself: its configuration, its licence, its code, and what is around it.

use super::RuleEntry;
use crate::rules::rule::Severity::{Advice, Error, Warning};

pub(super) const RULES: &[RuleEntry] = &[
    RuleEntry {
        code: "EVO731",
        name: "licence-required",
        severity: Error,
        summary: "the server is of 2.4 or later and has not been activated",
        why: "Since 2.4 every route of the API answers 503 with LICENSE_REQUIRED until the server is \
              activated, also for an unknown instance and a wrong key; the manager's pages and \
              /license/status answer. No change in the database repairs that. A dump or a clone carries the \
              activation in \"RuntimeConfig\". A 503 without that word comes from the proxy: \
              the server behind it is down or starting.",
        next: "Activate it in the manager (/manager), or go back to 2.3.7, the newest stable release, \
               which runs on the tables of 2.4.",
        sqlstate: "",
        matches: &["LICENSE_REQUIRED", "503 … license"],
        answers: &[
            r#"text="LICENSE_REQUIRED""#,
            "http=503",
            r#"text="not activated""#,
            r#"http=503 text="license""#,
            r#"http=503 text="licence""#,
            r#"text="license required""#,
        ],
    },
    RuleEntry {
        code: "EVO732",
        name: "record-not-found",
        severity: Advice,
        summary: "the server changes a row that does not exist any more",
        why: "P2025: an update or a delete found no row. Something else removed it first, a second delete or \
              a second server for example, or the row was never saved. The data is not damaged by it.",
        next: "If one instance causes it again and again, run evodoctor check: a half-deleted instance \
               (EVO105) does so.",
        sqlstate: "",
        matches: &[
            "P2025",
            "An operation failed because it depends on one or more records that were required but not found",
        ],
        answers: &[
            "code=P2025",
            "code=P2015",
            "code=P2018",
            "code=P2001",
            r#"text="No record was found for""#,
            r#"text="record to update not found""#,
            r#"text="Record to delete does not exist""#,
        ],
    },
    RuleEntry {
        code: "EVO733",
        name: "query-wrong-before-it-is-sent",
        severity: Warning,
        summary: "Evolution made a query that Prisma refuses; the database never saw it",
        why: "\"Argument `…` is missing\", \"Invalid value for argument\", \"Provided Date object is \
              invalid\", \"Unknown argument\": the server's code, what a client sent, or a generated client \
              of another release is at fault. Nothing in the database changes that.",
        next: "Check the body that the client sent (numbers, dates and names of fields); \
               after an upgrade by hand run npm run db:generate, or take the image of one release instead of \
               mixing two.",
        sqlstate: "",
        matches: &[
            "Argument `…` is missing",
            "Invalid Date",
            "Unknown argument",
            "PrismaClientValidationError",
        ],
        answers: &[
            r#"text="PrismaClientValidationError""#,
            r#"text="Argument … is missing""#,
            r#"text="Argument … must not be null""#,
            r#"text="Invalid value for argument""#,
            r#"text="Invalid value provided""#,
            r#"text="Unknown argument""#,
            r#"text="Unknown field … for select statement""#,
            r#"text="Unknown arg""#,
            r#"text="Provided Date object is invalid""#,
            r#"text="new Date(\"Invalid Date\")""#,
            r#"text="RangeError: Invalid time value""#,
            r#"exact="Invalid Date""#,
            "code=22P02",
            "code=P2009",
            "code=P2012",
            "code=P2013",
            "code=P2016",
            "code=P2019",
        ],
    },
    RuleEntry {
        code: "EVO734",
        name: "value-too-long",
        severity: Warning,
        summary: "a value is longer than its column, or larger than its type",
        why: "P2000, 22001, 22003: what is to be saved does not fit. The row is not written, the rest is \
              unharmed. For an instance's token there is a fix (EVO211); elsewhere it is a name, a \
              description or a URL of more than 255 or 500 characters.",
        next: "Shorten the value. Widening a column by hand makes a later upgrade fail where it alters the same column.",
        sqlstate: "",
        matches: &[
            "P2000",
            "The provided value for the column is too long for the column's type",
            "value too long for type character varying",
        ],
        answers: &["code=22001", "code=22003", "code=P2033"],
    },
    RuleEntry {
        code: "EVO735",
        name: "required-value-missing",
        severity: Warning,
        summary: "a row lacks a value that its table requires",
        why: "P2011, 23502, \"Null constraint violation\": the server or the client left a field out, \
              or the table requires one that this release does not know, because the tables are another \
              release's.",
        next: "Run evodoctor check: EVO206 shows a column that differs from the release's; otherwise complete what the client sends.",
        sqlstate: "",
        matches: &[
            "Null constraint violation on the fields",
            "null value in column … violates not-null constraint",
            "P2011",
        ],
        answers: &["code=23502", "code=P2012", r#"text="Null constraint violation""#],
    },
    RuleEntry {
        code: "EVO736",
        name: "value-already-taken",
        severity: Warning,
        summary: "a value that must be unique is there already",
        why: "P2002, 23505: the row is not written, because another one has the same value, and the fields \
              behind \"Unique constraint failed on the fields\" say which. Two requests at the same time \
              cause it too, and then nothing is wrong. Which rule it is depends on the model and the fields: \
              paste the whole error.",
        next: "Check the fields, then repeat the request once; if it fails again, the row is there and the \
               client should update it.",
        sqlstate: "",
        matches: &["P2002", "Unique constraint failed", "duplicate key value violates unique constraint"],
        answers: &["code=23505"],
    },
    RuleEntry {
        code: "EVO737",
        name: "migrate-used-by-hand",
        severity: Warning,
        summary: "a prisma migrate command was used that is not for production databases",
        why: "`migrate dev` wants a second, empty database and may reset the first (P3006, P3014); \
              `migrate resolve` wants the exact name of a migration that failed or is unknown (P3008, P3011, \
              P3012, P3017); and both want the migrations of the image (P3015). The server itself runs \
              `migrate deploy`.",
        next: "Run npm run db:deploy with the release's own files, never migrate dev or db push on a \
               database that is in use; evodoctor check says what the record of migrations looks like.",
        sqlstate: "",
        matches: &["P3014", "P3006", "could not create the shadow database", "P3008", "P3017"],
        answers: &[
            "code=P3006",
            "code=P3014",
            "code=P3008",
            "code=P3011",
            "code=P3012",
            "code=P3015",
            "code=P3017",
            r#"text="shadow database""#,
        ],
    },
    RuleEntry {
        code: "EVO738",
        name: "migration-lock-held",
        severity: Warning,
        summary: "another starting server, or a lost session, holds the migration lock",
        why: "Only one `migrate deploy` runs at a time: it takes the advisory lock 72707369 and gives up \
              after ten seconds (P1002). Two replicas that start at the same time cause it, and so does a \
              session that a killed container left behind, or one through a pooler.",
        next: "Start one container first. If it stays: SELECT pid FROM pg_locks WHERE locktype = 'advisory' \
               AND objid = 72707369 shows who holds it, and pg_terminate_backend(pid) ends a session that \
               is lost.",
        sqlstate: "",
        matches: &["Timed out trying to acquire a postgres advisory lock", "pg_advisory_lock(72707369)"],
        answers: &[r#"text="acquire a postgres advisory lock""#, r#"text="72707369""#],
    },
    RuleEntry {
        code: "EVO739",
        name: "prisma-engine-missing",
        severity: Error,
        summary: "the installation is incomplete: Prisma's engine or generated client is not there",
        why: "The server ends before it connects: `@prisma/client did not initialize yet`, no query engine \
              for this platform, a libssl that is missing. It comes from an installation by hand or an image \
              that was built for another platform, not from the database.",
        next: "Run npm run db:generate in the installation, with DATABASE_PROVIDER set; \
               in a container take the official image, and the platform that the machine has.",
        sqlstate: "",
        matches: &[
            "@prisma/client did not initialize yet",
            "Query engine library for current platform",
            "libssl",
        ],
        answers: &[
            r#"text="@prisma/client did not initialize yet""#,
            r#"text="could not locate the Query Engine""#,
            r#"text="Query engine library for current platform""#,
            r#"text="Unable to require … libquery_engine""#,
            r#"text="Prisma failed to detect the libssl""#,
            r#"text="Cannot find module … prisma/client""#,
            r#"text="libssl.so""#,
            r#"text="PrismaClientRustPanicError""#,
        ],
    },
    RuleEntry {
        code: "EVO743",
        name: "redis-unreachable",
        severity: Warning,
        summary: "Redis does not answer, refuses the login or is full",
        why: "The cache that CACHE_REDIS_URI names cannot be used. Evolution continues without it, or stops, \
              depending on the release; with CACHE_REDIS_SAVE_INSTANCES the instances themselves live there, \
              and are not loaded without it.",
        next: "Check CACHE_REDIS_URI and that Redis runs, or switch it off: CACHE_REDIS_ENABLED=false and CACHE_LOCAL_ENABLED=true.",
        sqlstate: "",
        matches: &[
            "redis disconnected",
            "ECONNREFUSED …:6379",
            "NOAUTH Authentication required",
            "WRONGPASS",
        ],
        answers: &[
            "message=redis-unreachable",
            r#"text="redis disconnected""#,
            r#"text="NOAUTH Authentication required""#,
            r#"exact="WRONGPASS""#,
            r#"text="OOM command not allowed""#,
            r#"exact="MISCONF Redis""#,
            r#"text="MaxRetriesPerRequestError""#,
            r#"exact="READONLY You can't write""#,
        ],
    },
    RuleEntry {
        code: "EVO744",
        name: "api-key-refused",
        severity: Advice,
        summary: "the request has no key, or one of another instance",
        why: "401 Unauthorized: the header `apikey` is missing, or holds neither AUTHENTICATION_API_KEY of \
              the server nor the token of the instance in the URL. An unknown instance answers 404 in any \
              case, so the name is right.",
        next: "Send the header apikey, not Authorization, with the instance's token or the server's key.",
        sqlstate: "",
        matches: &["401 … Unauthorized"],
        answers: &[r#"http=401 text="Unauthorized""#],
    },
    RuleEntry {
        code: "EVO405",
        name: "client-name-without-instances",
        severity: Error,
        summary: "no instance has the server's client name, so it loads none",
        why: "A server loads only instances whose \"clientName\" is its DATABASE_CONNECTION_CLIENT_NAME. \
              The image's default is evolution_exchange, that of the code evolution, so a move from one to \
              the other, or a setting left out, hides all instances at once: the list is empty, and creating \
              one of the same name fails (P2002 on name). Nothing is lost.",
        next: "Set DATABASE_CONNECTION_CLIENT_NAME to what the rows have and restart the server; \
               evodoctor check --env-file .env compares the two.",
        sqlstate: "",
        matches: &["fetchInstances answers [] after an upgrade or a move", "DATABASE_CONNECTION_CLIENT_NAME"],
        answers: &[],
    },
    RuleEntry {
        code: "EVO745",
        name: "schema-of-connection-string",
        severity: Error,
        summary: "the connection string leads to a schema without instances, and another schema has them",
        why: "Without schema= in the connection string Prisma takes \"public\". Upstream's example changed \
              from schema=public (2.3.0) to schema=evolution_api (2.3.4), so a user who copies the newer one \
              starts in an empty schema, which migrate deploy fills with new tables. \
              The old rows are all still there, in the other schema.",
        next: "Put the full schema into DATABASE_CONNECTION_URI and restart the server; evodoctor check --env-file .env says which it is.",
        sqlstate: "",
        matches: &["all instances gone after copying the new .env", "schema=evolution_api"],
        answers: &[],
    },
    RuleEntry {
        code: "EVO746",
        name: "setting-not-read",
        severity: Warning,
        summary: "the server does not read a database setting, or two settings contradict each other",
        why: "Evolution reads DATABASE_CONNECTION_URI and not DATABASE_URL; DATABASE_BOUNCER_CONNECTION_URI \
              only with DATABASE_PROVIDER psql_bouncer; and with CACHE_REDIS_SAVE_INSTANCES sessions are in \
              Redis and not in the database.",
        next: "Set what the finding names, and restart the server.",
        sqlstate: "",
        matches: &["DATABASE_URL is set, and the server says DATABASE_CONNECTION_URI is not"],
        answers: &[],
    },
];
