//! The steps of a migration, as far as its statements can be read.

use std::sync::LazyLock;

use evodoctor::database::statement_splitter::StatementSplitter;
use regex::{Captures, Regex};

use super::catalog::{Catalog, quoted};

/// A name, with or without its schema.
const NAME: &str = r#"(?:"public"\.)?"([^"]+)""#;

type Step = fn(&Captures<'_>, &Catalog) -> Option<String>;

/// A statement, or an action of ALTER TABLE behind its table, and the step that it is.
static FORMS: LazyLock<Vec<(Regex, Step)>> = LazyLock::new(|| {
    let forms: [(&str, Step); 18] = [
        ("CREATE TABLE NAME", |found, _| Some(step("create_table", &found[1], &[]))),
        ("DROP TABLE NAME$", |found, _| Some(step("drop_table", &found[1], &[]))),
        ("CREATE (?:UNIQUE )?INDEX NAME ON NAME", |found, _| {
            Some(step("create_index", &found[1], &[("on", &found[2])]))
        }),
        ("DROP INDEX NAME$", |found, catalog| {
            let mut tables = catalog.tables.iter();
            let (table, _) = tables.find(|(_, table)| table.indexes.contains_key(&found[1]))?;
            Some(step("drop_index", &found[1], &[("on", table)]))
        }),
        ("CREATE TYPE NAME AS ENUM", |found, _| Some(step("create_enum", &found[1], &[]))),
        ("DROP TYPE NAME$", |found, _| Some(step("drop_enum", &found[1], &[]))),
        ("ALTER TYPE NAME ADD VALUE '([^']+)'", |found, _| {
            Some(step("add_value", &format!("{}.{}", &found[1], &found[2]), &[]))
        }),
        ("DELETE FROM NAME", |found, _| Some(step("delete_rows", &found[1], &[]))),
        ("UPDATE NAME", |found, _| Some(step("update_rows", &found[1], &[]))),
        ("COMMIT$", |_, _| Some("{\"commit\": true}".to_owned())),
        ("ALTER TABLE NAME ADD CONSTRAINT NAME FOREIGN KEY .* REFERENCES NAME", |found, _| {
            Some(step("add_key", &found[2], &[("on", &found[1]), ("references", &found[3])]))
        }),
        ("ALTER TABLE NAME DROP CONSTRAINT NAME$", |found, catalog| {
            let (_, parent) = catalog.tables.get(&found[1])?.foreign_keys.get(&found[2])?;
            Some(step("drop_key", &found[2], &[("on", &found[1]), ("references", parent)]))
        }),
        ("ALTER TABLE NAME ADD (?:COLUMN )?NAME", |found, _| Some(step("add_column", &path(found), &[]))),
        ("ALTER TABLE NAME DROP (?:COLUMN )?NAME$", |found, _| Some(step("drop_column", &path(found), &[]))),
        ("ALTER TABLE NAME ALTER (?:COLUMN )?NAME (?:SET DATA )?TYPE ", |found, _| {
            Some(step("change_type", &path(found), &[]))
        }),
        ("ALTER TABLE NAME ALTER (?:COLUMN )?NAME DROP NOT NULL$", |found, _| {
            Some(step("drop_not_null", &path(found), &[]))
        }),
        // They cannot fail, and remove nothing: a step of none.
        ("ALTER TABLE NAME ALTER (?:COLUMN )?NAME (?:SET|DROP) DEFAULT", |_, _| Some(String::new())),
        ("COMMENT ON ", |_, _| Some(String::new())),
    ];
    let compiled = forms.into_iter().map(|(form, step)| {
        let pattern = format!("(?i)^{}", form.replace("NAME", NAME));
        (Regex::new(&pattern).expect("a pattern"), step)
    });
    compiled.collect()
});

/// The first path in a form of two names: `Table.column`.
fn path(found: &Captures<'_>) -> String {
    format!("{}.{}", &found[1], &found[2])
}

fn step(kind: &str, name: &str, more: &[(&str, &str)]) -> String {
    let more: String =
        more.iter().map(|(key, text)| format!(", {}: {}", quoted(key), quoted(text))).collect();
    format!("{{{}: {}{more}}}", quoted(kind), quoted(name))
}

/// The steps of a migration in their order, and what a person has to read.
pub fn steps(sql: &str, before: &Catalog) -> (Vec<String>, Vec<String>) {
    let (mut steps, mut unread) = (Vec::new(), Vec::new());
    for statement in statements(sql) {
        for action in actions(&statement) {
            let forms =
                FORMS.iter().filter_map(|(form, step)| form.captures(&action).map(|found| (found, step)));
            match forms.into_iter().next().and_then(|(found, step)| step(&found, before)) {
                None => unread.push(format!("no step stands for this statement: {action}")),
                Some(step) if step.is_empty() => {}
                Some(step) => {
                    if step.starts_with("{\"delete_rows\"") || step.starts_with("{\"update_rows\"") {
                        unread.push(format!(
                            "it changes rows; is this a hazard, and what does it set? {action}"
                        ));
                    }
                    steps.push(step);
                }
            }
        }
    }
    (steps, unread)
}

/// Adds a migration behind all others of `migrations.json`.
pub fn append(file: &str, name: &str, steps: &[String]) -> String {
    let all = file.trim_end().strip_suffix("\n]").expect("a list");
    let steps = match steps {
        [] => String::new(),
        steps => format!("\n    {}\n  ", steps.join(",\n    ")),
    };
    format!("{all},\n  {{\"name\": {}, \"steps\": [{steps}]}}\n]\n", quoted(name))
}

/// Each statement in one line, without comments.
fn statements(sql: &str) -> Vec<String> {
    let comments = Regex::new(r"(?m)^\s*--.*$").expect("a pattern");
    let sql = comments.replace_all(sql, "");
    let mut splitter = StatementSplitter::default();
    let mut statements = Vec::new();
    for line in sql.lines() {
        statements.extend(splitter.push_line(format!("{line}\n").as_bytes()));
    }
    statements.extend(splitter.finish());
    let texts = statements.into_iter().map(|statement| String::from_utf8_lossy(&statement.text).into_owned());
    texts
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|text| !text.is_empty())
        .collect()
}

/// ALTER TABLE with several actions as one statement for each.
fn actions(statement: &str) -> Vec<String> {
    let alter = Regex::new(&format!("(?i)^ALTER TABLE (?:ONLY )?{NAME} ")).expect("a pattern");
    let Some(head) = alter.find(statement) else { return vec![statement.to_owned()] };
    let (mut parts, mut depth, mut quote, mut start) = (Vec::new(), 0, None, head.end());
    for (at, c) in statement.char_indices().skip_while(|(at, _)| *at < head.end()) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(&statement[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&statement[start..]);
    parts.into_iter().map(|part| format!("{}{}", head.as_str(), part.trim())).collect()
}

#[test]
fn statements_of_upstream_are_steps() {
    let sql = r#"-- AlterTable
        ALTER TABLE "Setting" ADD COLUMN     "a" TEXT DEFAULT 'x, y', DROP COLUMN "b",
        ALTER COLUMN "c" SET DATA TYPE VARCHAR(10), ALTER COLUMN "d" DROP NOT NULL, ALTER COLUMN "e" SET DEFAULT 1;
        -- CreateIndex
        CREATE UNIQUE INDEX "I" ON "T"("a", "b");
        ALTER TABLE "T" ADD CONSTRAINT "K" FOREIGN KEY ("a") REFERENCES "P"("id") ON DELETE CASCADE;
        ALTER TYPE "E" ADD VALUE 'v';
        DELETE FROM "Chat" WHERE true;
        DO $$ BEGIN PERFORM 1; END $$;"#;
    let (steps, unread) = steps(sql, &Catalog::default());
    assert_eq!(
        steps,
        [
            r#"{"add_column": "Setting.a"}"#,
            r#"{"drop_column": "Setting.b"}"#,
            r#"{"change_type": "Setting.c"}"#,
            r#"{"drop_not_null": "Setting.d"}"#,
            r#"{"create_index": "I", "on": "T"}"#,
            r#"{"add_key": "K", "on": "T", "references": "P"}"#,
            r#"{"add_value": "E.v"}"#,
            r#"{"delete_rows": "Chat"}"#,
        ]
    );
    assert_eq!(unread.len(), 2, "{unread:?}");
    assert!(unread[0].contains("changes rows") && unread[1].contains("DO $$"), "{unread:?}");
}

/// What is read of the fixtures' migrations is what the facts say of them, but for what a person has added.
#[tokio::test]
async fn the_steps_of_known_migrations_are_read() {
    let text = std::fs::read_to_string(super::facts_folder().join("migrations.json")).expect("the facts");
    let facts: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/migrations");
    let mut same = 0;
    for file in super::migration_files(&folder) {
        let (steps, _) = steps(&file.sql, &Catalog::default());
        let steps: Vec<serde_json::Value> =
            steps.iter().map(|step| serde_json::from_str(step).expect("JSON")).collect();
        let fact = facts.iter().find(|fact| fact["name"] == file.name.as_str()).expect("a known migration");
        same += usize::from(fact["steps"].as_array() == Some(&steps));
    }
    assert!(same > 30, "{same} are read as they are kept");
}
