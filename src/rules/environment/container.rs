//! Rules about a container: why it was ended or never started.

use super::RuleEntry;
use crate::rules::rule::Severity::{Error, Warning};

pub(super) const RULES: &[RuleEntry] = &[
    RuleEntry {
        code: "EVO755",
        name: "process-killed",
        severity: Error,
        summary: "the process was killed, mostly because the memory was full",
        why: "137 is signal 9. The kernel or Docker kills what takes more memory than the machine or the \
              container's limit has; docker inspect says \"OOMKilled\": true then. \"heap out of memory\" is \
              the same, seen by Node.js. Otherwise the container was stopped and did not end within ten \
              seconds. Postgres restarts by itself and loses nothing that was committed; \
              a running migration is rolled back as a whole.",
        next: "Look at docker inspect NAME --format '{{.State.OOMKilled}}' and at docker stats; \
               give the container more memory, or start fewer instances at once. After a killed start of \
               Evolution run evodoctor check: it reports a migration that failed half-way.",
        sqlstate: "",
        matches: &["exited with code 137", "OOMKilled", "JavaScript heap out of memory"],
        answers: &[
            r#"text="exited with code 137""#,
            r#"text="exit code 137""#,
            r#"text="exit code: 137""#,
            r#"text="exit status 137""#,
            r#"text="exited 137""#,
            r#"text="OOMKilled""#,
            r#"text="heap out of memory""#,
            r#"text="Out of memory: Killed process""#,
        ],
    },
    RuleEntry {
        code: "EVO756",
        name: "image-not-found",
        severity: Warning,
        summary: "the image that the compose file names does not exist",
        why: "Images of Evolution API from 2.3 on are evoapicloud/evolution-api; atendai/evolution-api ends \
              with 2.2.3. Tags begin with v (v2.3.7). On another kind of processor an image may be \
              missing too.",
        next: "Write image: evoapicloud/evolution-api:v2.3.7, or another tag that exists; \
               then run evodoctor preflight before the new release starts.",
        sqlstate: "",
        matches: &["manifest for … evolution-api … not found", "manifest unknown"],
        answers: &[
            r#"text="manifest for … not found""#,
            r#"exact="manifest unknown""#,
            r#"text="pull access denied for … evolution""#,
            r#"text="no matching manifest for""#,
        ],
    },
];
