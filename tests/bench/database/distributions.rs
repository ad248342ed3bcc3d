//! Distributions that checks are measured on, and what a person would type to answer the question of each check: as many
//! figures as the finding tells, and no example.

use evodoctor::checks::references::Reference;

use super::peers::{self, Peer};

/// A distribution of rows.
#[derive(Debug)]
pub struct Distribution {
    /// As the user names it.
    pub name: &'static str,
    /// Over how many instances the rows are spread.
    pub instances: u64,
    /// True if all rows are wrong.
    pub is_broken: bool,
    /// True if the server knows what is in the tables.
    pub is_analysed: bool,
}

const fn distribution(
    name: &'static str,
    instances: u64,
    is_broken: bool,
    is_analysed: bool,
) -> Distribution {
    Distribution { name, instances, is_broken, is_analysed }
}

/// Those that are measured.
pub const ALL: [Distribution; 5] = [
    distribution("healthy", 500, false, true),
    distribution("broken", 500, true, true),
    distribution("one-instance", 1, false, true),
    distribution("many-instances", 10_000, false, true),
    distribution("never-analysed", 500, true, false),
];

const KNOWN_TYPES: &str = "('typebot', 'openai', 'dify', 'evolution', 'flowise', 'n8n', 'evoai')";

/// The questions: a check's code, and the ways to its answer.
pub fn questions(keys: &[Reference]) -> Vec<(&'static str, Vec<Peer>)> {
    let every = |sql: fn(&Reference) -> String| keys.iter().map(sql).collect();
    let one = |way, statements: &[String]| vec![(way, statements.to_vec())];
    vec![
        (
            "EVO101",
            vec![
                ("NOT EXISTS", every(peers::not_exists)),
                ("LEFT JOIN", every(peers::left_join)),
                ("GROUP BY", every(peers::group_by)),
            ],
        ),
        ("EVO102", vec![("NOT EXISTS", unconstrained(true)), ("LEFT JOIN", unconstrained(false))]),
        (
            "EVO103",
            one(
                "GROUP BY",
                &[("Chat", "remoteJid"), ("Contact", "remoteJid"), ("Label", "labelId")].map(|(table, column)| {
                    at(&format!(
                        "SELECT sum(n), count(*) FROM (SELECT count(*) AS n FROM @\"{table}\" GROUP BY \"instanceId\", \"{column}\" \
                         HAVING count(*) > 1) AS twice"
                    ))
                }),
            ),
        ),
        (
            "EVO104",
            one(
                "GROUP BY",
                &[at(r#"SELECT jsonb_typeof("labels"), count(*) FROM @"Chat" WHERE jsonb_typeof("labels") <> 'array' GROUP BY 1"#)],
            ),
        ),
        (
            "EVO106",
            one(
                "GROUP BY",
                &["OpenaiBot", "OpenaiSetting"].map(|table| {
                    at(&format!(
                        r#"SELECT c."instanceId", count(*) FROM @"{table}" AS h JOIN @"OpenaiCreds" AS c ON c."id" = h."openaiCredsId"
                        WHERE c."instanceId" <> h."instanceId" GROUP BY 1"#
                    ))
                }),
            ),
        ),
        ("EVO107", vec![("NOT EXISTS", blocking(true)), ("LEFT JOIN", blocking(false))]),
        (
            "EVO108",
            one(
                "GROUP BY",
                &[at(r#"SELECT "status" IN ('0', '1', '2', '3', '4', '5'), count(*) FROM @"Message" WHERE "status" ~ '^-?[0-9]+$' GROUP BY 1"#)],
            ),
        ),
        (
            "EVO110",
            one(
                "NOT EXISTS",
                &[at(r#"SELECT count(*) FROM @"OpenaiCreds" AS c WHERE NOT EXISTS (SELECT FROM @"OpenaiBot" AS b WHERE b."openaiCredsId" = c."id")
                    AND NOT EXISTS (SELECT FROM @"OpenaiSetting" AS s WHERE s."openaiCredsId" = c."id")"#)],
            ),
        ),
        (
            "EVO404",
            one(
                "NOT EXISTS",
                &[at(r#"SELECT count(*) FROM @"Instance" AS i WHERE i."connectionStatus" = 'open'
                    AND NOT EXISTS (SELECT FROM @"Session" AS s WHERE s."sessionId" = i."id" AND length(s."creds") > 0)"#)],
            ),
        ),
    ]
}

/// Names of tables are in Evolution's schema.
fn at(sql: &str) -> String {
    sql.replace('@', "\"evolution_api\".")
}

/// EVO102's three questions.
fn unconstrained(is_anti_join: bool) -> Vec<String> {
    let labels = r#"FROM @"Chat" AS c CROSS JOIN LATERAL jsonb_array_elements(
        CASE WHEN jsonb_typeof(c."labels") = 'array' THEN c."labels" ELSE '[]' END) AS e (value)"#;
    let sql = if is_anti_join {
        [
            format!(
                r#"SELECT count(DISTINCT c."id") {labels} WHERE NOT EXISTS
                (SELECT FROM @"Label" AS l WHERE l."instanceId" = c."instanceId" AND l."labelId" = e.value #>> '{{}}')"#
            ),
            r#"SELECT count(*) FROM @"MessageUpdate" AS u WHERE NOT EXISTS
                (SELECT FROM @"Message" AS m WHERE m."key" ->> 'id' = u."keyId" AND m."instanceId" = u."instanceId")"#
                .to_owned(),
            format!(
                r#"SELECT count(*) FROM @"IntegrationSession" AS s WHERE s."type" IN {KNOWN_TYPES} AND s."botId" IS NOT NULL
                AND NOT EXISTS (SELECT FROM @"OpenaiBot" AS b WHERE b."id" = s."botId")"#
            ),
        ]
    } else {
        [
            format!(
                r#"SELECT count(DISTINCT c."id") {labels} LEFT JOIN @"Label" AS l
                ON l."instanceId" = c."instanceId" AND l."labelId" = e.value #>> '{{}}' WHERE l."id" IS NULL"#
            ),
            r#"SELECT count(*) FROM @"MessageUpdate" AS u LEFT JOIN @"Message" AS m
                ON m."key" ->> 'id' = u."keyId" AND m."instanceId" = u."instanceId" WHERE m."id" IS NULL"#
                .to_owned(),
            format!(
                r#"SELECT count(*) FROM @"IntegrationSession" AS s LEFT JOIN @"OpenaiBot" AS b ON b."id" = s."botId"
                WHERE s."type" IN {KNOWN_TYPES} AND s."botId" IS NOT NULL AND b."id" IS NULL"#
            ),
        ]
    };
    sql.iter().map(|sql| at(sql)).collect()
}

/// EVO107's question.
fn blocking(is_anti_join: bool) -> Vec<String> {
    let sql = if is_anti_join {
        format!(
            r#"SELECT s."botId" IS NULL, count(*) FROM @"IntegrationSession" AS s WHERE s."status" <> 'closed' AND (s."botId" IS NULL
            OR s."type" IN {KNOWN_TYPES} AND NOT EXISTS (SELECT FROM @"OpenaiBot" AS b WHERE b."id" = s."botId")) GROUP BY 1"#
        )
    } else {
        format!(
            r#"SELECT s."botId" IS NULL, count(*) FROM @"IntegrationSession" AS s LEFT JOIN @"OpenaiBot" AS b ON b."id" = s."botId"
            WHERE s."status" <> 'closed' AND b."id" IS NULL AND (s."botId" IS NULL OR s."type" IN {KNOWN_TYPES}) GROUP BY 1"#
        )
    };
    vec![at(&sql)]
}
