//! Access to the database by others, as far as the server shows it.

use super::RuleEntry;
use crate::rules::finding::Finding;
use crate::rules::rule::Severity::Advice;

pub(super) const RULES: &[RuleEntry] = &[
    RuleEntry {
        code: "EVO747",
        name: "superuser-as-evolution-role",
        severity: Advice,
        summary: "Evolution connects as a superuser",
        why: "Evolution needs no more than to own its tables. As a superuser, anyone who reads its .env, \
              or breaks into the server, reads and writes every database of this Postgres, and files and \
              programs of the machine (COPY ... PROGRAM). The role that the postgres image makes of \
              POSTGRES_USER is one.",
        next: "CREATE ROLE \"evolution\" LOGIN PASSWORD '...'; ALTER DATABASE \"NAME\" OWNER TO \
               \"evolution\"; then give it the schema and what is in it (ALTER SCHEMA, and ALTER TABLE and \
               ALTER TYPE for each, ... OWNER TO \"evolution\"), and put it into DATABASE_CONNECTION_URI.",
        sqlstate: "",
        matches: &["Evolution connects as postgres"],
        answers: &[],
    },
    RuleEntry {
        code: "EVO748",
        name: "trust-from-other-machines",
        severity: Advice,
        summary: "the server accepts clients from other machines without a password",
        why: "A line of pg_hba.conf with the method trust requires no password. For connections from the \
              same machine that may be intended; for other addresses it opens every database to anyone who \
              reaches the port, and open databases are the ones that get wiped (EVO751). \
              POSTGRES_HOST_AUTH_METHOD=trust writes such a line.",
        next: "Put scram-sha-256 in place of trust, give every role a password, and SELECT pg_reload_conf(). \
               Publish the port only where it is needed.",
        sqlstate: "",
        matches: &["POSTGRES_HOST_AUTH_METHOD=trust"],
        answers: &[],
    },
];

/// Most lines that are shown.
const MOST_SHOWN: usize = 5;

/// The finding that Evolution's role is a superuser.
pub fn superuser(role: &str) -> Finding {
    let detail = format!(
        "DATABASE_CONNECTION_URI names \"{role}\", a superuser: anyone who obtains it controls every \
         database of this server, and its files"
    );
    finding("EVO747", "DATABASE_CONNECTION_URI", detail, 1)
}

/// The finding that clients from other machines need no password, with the number and text of each line.
pub fn trust(lines: &[(i32, String)]) -> Option<Finding> {
    if lines.is_empty() {
        return None;
    }
    let mut shown: Vec<String> =
        lines.iter().take(MOST_SHOWN).map(|(number, text)| format!("line {number} ({text})")).collect();
    if lines.len() > MOST_SHOWN {
        shown.push(format!("and {} more", lines.len() - MOST_SHOWN));
    }
    let detail = format!("clients from other machines are accepted without a password: {}", shown.join(", "));
    Some(finding("EVO748", "pg_hba.conf", detail, i64::try_from(lines.len()).unwrap_or(i64::MAX)))
}

fn finding(code: &str, subject: &str, detail: String, count: i64) -> Finding {
    let mut finding = Finding::new(super::rule(code), subject, detail);
    finding.key = subject.to_owned();
    finding.count = count;
    finding
}
