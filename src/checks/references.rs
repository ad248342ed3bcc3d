//! Every reference that should hold: the foreign keys that the release expects, and those that the database
//! declares, whether or not a constraint exists, is validated or claims to be.

use anyhow::Result;

use crate::database::catalog::{Catalog, DeclaredKey, ReferentialAction};
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};
use crate::evolution::release::{Release, ReleaseRange};
use crate::evolution::schema::schema;

/// A subject on its way to the server, which may hold it in an encoding without arrows (LATIN1).
pub fn encode_subject(subject: &str) -> String {
    subject.replace(" → ", " -> ")
}

/// A subject, or a sentence that begins with one, as it comes back. Any other text stays what it is.
pub fn decode_subject(text: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '+');
    match text.split_once(" -> ") {
        Some((columns, parent))
            if columns.split_once('.').is_some_and(|(table, column)| {
                [table, column].iter().all(|name| !name.is_empty() && name.chars().all(is_name))
            }) =>
        {
            format!("{columns} → {parent}")
        }
        _ => text.to_owned(),
    }
}

/// One reference from columns of a table in Evolution's schema to a table.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The referencing table, in Evolution's schema.
    pub child_table: String,
    /// Its columns.
    pub child_columns: Vec<String>,
    /// The referenced table's schema.
    pub parent_schema: String,
    /// The referenced table.
    pub parent_table: String,
    /// Its columns.
    pub parent_columns: Vec<String>,
    /// The constraint's name: the declared one, else the one upstream gives.
    pub constraint: String,
    /// ON DELETE: as declared, else as upstream has it.
    pub on_delete: ReferentialAction,
    /// ON UPDATE, likewise.
    pub on_update: ReferentialAction,
    /// The constraint, where one is declared.
    pub declared: Option<DeclaredKey>,
}

impl Reference {
    /// `Message.sessionId`: unique in a schema as long as a column refers to one table only, else with the table.
    pub fn subject(&self) -> String {
        format!("{}.{} → {}", self.child_table, self.child_columns.join("+"), self.parent_table)
    }

    /// What the catalog says of the constraint, in words.
    pub fn state(&self) -> String {
        match &self.declared {
            None => format!("the constraint {:?} is missing", self.constraint),
            Some(key) if !key.is_enforced => format!("the constraint {:?} is not enforced", self.constraint),
            Some(key) if !key.is_validated => format!("the constraint {:?} is NOT VALID", self.constraint),
            Some(_) => format!("the constraint {:?} claims to be valid", self.constraint),
        }
    }

    /// Why rows cannot be compared, if they cannot.
    pub fn incomparable_reason(&self, catalog: &Catalog) -> Option<String> {
        let declared = self.declared.as_ref();
        if let Some(reason) = catalog.closed.get(&self.child_table) {
            return Some(reason.clone());
        }
        if let Some(role) = declared.and_then(|key| key.stranger.as_ref()) {
            return Some(format!(
                "{:?}.{:?} belongs to role {role:?}: not examined",
                self.parent_schema, self.parent_table
            ));
        }
        if let Some(reason) =
            catalog.closed.get(&self.parent_table).filter(|_| self.parent_schema == catalog.schema)
        {
            return Some(reason.clone());
        }
        if declared.is_some_and(|key| key.is_temporal) {
            return Some(format!("{} compares periods", self.constraint));
        }
        if declared.is_some_and(|key| key.is_match_full && key.child_columns.len() > 1) {
            return Some(format!("{} is MATCH FULL over several columns", self.constraint));
        }
        if self.parent_schema == catalog.schema {
            let has_columns = |name: &str| match catalog.tables.get(name) {
                Some(table) => self.parent_columns.iter().all(|column| table.columns.contains(column)),
                None => false,
            };
            if !has_columns(&self.parent_table) {
                return Some(format!(
                    "{} refers to {}.{}, which does not exist",
                    self.constraint,
                    self.parent_table,
                    self.parent_columns.join("+")
                ));
            }
        }
        None
    }

    /// The condition for a row that refers to nothing, as one pastes it behind `FROM schema.table WHERE`.
    pub fn orphan_predicate(&self) -> SqlFragment {
        let child = SqlFragment::ident(&self.child_table);
        let of_child = |column| format!("{child}.{}", SqlFragment::ident(column));
        let pairs = self.child_columns.iter().zip(&self.parent_columns);
        let not_null: Vec<String> =
            self.child_columns.iter().map(|column| format!("{} IS NOT NULL", of_child(column))).collect();
        let equal: Vec<String> = pairs
            .map(|(column, parent)| format!("parent.{} = {}", SqlFragment::ident(parent), of_child(column)))
            .collect();
        SqlFragment::assert_safe(format!(
            "{} AND NOT EXISTS (SELECT FROM {} AS parent WHERE {})",
            not_null.join(" AND "),
            SqlFragment::qualified(&self.parent_schema, &self.parent_table),
            equal.join(" AND ")
        ))
    }

    /// The referring columns, as a query from the table names them.
    pub fn value(&self, catalog: &Catalog) -> SqlFragment {
        let child = SqlFragment::qualified(&catalog.schema, &self.child_table);
        SqlFragment::columns(Some(child.as_str()), &self.child_columns)
    }

    /// The columns that it refers to, of a `parent`.
    pub fn parent_value(&self) -> SqlFragment {
        SqlFragment::columns(Some("parent"), &self.parent_columns)
    }

    /// The columns that tell one of its rows from another, and what it refers to.
    pub fn identifying_columns(&self, catalog: &Catalog) -> Vec<String> {
        let mut shown =
            catalog.tables.get(&self.child_table).map(|t| t.primary_key.clone()).unwrap_or_default();
        shown.extend(self.child_columns.iter().filter(|c| !shown.contains(c)).cloned().collect::<Vec<_>>());
        shown
    }

    /// What its rows are sorted by, before the first of them are shown: what they refer to, then their own key.
    pub fn row_order(&self, catalog: &Catalog) -> SqlFragment {
        let child = SqlFragment::qualified(&catalog.schema, &self.child_table);
        let shown = SqlFragment::columns(Some(child.as_str()), &self.identifying_columns(catalog));
        SqlFragment::assert_safe(format!("{}, {shown}", self.value(catalog)))
    }

    /// About how many pages both tables have.
    pub fn pages(&self, catalog: &Catalog) -> u64 {
        let of_parent =
            if self.parent_schema == catalog.schema { catalog.page_count(&self.parent_table) } else { 0 };
        catalog.page_count(&self.child_table) + of_parent
    }

    /// The variables of `sql/checks/EVO101_orphaned_reference.sql`, and of the files under `sql/orphans/` that find
    /// what it reports.
    ///
    /// # Errors
    /// When one of those files is broken.
    pub fn variables(&self, catalog: &Catalog) -> Result<Variables> {
        let child = SqlFragment::qualified(&catalog.schema, &self.child_table);
        let predicate = self.orphan_predicate();
        let names = self.identifying_columns(catalog);
        let shown = SqlFragment::columns(Some(child.as_str()), &names);
        let value = self.value(catalog);
        let variables = Variables::for_schema(&catalog.schema)
            .text("subject", encode_subject(&self.subject()))
            .text("parent_name", &self.parent_table)
            .text("state", self.state())
            .text("where", predicate.as_str())
            .sql("parent", SqlFragment::qualified(&self.parent_schema, &self.parent_table))
            .sql("parent_value", self.parent_value())
            .text("reference_name", self.child_columns.first().cloned().unwrap_or_default())
            .sql("first_value", SqlFragment::columns(Some("first"), &self.child_columns))
            .sql("few_order", SqlFragment::columns(Some("few"), &names))
            .sql("orphan_reference", SqlFragment::columns(Some("orphan"), &self.child_columns))
            .sql(
                "orphan_order",
                SqlFragment::columns(Some("orphan"), &[self.child_columns.as_slice(), &names].concat()),
            )
            .sql("order", self.row_order(catalog))
            .sql("reference", value)
            .sql("columns", shown)
            .sql("predicate", predicate)
            .sql("child", child);
        let found = render(
            SqlFile::parse(embedded_file("sql/orphans/not_exists.sql")).only_statement()?,
            &variables,
        )?;
        Ok(variables.sql("found", SqlFragment::assert_safe(found)))
    }

    /// True if both are the same reference, whatever the constraint's name.
    fn is_same(&self, key: &DeclaredKey) -> bool {
        self.child_table == key.child_table
            && self.child_columns == key.child_columns
            && self.parent_schema == key.parent_schema
            && self.parent_table == key.parent_table
            && self.parent_columns == key.parent_columns
    }
}

/// The references of a database, expected ones first. Expected ones whose table or column is not there hold no
/// row, and are left out.
pub fn all_references(catalog: &Catalog, range: Option<ReleaseRange>) -> Vec<Reference> {
    let mut references = range.map(|range| expected(catalog, range)).unwrap_or_default();
    for key in &catalog.foreign_keys {
        match references.iter_mut().find(|reference| reference.is_same(key)) {
            // Two constraints may say the same; the stricter one decides what can be kept, the first is as good.
            Some(reference) if reference.declared.is_none() => {
                reference.constraint = key.name.clone();
                reference.on_delete = key.on_delete;
                reference.on_update = key.on_update;
                reference.declared = Some(key.clone());
            }
            Some(_) => {}
            None => references.push(Reference {
                child_table: key.child_table.clone(),
                child_columns: key.child_columns.clone(),
                parent_schema: key.parent_schema.clone(),
                parent_table: key.parent_table.clone(),
                parent_columns: key.parent_columns.clone(),
                constraint: key.name.clone(),
                on_delete: key.on_delete,
                on_update: key.on_update,
                declared: Some(key.clone()),
            }),
        }
    }
    references
}

fn expected(catalog: &Catalog, range: ReleaseRange) -> Vec<Reference> {
    let release = range.to.unwrap_or_else(Release::newest);
    let mut references = Vec::new();
    for table in schema().tables(release) {
        let found = catalog.tables.get(&table.name);
        if found.is_none() && !catalog.closed.contains_key(&table.name) {
            continue;
        }
        for key in table.foreign_keys(release) {
            if found.is_some_and(|found| !key.columns.iter().all(|column| found.columns.contains(column))) {
                continue;
            }
            references.push(Reference {
                child_table: table.name.clone(),
                child_columns: key.columns.clone(),
                parent_schema: catalog.schema.clone(),
                parent_table: key.references.clone(),
                parent_columns: key.referenced_columns.clone(),
                constraint: key.name.clone(),
                on_delete: ReferentialAction::parse(&key.on_delete).expect("facts name SQL's actions"),
                on_update: ReferentialAction::parse(&key.on_update).expect("facts name SQL's actions"),
                declared: None,
            });
        }
    }
    references
}
