//! The facts as variables of a check's query. Each is made only for a query that uses it.
//!
//! | variable | what it is |
//! |---|---|
//! | `:objects` | a query: the objects of the database (`sql/catalog/objects.sql`) |
//! | `:'expected'` | jsonb: the objects of the release found (of its range the upper end) in the same form |
//! | `:'migrations'` | jsonb: upstream's migrations, their contents, and what each release's brought |
//! | `:'schemas'` | jsonb: every release with its migrations, every object with the releases that have it |
//! | `:history` | `_prisma_migrations`, or in a database without it an empty table of that form |
//! | `:'release_from'`, `:'release_to'` | the range of the release found |
//!
//! Where the release is not known, or is newer than the facts, what depends on it cannot be said: the check is
//! undecided.

use std::sync::LazyLock;

use anyhow::Result;

use crate::database::catalog::Catalog;
use crate::database::objects;
use crate::database::quote::Fragment;
use crate::database::script::{Script, Variables, file, render, uses};
use crate::evolution::release::{Release, ReleaseRange};

/// What stands in for Prisma's table where it is missing.
const NO_HISTORY: &str = "(SELECT NULL::text AS \"id\", NULL::text AS \"migration_name\", NULL::text AS \"checksum\", \
     NULL::text AS \"logs\", NULL::timestamptz AS \"started_at\", NULL::timestamptz AS \"finished_at\", \
     NULL::timestamptz AS \"rolled_back_at\", NULL::integer AS \"applied_steps_count\" WHERE false)";

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
    static SCHEMAS: LazyLock<String> = LazyLock::new(|| objects::schemas().to_string());
    let schema = &catalog.schema;
    let mut variables = Variables::for_schema(schema);
    if ["expected", "release_from", "release_to"].iter().any(|name| uses(query, name)) {
        let (from, to) = match known(range) {
            Ok(bounds) => bounds,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        variables = variables.text("release_from", from.version()).text("release_to", to.version());
        if uses(query, "expected") {
            variables = variables.text("expected", objects::expected(schema, to).to_string());
        }
    }
    if uses(query, "migrations") {
        variables = variables.text("migrations", MIGRATIONS.as_str());
    }
    if uses(query, "schemas") {
        variables = variables.text("schemas", SCHEMAS.as_str());
    }
    if uses(query, "objects") {
        let text = render(Script::parse(file("sql/catalog/objects.sql")).single()?, &variables)?;
        variables = variables.sql("objects", Fragment::keyword(text));
    }
    if uses(query, "history") {
        let history = if catalog.tables.contains_key("_prisma_migrations") {
            Fragment::qualified(schema, "_prisma_migrations")
        } else {
            Fragment::keyword(NO_HISTORY.to_owned())
        };
        variables = variables.sql("history", history);
    }
    Ok(Ok(variables))
}

fn known(range: Option<ReleaseRange>) -> Result<(Release, Release), String> {
    let range = range.ok_or("the migration history does not tell the release")?;
    let to = range.to.ok_or("the database is of a newer release than this evodoctor knows")?;
    Ok((range.from, to))
}
