//! The facts as variables of a check's query. Each is made only for a query that uses it.
//!
//! | variable | what it is |
//! |---|---|
//! | `:objects` | a query: the objects of the database (`sql/catalog/objects.sql`) |
//! | `:'expected'` | jsonb: the objects of the release found (of its range the upper end) in the same form |
//! | `:'migrations'` | jsonb: upstream's migrations and their contents |
//! | `:'effects'` | jsonb: what came with each release |
//! | `:'brought'` | jsonb: the release of each migration, and what came with each release |
//! | `:'schemas'` | jsonb: every release with its migrations, every object with the releases that have it |
//! | `:history` | `_prisma_migrations`, or in a database without it an empty table of that form |
//! | `:superseded` | a query: applied fixes that upstream has overtaken (`sql/ledger/superseded.sql`) |
//! | `:trusted`, `:code` | queries: the trusted roles, and code of others at Evolution's tables (`sql/catalog/code.sql`) |
//! | `:unfinished` | a query: what runs of `fix --online` have left to do (`sql/ledger/unfinished.sql`) |
//! | `:'release_from'`, `:'release_to'` | the range of the release found |
//!
//! Where the release is not known, or is newer than the facts, what depends on it cannot be said: the check is
//! undecided.

use std::sync::LazyLock;

use anyhow::Result;
use serde_json::{Value, json};

use crate::database::catalog::{Catalog, Ledger};
use crate::database::objects;
use crate::database::quote::Fragment;
use crate::database::script::{FILES, Script, Variables, file, filled, render, variables_of};
use crate::database::trust;
use crate::evolution::release::{Release, ReleaseRange};

/// What stands in for Prisma's table where it is missing.
const NO_HISTORY: &str = "(SELECT NULL::text AS \"id\", NULL::text AS \"migration_name\", NULL::text AS \"checksum\", \
     NULL::text AS \"logs\", NULL::timestamptz AS \"started_at\", NULL::timestamptz AS \"finished_at\", \
     NULL::timestamptz AS \"rolled_back_at\", NULL::integer AS \"applied_steps_count\" WHERE false)";

/// What stands in for the applied fixes where there is no ledger.
const NO_LEDGER: &str = "SELECT NULL::bigint AS run, NULL::integer AS position, NULL::text AS code, \
     NULL::timestamptz AS applied_at, NULL::text AS release_from, NULL::text AS release_to, \
     NULL::text[] AS migrations WHERE false";

/// What stands in for what they have left to do.
const NO_RUNS: &str = "SELECT NULL::bigint AS run, NULL::timestamptz AS applied_at, NULL::text AS applied_by, NULL::text AS code, \
     NULL::bigint AS position, NULL::text AS statement WHERE false";

const HIDDEN: &str = "this role may not read evodoctor's ledger; GRANT USAGE ON SCHEMA \"evodoctor\", and SELECT ON ALL TABLES \
     IN it, to it, or leave this check out (--ignore)";

fn distrusted(why: &str) -> String {
    format!(
        "the ledger in the schema \"evodoctor\" is not trusted, and was not read: {why}; drop the schema, or give it and its \
         tables to the owner of Evolution's tables"
    )
}

/// The variables that `query` uses, or why they cannot be made.
///
/// # Errors
/// When a file of this program is broken.
pub fn variables(
    query: &str,
    catalog: &Catalog,
    range: Option<ReleaseRange>,
) -> Result<Result<Variables, String>> {
    static MIGRATIONS: LazyLock<String> = LazyLock::new(|| objects::migrations().to_string());
    static EFFECTS: LazyLock<String> = LazyLock::new(|| objects::effects().to_string());
    static BROUGHT: LazyLock<String> = LazyLock::new(|| objects::brought().to_string());
    static SCHEMAS: LazyLock<String> = LazyLock::new(|| objects::schemas().to_string());
    let schema = &catalog.schema;
    let used = variables_of(query);
    let mut variables = Variables::for_schema(schema);
    if ["expected", "release_from", "release_to"].iter().any(|name| used.contains(name)) {
        let (from, to) = match known(range) {
            Ok(bounds) => bounds,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        variables = variables.text("release_from", from.version()).text("release_to", to.version());
        if used.contains("expected") {
            variables = variables.text("expected", objects::expected(schema, to).to_string());
        }
    }
    if used.contains("migrations") {
        variables = variables.text("migrations", MIGRATIONS.as_str());
    }
    if used.contains("effects") {
        variables = variables.text("effects", EFFECTS.as_str());
    }
    if used.contains("brought") {
        variables = variables.text("brought", BROUGHT.as_str());
    }
    if used.contains("schemas") {
        variables = variables.text("schemas", SCHEMAS.as_str());
    }
    if used.contains("objects") {
        let text = render(Script::parse(file("sql/catalog/objects.sql")).single()?, &variables)?;
        variables = variables.sql("objects", Fragment::keyword(text));
    }
    if used.contains("history") {
        if let Some(reason) = catalog.closed.get("_prisma_migrations") {
            return Ok(Err(reason.clone()));
        }
        variables = variables.sql("history", history(catalog));
    }
    if used.contains("superseded") {
        let found = match superseded(catalog)? {
            Ok(query) => query,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        variables = variables.sql("superseded", Fragment::keyword(found));
    }
    if used.contains("code") {
        let trust = trust::variables(schema)?;
        let roles = filled("sql/catalog/trusted_roles.sql", &variables)?;
        let text = filled("sql/catalog/code.sql", &trust)?;
        variables = variables.sql("trusted", Fragment::keyword(roles)).sql("code", Fragment::keyword(text));
    }
    if used.contains("unfinished") {
        let found = match &catalog.ledger {
            Ledger::Absent => NO_RUNS.to_owned(),
            Ledger::Hidden => return Ok(Err(HIDDEN.to_owned())),
            Ledger::Distrusted(why) => return Ok(Err(distrusted(why))),
            Ledger::Readable => {
                render(Script::parse(file("sql/ledger/unfinished.sql")).single()?, &variables)?
            }
        };
        variables = variables.sql("unfinished", Fragment::keyword(found));
    }
    Ok(Ok(variables))
}

/// `:history`.
pub fn history(catalog: &Catalog) -> Fragment {
    if catalog.tables.contains_key("_prisma_migrations") {
        Fragment::qualified(&catalog.schema, "_prisma_migrations")
    } else {
        Fragment::keyword(NO_HISTORY.to_owned())
    }
}

/// A query for the applied fixes that upstream has overtaken, or why they cannot be known.
///
/// # Errors
/// When a file of this program is broken.
pub fn superseded(catalog: &Catalog) -> Result<Result<String, String>> {
    match &catalog.ledger {
        Ledger::Absent => Ok(Ok(NO_LEDGER.to_owned())),
        Ledger::Hidden => Ok(Err(HIDDEN.to_owned())),
        Ledger::Distrusted(why) => Ok(Err(distrusted(why))),
        Ledger::Readable => {
            if let Some(reason) = catalog.closed.get("_prisma_migrations") {
                return Ok(Err(reason.clone()));
            }
            let variables = Variables::for_schema(&catalog.schema)
                .sql("history", history(catalog))
                .text("upstream", UPSTREAM.to_string());
            render(Script::parse(file("sql/ledger/superseded.sql")).single()?, &variables).map(Ok)
        }
    }
}

/// By code the numbers of upstream's migrations that touch what a fix touches: what the fixes' headers say in `upstream`.
static UPSTREAM: LazyLock<Value> = LazyLock::new(|| {
    let of_file = |text: &&'static str| {
        let script = Script::parse(text);
        let numbers: Vec<&str> = script.get("upstream")?.split_whitespace().collect();
        Some((script.get("code")?.to_owned(), json!(numbers)))
    };
    let files = FILES.iter().filter(|(path, _)| path.starts_with("sql/fixes/")).map(|(_, text)| text);
    files.filter_map(of_file).collect()
});

/// The bounds of the release found, or why they are not known.
///
/// # Errors
/// The reason, for a person.
pub fn known(range: Option<ReleaseRange>) -> Result<(Release, Release), String> {
    let range = range.ok_or("the migration history does not tell the release")?;
    let to = range.to.ok_or("the database is of a newer release than this evodoctor knows")?;
    Ok((range.from, to))
}
