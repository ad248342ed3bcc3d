//! Selects the rows to copy if not all of them are wanted: the first of each table, those that a finding names, and the
//! rows that the chosen ones refer to, so that the copy has no new orphans.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::HISTORY;
use crate::checks::references::Reference;
use crate::database::ident::SqlFragment;
use crate::rules::finding::Finding;
use crate::rules::location::Location;

/// A key that is referred to: table and columns.
type Key = (String, Vec<String>);

/// The choice, which grows while rows are read: what a row refers to is chosen, too.
#[derive(Debug, Default)]
pub struct RowFilter {
    rows: Option<u64>,
    schema: String,
    predicates: BTreeMap<String, BTreeSet<String>>,
    references: Vec<Reference>,
    wanted: BTreeMap<Key, BTreeSet<Vec<String>>>,
}

impl RowFilter {
    /// All rows, or the first `rows` of each table with what belongs to them.
    pub fn new(rows: Option<u64>, schema: &str, findings: &[Finding], references: &[Reference]) -> Self {
        let mut filter = Self { rows, schema: schema.to_owned(), ..Self::default() };
        if rows.is_none() {
            return filter;
        }
        for finding in findings {
            if let (Location::Table(table) | Location::Row(table), Some(predicate)) =
                (Location::from_finding(finding), &finding.predicate)
            {
                filter.predicates.entry(table.to_owned()).or_default().insert(predicate.clone());
            }
        }
        filter.references =
            references.iter().filter(|reference| reference.parent_schema == schema).cloned().collect();
        filter
    }

    /// The tables in the order in which they are to be read: one that refers to another before that.
    pub fn order(&self, tables: &[String]) -> Vec<String> {
        let mut ordered = Vec::new();
        let mut visited = BTreeSet::new();
        for table in tables {
            self.visit(table, tables, &mut visited, &mut ordered);
        }
        ordered.reverse();
        ordered
    }

    /// Depth first; a circle of references is cut where it was entered.
    fn visit(
        &self,
        table: &String,
        tables: &[String],
        visited: &mut BTreeSet<String>,
        ordered: &mut Vec<String>,
    ) {
        if !visited.insert(table.clone()) {
            return;
        }
        for reference in self.references.iter().filter(|reference| reference.child_table == *table) {
            if tables.contains(&reference.parent_table) {
                self.visit(&reference.parent_table, tables, visited, ordered);
            }
        }
        ordered.push(table.clone());
    }

    /// The predicates of a table, which the caller tries before they are relied on.
    pub fn predicates(&self, table: &str) -> Vec<String> {
        self.predicates.get(table).into_iter().flatten().cloned().collect()
    }

    /// Gives up one of them.
    pub fn forget(&mut self, table: &str, predicate: &str) {
        if let Some(predicates) = self.predicates.get_mut(table) {
            predicates.remove(predicate);
        }
    }

    /// The columns of a table whose values have to be passed to [`Self::follow`].
    pub fn followed(&self, table: &str) -> Vec<&Reference> {
        self.references.iter().filter(|reference| reference.child_table == table).collect()
    }

    /// Chooses the row that a chosen row refers to.
    pub fn follow(&mut self, table: &str, columns: &[String], values: Vec<String>) {
        self.wanted.entry((table.to_owned(), columns.to_vec())).or_default().insert(values);
    }

    /// The `WHERE` clause for a table; nothing where all rows are wanted.
    pub fn clause(&self, table: &str) -> SqlFragment {
        // Without all of its history a database's release is unknown.
        let Some(rows) = self.rows.filter(|_| table != HISTORY) else {
            return SqlFragment::assert_safe(String::new());
        };
        let qualified = SqlFragment::qualified(&self.schema, table);
        let mut conditions = vec![format!(
            "ctid = ANY (ARRAY(SELECT first.ctid FROM ONLY {qualified} AS first LIMIT {rows}))"
        )];
        conditions.extend(self.predicates(table).iter().map(|predicate| format!("({predicate})")));
        for ((_, columns), values) in self.wanted.iter().filter(|((parent, _), _)| parent == table) {
            let row = |values: &Vec<String>| {
                let values: Vec<String> =
                    values.iter().map(|value| SqlFragment::literal(value).to_string()).collect();
                format!("({})", values.join(", "))
            };
            let values: Vec<String> = values.iter().map(row).collect();
            let columns = SqlFragment::columns::<String>(None, columns);
            conditions.push(format!("({columns}) IN ({})", values.join(", ")));
        }
        SqlFragment::assert_safe(format!("WHERE {}", conditions.join(" OR ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::catalog::ReferentialAction;

    fn reference(child: &str, parent: &str) -> Reference {
        Reference {
            child_table: child.to_owned(),
            child_columns: vec!["parentId".to_owned()],
            parent_schema: "s".to_owned(),
            parent_table: parent.to_owned(),
            parent_columns: vec!["id".to_owned()],
            constraint: String::new(),
            on_delete: ReferentialAction::Cascade,
            on_update: ReferentialAction::Cascade,
            declared: None,
        }
    }

    #[test]
    fn referring_tables_are_read_first() {
        let references = [reference("A", "B"), reference("B", "C"), reference("D", "A"), reference("C", "A")];
        let filter = RowFilter::new(Some(3), "s", &[], &references);
        let tables = ["A", "B", "C", "D", "E"].map(str::to_owned);
        let order = filter.order(&tables);
        let place = |name: &str| order.iter().position(|table| table == name).unwrap();
        assert_eq!(order.len(), 5);
        assert!(place("D") < place("A") && place("A") < place("B") && place("B") < place("C"), "{order:?}");
    }

    #[test]
    fn what_a_row_refers_to_is_chosen() {
        let mut filter = RowFilter::new(Some(3), "s", &[], &[]);
        filter.follow("A", &["id".to_owned()], vec!["it's".to_owned()]);
        let clause = filter.clause("A");
        let first = "ctid = ANY (ARRAY(SELECT first.ctid FROM ONLY \"s\".\"A\" AS first LIMIT 3))";
        assert_eq!(clause.as_str(), format!("WHERE {first} OR (\"id\") IN (('it''s'))"));
        assert_eq!(filter.clause(HISTORY).as_str(), "");
        assert_eq!(RowFilter::new(None, "s", &[], &[]).clause("A").as_str(), "");
    }
}
