//! Rows that a fix removes or changes: marked in the quarantine with whatever hangs on them (`mark`), then treated,
//! children before parents (`treat`).

mod mark;
mod treat;

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use crate::database::catalog::{Action, Catalog, Table};
use crate::examine::references::Reference;
use crate::exit::failure;

pub use treat::children_first;

/// What is done to a row whose reference is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is removed.
    Remove,
    /// Its referencing columns are emptied.
    Empty,
}

/// What is done to a row whose reference is gone, or why nothing can be done.
pub fn treatment(reference: &Reference, catalog: &Catalog) -> Result<Treatment, String> {
    let table = match catalog.tables.get(&reference.child_table) {
        Some(table) if matches!(table.kind.as_str(), "r" | "p") => table,
        _ => return Err(format!("{} is no table", reference.child_table)),
    };
    if table.has_heirs {
        return Err(format!(
            "other tables inherit from {}, and some of these rows may be theirs",
            table.name
        ));
    }
    if table.primary_key.is_empty() {
        return Err(format!("{} has no primary key to recognise its rows by", table.name));
    }
    if reference.declared.as_ref().is_some_and(|key| key.comment.is_some() && !key.is_validated) {
        return Err(format!("{} carries a comment that undo could not put back", reference.constraint));
    }
    let nullable = table.all_nullable(&reference.child_columns);
    match reference.on_delete {
        Action::Cascade => Ok(Treatment::Remove),
        Action::SetNull | Action::Restrict | Action::NoAction if nullable => Ok(Treatment::Empty),
        Action::SetNull | Action::Restrict | Action::NoAction => Ok(Treatment::Remove),
        Action::SetDefault => Err(format!("{} is ON DELETE SET DEFAULT", reference.constraint)),
    }
}

/// The tables that treating rows may touch or must keep still: `touched` themselves, and whatever hangs on those of
/// them that lose rows.
pub fn reach(
    touched: Vec<String>,
    mut losing: Vec<String>,
    all: &[Reference],
    catalog: &Catalog,
) -> Vec<String> {
    let mut touched: BTreeSet<String> = touched.into_iter().collect();
    let mut lost: BTreeSet<String> = losing.iter().cloned().collect();
    while let Some(parent) = losing.pop() {
        for reference in all.iter().filter(|r| r.parent_schema == catalog.schema && r.parent_table == parent)
        {
            touched.insert(reference.child_table.clone());
            // A table may be known for another reason, and still lose rows only now.
            if treatment(reference, catalog) == Ok(Treatment::Remove)
                && lost.insert(reference.child_table.clone())
            {
                losing.push(reference.child_table.clone());
            }
        }
    }
    let is_table = |table: &String| {
        // One that is closed is refused, and not passed over.
        catalog.closed.contains_key(table)
            || catalog.tables.get(table).is_some_and(|t| matches!(t.kind.as_str(), "r" | "p"))
    };
    touched.retain(is_table);
    touched.into_iter().collect()
}

/// The rows of one fix.
pub struct Work<'a> {
    /// The fix's code.
    pub code: &'a str,
    /// Tables and keys.
    pub catalog: &'a Catalog,
    /// Every reference that should hold.
    pub all: &'a [Reference],
}

impl Work<'_> {
    fn table(&self, name: &str) -> Result<&Table> {
        let table = self.catalog.tables.get(name).with_context(|| format!("there is no table {name:?}"))?;
        if table.has_heirs {
            return Err(failure(
                format!(
                    "other tables inherit from {name}: their rows show up in it, and could not be put back as theirs"
                ),
                format!(
                    "end that first (ALTER TABLE … NO INHERIT {name:?}), or leave this fix out with --ignore {}",
                    self.code
                ),
            ));
        }
        Ok(table)
    }
}
