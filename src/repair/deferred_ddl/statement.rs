//! Work that a fix defers until after its transaction, as data: the ledger stores what is to be done (kind, table,
//! index, columns, key) and never a statement. The statement is rendered from `sql/deferred_ddl/` each time, so that
//! nothing stored in a table is ever executed.

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer, Serialize};

use super::sql_tokens::tokens;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};
use crate::error::user_error;

/// A statement to run after the fix's transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeferredStatement {
    /// The non-blocking statement; rendered, never stored.
    #[serde(skip)]
    pub sql: String,
    /// Its kind.
    pub work: DeferredWork,
    /// The table of Evolution's schema that it is about; not known of an index that is rebuilt.
    pub table: Option<String>,
    /// The index, if one is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexKey>,
    /// The state of the statement.
    pub state: DeferredState,
}

/// The kinds of deferred statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what", content = "name")]
pub enum DeferredWork {
    /// CREATE INDEX CONCURRENTLY, of this name.
    Build(String),
    /// REINDEX INDEX CONCURRENTLY, of this name.
    Rebuild(String),
    /// VALIDATE CONSTRAINT, of this name.
    Validate(String),
}

/// The key of an index: plain columns, as all of Evolution's indexes have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// True if it keeps duplicates out.
    pub unique: bool,
    /// Its columns.
    pub columns: Vec<String>,
}

/// The state of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeferredState {
    /// It is still to be done, or was started and has not ended.
    Open,
    /// It is done.
    Done,
    /// Rows that were written since do not allow it; the check that finds them repairs them, in a run of its own.
    GivenUp,
}

impl DeferredWork {
    /// The name of the index, where it is about one.
    pub fn index(&self) -> Option<&str> {
        match self {
            Self::Build(name) | Self::Rebuild(name) => Some(name),
            Self::Validate(_) => None,
        }
    }

    /// Its name in messages.
    pub fn title(&self) -> String {
        match self {
            Self::Build(name) => format!("the build of index {name:?}"),
            Self::Rebuild(name) => format!("the rebuild of index {name:?}"),
            Self::Validate(name) => format!("the validation of foreign key {name:?}"),
        }
    }
}

impl DeferredStatement {
    /// Work in a schema that is still to be done.
    ///
    /// # Errors
    /// When it lacks what its statement needs.
    pub fn new_pending(
        schema: &str,
        work: DeferredWork,
        table: Option<String>,
        index: Option<IndexKey>,
    ) -> Result<Self> {
        Self { sql: String::new(), work, table, index, state: DeferredState::Open }.rendered(schema)
    }

    /// The same, with its statement.
    ///
    /// # Errors
    /// When it lacks what its statement needs, as what others have written into the ledger may.
    pub fn rendered(mut self, schema: &str) -> Result<Self> {
        let variables = Variables::for_schema(schema);
        let table =
            || self.table.clone().with_context(|| format!("{} does not name a table", self.work.title()));
        self.sql = match (&self.work, &self.index) {
            (DeferredWork::Build(name), Some(IndexKey { unique, columns })) if !columns.is_empty() => {
                let path =
                    if *unique { "sql/deferred_ddl/build_unique.sql" } else { "sql/deferred_ddl/build.sql" };
                let columns = SqlFragment::columns(None, columns);
                render_file(
                    path,
                    &variables.text("index", name).text("table", table()?).sql("columns", columns),
                )?
            }
            (DeferredWork::Build(_), _) => return Err(not_understood(&self.work)),
            (DeferredWork::Rebuild(name), _) => {
                render_file("sql/deferred_ddl/rebuild.sql", &variables.text("index", name))?
            }
            (DeferredWork::Validate(name), _) => render_file(
                "sql/deferred_ddl/validate.sql",
                &variables.text("table", table()?).text("key", name),
            )?,
        };
        Ok(self)
    }
}

impl<'de> Deserialize<'de> for DeferredStatement {
    /// Reads what any version has written. Versions up to 2 of the ledger's format stored the statement: it is parsed,
    /// and anything that does not have exactly the form that they wrote is refused.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Kept {
            sql: Option<String>,
            work: DeferredWork,
            table: Option<String>,
            index: Option<IndexKey>,
            state: DeferredState,
        }
        let Kept { sql, work, table, index, state } = Kept::deserialize(deserializer)?;
        let of_statement = || match (&work, &sql) {
            (DeferredWork::Build(name), Some(sql)) => {
                let built = built_index(sql).filter(|built| built.name == *name);
                built.filter(|built| table.as_deref() == Some(&built.table)).map(|built| built.key)
            }
            _ => None,
        };
        let index = index.or_else(of_statement);
        Ok(Self { sql: String::new(), work, table, index, state })
    }
}

fn not_understood(work: &DeferredWork) -> anyhow::Error {
    user_error(
        format!("the ledger describes the columns of {} in a form that evodoctor never wrote", work.title()),
        "it was not run; if the index is yours, build it by hand, then: evodoctor fix EVO307 EVO308",
    )
}

/// The parts of a `CREATE INDEX` of plain columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BuiltIndex {
    /// The index.
    pub name: String,
    /// The table.
    pub table: String,
    /// Its key.
    pub key: IndexKey,
}

/// Reads `CREATE [UNIQUE] INDEX [CONCURRENTLY] name ON schema.table (column, …)` and nothing else.
pub(super) fn built_index(sql: &str) -> Option<BuiltIndex> {
    let tokens = tokens(sql);
    let mut rest = tokens.as_slice();
    let mut eat = |word: &str| match rest {
        [first, others @ ..] if first == word => {
            rest = others;
            true
        }
        _ => false,
    };
    if !eat("CREATE") {
        return None;
    }
    let unique = eat("UNIQUE");
    if !eat("INDEX") {
        return None;
    }
    // An index may be called so, too.
    let is_word = match rest {
        [first, second, third, ..] => first == "CONCURRENTLY" && (second != "ON" || third == "ON"),
        _ => false,
    };
    if is_word {
        rest = &rest[1..];
    }
    let [name, on, _, dot, table, open, columns @ .., close] = rest else { return None };
    if on != "ON" || dot != "." || open != "(" || close != ")" || columns.len() % 2 == 0 {
        return None;
    }
    let is_comma = |(position, token): (usize, &String)| (position % 2 == 1) == (token == ",");
    if !columns.iter().enumerate().all(is_comma) {
        return None;
    }
    let columns = columns.iter().step_by(2).cloned().collect();
    Some(BuiltIndex { name: name.clone(), table: table.clone(), key: IndexKey { unique, columns } })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn only_an_index_of_plain_columns_is_one() {
        let built = built_index(r#"CREATE UNIQUE INDEX "a" ON s."T" ("x", y)"#).expect("an index");
        assert_eq!((built.name.as_str(), built.table.as_str(), built.key.unique), ("a", "T", true));
        assert_eq!(built.key.columns, ["x", "y"]);
        assert!(built_index(r#"CREATE INDEX CONCURRENTLY "ON" ON "ON"."ON" ("ON")"#).is_some());
        assert!(
            built_index(r#"CREATE INDEX CONCURRENTLY ON "s"."T" ("x")"#).is_some(),
            "an index of this name"
        );
        for sql in [
            r#"CREATE INDEX "a" ON "s"."T" ("x") WHERE evil()"#,
            r#"CREATE INDEX "a" ON "s"."T" (evil("x"))"#,
            r#"CREATE INDEX "a" ON "s"."T" ("x" "public"."evil_ops")"#,
            r#"CREATE INDEX "a" ON "s"."T" ("x"); ALTER ROLE "evil" SUPERUSER"#,
            r#"CREATE INDEX "a" ON "s"."T" ()"#,
            r#"CREATE INDEX "a" ON "s"."T" ("x",)"#,
            "ALTER ROLE evil SUPERUSER",
        ] {
            assert_eq!(built_index(sql), None, "{sql}");
        }
    }

    #[test]
    fn the_ledger_stores_no_statement() {
        let key = IndexKey { unique: true, columns: vec!["x".to_owned()] };
        let later = DeferredStatement::new_pending(
            "s",
            DeferredWork::Build("i".to_owned()),
            Some("T".to_owned()),
            Some(key),
        )
        .unwrap();
        assert_eq!(later.sql, r#"CREATE UNIQUE INDEX CONCURRENTLY "i" ON "s"."T" ("x")"#);
        let kept = to_value(&later).unwrap();
        assert_eq!(
            kept,
            json!({"work": {"what": "build", "name": "i"}, "table": "T",
                   "index": {"unique": true, "columns": ["x"]}, "state": "open"})
        );
        assert_eq!(from_value::<DeferredStatement>(kept).unwrap().rendered("s").unwrap(), later);
    }

    #[test]
    fn a_statement_of_an_older_version_is_parsed_and_any_other_is_refused() {
        let kept = |sql: &str| json!({"sql": sql, "work": {"what": "build", "name": "i"}, "table": "T", "state": "open"});
        let read = |sql: &str| from_value::<DeferredStatement>(kept(sql)).unwrap().rendered("s");
        let old = read(r#"CREATE UNIQUE INDEX CONCURRENTLY "i" ON s."T" ("a", "b")"#).unwrap();
        assert_eq!(old.sql, r#"CREATE UNIQUE INDEX CONCURRENTLY "i" ON "s"."T" ("a", "b")"#);
        for sql in [
            "ALTER ROLE evil SUPERUSER",
            r#"CREATE UNIQUE INDEX CONCURRENTLY "i" ON "s"."Other" ("a")"#,
            r#"CREATE UNIQUE INDEX CONCURRENTLY "i" ON "s"."T" (evil("a"))"#,
        ] {
            let error = read(sql).unwrap_err().to_string();
            assert!(error.contains("the build of index \"i\"") && !error.contains("evil"), "{error}");
        }
        let forged = json!({"sql": "ALTER ROLE evil SUPERUSER", "work": {"what": "validate", "name": "k"},
                            "table": "T", "state": "open"});
        let read = from_value::<DeferredStatement>(forged).unwrap().rendered("s").unwrap();
        assert_eq!(read.sql, r#"ALTER TABLE "s"."T" VALIDATE CONSTRAINT "k""#);
    }
}
