//! Secrets in a dump, and in what of it cannot be restored.

use std::fs;

use super::{MARK, database, hides};
use crate::dumps::{Dumps, snapshot};
use crate::support::database::execute;

/// A dump with the same rows, and with everything else that the server refuses: roles with passwords, servers
/// elsewhere, rows that do not fit, statements that are cut off.
#[tokio::test]
async fn a_dump_shows_no_secret() {
    let (database, mut connection) = database().await;
    let text = format!("COMMENT ON TABLE evolution_api.\"Proxy\" IS 'sk-proj-{MARK}-in-a-comment-0001'");
    execute(&mut connection, &text).await;
    let dumps = Dumps::new();
    let plain = fs::read_to_string(dumps.dump(&database, "plain.sql", &[])).expect("text");
    let key = format!("sk-proj-{MARK}-0123456789abcdef");
    let refused = format!(
        "CREATE ROLE evolution LOGIN PASSWORD '{key}';
ALTER ROLE evolution PASSWORD 'md5{key}';
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{key}');
CREATE USER MAPPING FOR postgres SERVER elsewhere OPTIONS (user 'u', password '{key}');
CREATE SUBSCRIPTION elsewhere CONNECTION 'host=h user=u password={key}' PUBLICATION p;
\\connect postgresql://u:{key}@h/evolution
\\! echo {key}
INSERT INTO evolution_api.\"OpenaiCreds\" (id, name, \"apiKey\", \"updatedAt\", \"instanceId\") VALUES ('c1', 'd', '{key}', now(), 'i1');
INSERT INTO evolution_api.\"OpenaiCreds\" (id, name, \"apiKey\", \"updatedAt\") VALUES ('c7', 'd', '{key}', now());
INSERT INTO evolution_api.\"OpenaiCreds\" (id, \"apiKey\") VALUES ('c8', '{key}' '{key}');
INSERT INTO evolution_api.\"{key}\" VALUES ('{key}'::{MARK});
SELECT pg_catalog.set_config('{key}', '{key}', false);
COPY evolution_api.\"Setting\" (id, \"wavoipToken\", \"rejectCall\") FROM stdin;
s8\t{key}\t{key}
s9\t{key}
\\.
COPY evolution_api.\"Kafka\" (id, events) FROM stdin;
k1\t{{\"secret\": \"{key}\"
\\.
"
    );
    let end = "--\n-- PostgreSQL database dump complete";
    let dump = dumps.write("refused.sql", plain.replace(end, &format!("{refused}{end}")));
    // What else is in a page, formats have of a live database too.
    for format in ["human", "json", "html"] {
        let run = snapshot(&dump, &["check", "--format", format, "-vv"]);
        assert!(run.code == Some(1), "{format}: {}", run.stderr);
        hides(&run, &format!("check --format {format} of a dump"));
    }
    hides(&snapshot(&dump, &["fix", "-vv"]).ends(1), "fix of a dump without all of its rows");
    hides(&snapshot(&dumps.path("plain.sql"), &["fix", "-vv"]).ends(1), "fix of a dump");
    // Cut off in the middle of a row, and of a statement.
    let at = plain.find(&format!("openai-{MARK}")).expect("it is in the dump") + 20;
    hides(
        &snapshot(&dumps.write("cut.sql", &plain[..at]), &["check", "-vv"]).ends(2),
        "a dump that is cut off",
    );
    let cut = format!("{}INSERT INTO evolution_api.\"OpenaiCreds\" VALUES ('{key}", plain.replace(end, ""));
    hides(&snapshot(&dumps.write("open.sql", cut), &["check", "-vv"]).ends(2), "a statement without an end");
    let custom = fs::read(dumps.dump(&database, "custom", &["-Fc", "-Z0"])).expect("bytes");
    hides(&snapshot(&dumps.path("custom"), &["check", "-vv"]).ends(1), "a dump in the custom format");
    let spoiled: Vec<u8> = custom[..custom.len() * 6 / 10].to_vec();
    hides(&snapshot(&dumps.write("spoiled", spoiled), &["check", "-vv"]).ends(2), "a damaged dump");
}
