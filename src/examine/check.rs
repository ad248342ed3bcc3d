//! Checks: one SQL file each, found by walking `sql/checks/`.

use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};

use super::parts;
use super::references::Reference;
use super::rule::Rule;
use crate::database::catalog::Catalog;
use crate::database::script::{FILES, Script, Variables, render};
use crate::evolution::release::ReleaseRange;

/// A rule and the query that carries it out.
#[derive(Debug)]
pub struct Check {
    /// What the code stands for.
    pub rule: Rule,
    /// The file's stem: code, underscore, name. Its fix and fixtures have the same.
    pub stem: String,
    family: Family,
    query: String,
}

/// What a check's query is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Once.
    Once,
    /// For every reference (`each: reference`).
    Reference,
}

/// One query of a check, ready to run.
#[derive(Debug)]
pub struct Query {
    /// What it looks at, for messages; empty when the check has one query only.
    pub about: String,
    /// The SQL, or why there is none.
    pub sql: Result<String, String>,
}

impl Check {
    /// Reads a check file. `path` is under `sql/checks/`.
    ///
    /// # Errors
    /// When the header is incomplete, disagrees with the file's name, or the file holds another number of queries
    /// than one.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let script = Script::parse(text);
        let rule = Rule::from_header(&script).with_context(|| path.to_owned())?;
        let stem = format!("{}_{}", rule.code, rule.name.replace('-', "_"));
        ensure!(
            path == format!("sql/checks/{stem}.sql"),
            "{path} should be named {stem}.sql after its header"
        );
        let family = match script.get("each") {
            None => Family::Once,
            Some("reference") => Family::Reference,
            Some(other) => anyhow::bail!("{path}: {other:?} is nothing a check can be run for"),
        };
        Ok(Self { rule, stem, family, query: script.single().with_context(|| path.to_owned())?.to_owned() })
    }

    /// What it is run for.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The queries that carry it out on this database.
    ///
    /// # Errors
    /// When the file uses a variable that nobody sets.
    pub fn queries(
        &self,
        catalog: &Catalog,
        range: Option<ReleaseRange>,
        references: &[Reference],
    ) -> Result<Vec<Query>> {
        let query = parts::fitting(&self.query, catalog, range);
        let rendered = |variables: &Variables| render(&query, variables).context(self.stem.clone());
        match self.family {
            Family::Once => {
                let sql = rendered(&Variables::for_schema(&catalog.schema))?;
                Ok(vec![Query { about: String::new(), sql: Ok(sql) }])
            }
            Family::Reference => references
                .iter()
                .map(|reference| {
                    let sql = match reference.obstacle(catalog) {
                        Some(obstacle) => Err(obstacle),
                        None => Ok(rendered(&reference.variables(catalog))?),
                    };
                    Ok(Query { about: reference.subject(), sql })
                })
                .collect(),
        }
    }
}

static CHECKS: LazyLock<Vec<Check>> = LazyLock::new(|| {
    FILES
        .iter()
        .filter(|(path, _)| path.starts_with("sql/checks/"))
        .map(|(path, text)| Check::parse(path, text).expect("the tests keep every check file well formed"))
        .collect()
});

/// Every check, by code.
pub fn checks() -> &'static [Check] {
    &CHECKS
}
