//! Unified diffs of canonical DDL.

use std::collections::BTreeMap;

use similar::TextDiff;

use crate::database::catalog::Ddl;

/// The unified diff of two states of a schema, over the tables that differ; empty when none does.
pub fn unified_diff(before: &Ddl, after: &Ddl) -> String {
    let empty = String::new();
    let mut text = String::new();
    for table in changed_tables(before, after) {
        let (old, new) = (before.get(&table).unwrap_or(&empty), after.get(&table).unwrap_or(&empty));
        let diff = TextDiff::from_lines(old, new);
        text.push_str(
            &diff
                .unified_diff()
                .context_radius(2)
                .header(&format!("a/{table}"), &format!("b/{table}"))
                .to_string(),
        );
    }
    text
}

/// The tables whose DDL differs.
pub fn changed_tables(before: &Ddl, after: &Ddl) -> Vec<String> {
    let all: BTreeMap<&String, ()> = before.keys().chain(after.keys()).map(|table| (table, ())).collect();
    all.into_keys().filter(|table| before.get(*table) != after.get(*table)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_that_differ_appear() {
        let before: Ddl =
            [("A".into(), "one\ntwo\n".into()), ("B".into(), "same\n".into())].into_iter().collect();
        let mut after = before.clone();
        after.insert("A".into(), "one\n2\n".into());
        assert_eq!(unified_diff(&before, &after), "--- a/A\n+++ b/A\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n");
        assert_eq!(unified_diff(&before, &before), "");
    }
}
