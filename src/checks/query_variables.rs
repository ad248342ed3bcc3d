//! The facts as variables of a check's query. Each is made only for a query that uses it. SQL that is the same for every
//! database is in the query already (`shared_sql`).
//!
//! | variable | what it is |
//! |---|---|
//! | `:'expected'` | jsonb: the objects of the release found (of its range the upper end) in the same form |
//! | `:'migrations'` | jsonb: upstream's migrations and their contents |
//! | `:'effects'` | jsonb: what came with each release |
//! | `:'brought'` | jsonb: the release of each migration, and what came with each release |
//! | `:'schemas'` | jsonb: every release with its migrations, every object with the releases that have it |
//! | `:'unique_keys'` | jsonb: the columns that any release keeps unique, by table |
//! | `:history` | `_prisma_migrations`, or in a database without it an empty table of that form |
//! | `:superseded` | a query: applied fixes that upstream has overtaken (`sql/ledger/superseded.sql`) |
//! | `:trusted`, `:code` | queries: the trusted roles, and code of others at Evolution's tables (`sql/catalog/untrusted_code.sql`) |
//! | `:unfinished` | a query: what runs of `fix --online` have left to do (`sql/ledger/unfinished.sql`) |
//! | `:'release_from'`, `:'release_to'` | the range of the release found |
//!
//! Where the release is not known, or is newer than the facts, what depends on it cannot be said: the check is
//! undecided.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::check_error::{CheckError, CheckResult};
use crate::database::catalog::{Catalog, LedgerState};
use crate::database::expected_objects;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{FILES, SqlFile, Variables, render_file, variables_of};
use crate::database::{release_facts, trusted_roles};
use crate::evolution::release::{Release, ReleaseRange};

/// Takes the place of Prisma's table if it is missing.
const NO_HISTORY: &str = "(SELECT NULL::text AS \"id\", NULL::text AS \"migration_name\", NULL::text AS \"checksum\", \
     NULL::text AS \"logs\", NULL::timestamptz AS \"started_at\", NULL::timestamptz AS \"finished_at\", \
     NULL::timestamptz AS \"rolled_back_at\", NULL::integer AS \"applied_steps_count\" WHERE false)";

/// Takes the place of the applied fixes if there is no ledger.
const NO_LEDGER: &str = "SELECT NULL::bigint AS run, NULL::integer AS position, NULL::text AS code, \
     NULL::timestamptz AS applied_at, NULL::text AS release_from, NULL::text AS release_to, \
     NULL::text[] AS migrations WHERE false";

/// Takes the place of unfinished runs if there is no ledger.
const NO_RUNS: &str = "SELECT NULL::bigint AS run, NULL::timestamptz AS applied_at, NULL::text AS applied_by, NULL::text AS code, \
     NULL::bigint AS position, NULL::text AS statement WHERE false";

const HIDDEN: &str = "this role may not read evodoctor's ledger";

/// The same, with what to type so that the applied fixes are known.
fn hidden(role: &str) -> String {
    let role = SqlFragment::ident(role);
    format!(
        "{HIDDEN}; GRANT USAGE ON SCHEMA \"evodoctor\" TO {role}; GRANT SELECT ON ALL TABLES \
         IN SCHEMA \"evodoctor\" TO {role}: or leave this check out (--ignore)"
    )
}

fn distrusted(why: &str) -> String {
    format!(
        "the ledger in the schema \"evodoctor\" is not trusted, and was not read: {why}; drop the schema, or give it and its \
         tables to the owner of Evolution's tables"
    )
}

/// The variables that `query` uses.
///
/// # Errors
/// Undecided where they cannot be made, such as without a release; the reason is for a person.
pub fn query_variables(
    query: &str,
    catalog: &Catalog,
    range: Option<ReleaseRange>,
    role: &str,
) -> CheckResult<Variables> {
    static MIGRATIONS: LazyLock<String> = LazyLock::new(|| release_facts::migrations().to_string());
    static EFFECTS: LazyLock<String> = LazyLock::new(|| release_facts::effects().to_string());
    static BROUGHT: LazyLock<String> = LazyLock::new(|| release_facts::brought().to_string());
    static SCHEMAS: LazyLock<String> = LazyLock::new(|| release_facts::schemas().to_string());
    static UNIQUE_KEYS: LazyLock<String> = LazyLock::new(|| release_facts::unique_keys().to_string());
    let schema = &catalog.schema;
    let used = variables_of(query);
    let mut variables = Variables::for_schema(schema);
    if ["expected", "release_from", "release_to"].iter().any(|name| used.contains(name)) {
        let (from, to) = release_bounds(range)?;
        variables = variables.text("release_from", from.version()).text("release_to", to.version());
        if used.contains("expected") {
            variables = variables.text("expected", expected_objects::expected(schema, to).text.as_str());
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
    if used.contains("unique_keys") {
        variables = variables.text("unique_keys", UNIQUE_KEYS.as_str());
    }
    if used.contains("history") {
        if let Some(reason) = catalog.closed.get("_prisma_migrations") {
            return Err(CheckError::Undecided(reason.clone()));
        }
        variables = variables.sql("history", history_fragment(catalog));
    }
    if used.contains("superseded") {
        if matches!(catalog.ledger, LedgerState::Hidden) {
            return Err(CheckError::Undecided(hidden(role)));
        }
        variables = variables.sql("superseded", SqlFragment::assert_safe(superseded_query(catalog)?));
    }
    if used.contains("code") {
        let trust = trusted_roles::trust_variables(schema)?;
        let roles = render_file("sql/catalog/trusted_roles.sql", &variables)?;
        let text = render_file("sql/catalog/untrusted_code.sql", &trust)?;
        variables = variables
            .sql("trusted", SqlFragment::assert_safe(roles))
            .sql("code", SqlFragment::assert_safe(text));
    }
    if used.contains("unfinished") {
        let found = match &catalog.ledger {
            LedgerState::Absent => NO_RUNS.to_owned(),
            LedgerState::Hidden => return Err(CheckError::Undecided(hidden(role))),
            LedgerState::Distrusted(why) => return Err(CheckError::Undecided(distrusted(why))),
            LedgerState::Readable => render_file("sql/ledger/unfinished.sql", &variables)?,
        };
        variables = variables.sql("unfinished", SqlFragment::assert_safe(found));
    }
    Ok(variables)
}

/// `:history`.
pub fn history_fragment(catalog: &Catalog) -> SqlFragment {
    if catalog.tables.contains_key("_prisma_migrations") {
        SqlFragment::qualified(&catalog.schema, "_prisma_migrations")
    } else {
        SqlFragment::assert_safe(NO_HISTORY.to_owned())
    }
}

/// A query for the applied fixes that upstream has overtaken.
///
/// # Errors
/// Undecided where they cannot be known.
pub fn superseded_query(catalog: &Catalog) -> CheckResult<String> {
    match &catalog.ledger {
        LedgerState::Absent => Ok(NO_LEDGER.to_owned()),
        LedgerState::Hidden => Err(CheckError::Undecided(HIDDEN.to_owned())),
        LedgerState::Distrusted(why) => Err(CheckError::Undecided(distrusted(why))),
        LedgerState::Readable => {
            if let Some(reason) = catalog.closed.get("_prisma_migrations") {
                return Err(CheckError::Undecided(reason.clone()));
            }
            let variables = Variables::for_schema(&catalog.schema)
                .sql("history", history_fragment(catalog))
                .text("upstream", UPSTREAM.to_string());
            Ok(render_file("sql/ledger/superseded.sql", &variables)?)
        }
    }
}

/// By code the numbers of upstream's migrations that touch what a fix touches: what the fixes' headers say in `upstream`.
static UPSTREAM: LazyLock<Value> = LazyLock::new(|| {
    let of_file = |text: &&'static str| {
        let script = SqlFile::parse(text);
        let numbers: Vec<&str> = script.header("upstream")?.split_whitespace().collect();
        Some((script.header("code")?.to_owned(), json!(numbers)))
    };
    let files = FILES.iter().filter(|(path, _)| path.starts_with("sql/fixes/")).map(|(_, text)| text);
    files.filter_map(of_file).collect()
});

/// The bounds of the release found.
///
/// # Errors
/// Undecided where they are not known; the reason is for a person.
pub fn release_bounds(range: Option<ReleaseRange>) -> CheckResult<(Release, Release)> {
    let undecided = |reason: &str| CheckError::Undecided(reason.to_owned());
    let range = range.ok_or_else(|| undecided("the migration history does not tell the release"))?;
    let to =
        range.to.ok_or_else(|| undecided("the database is of a newer release than this evodoctor knows"))?;
    Ok((range.from, to))
}
