//! The differences between two values: the paths that differ, not the whole documents.

use serde_json::Value;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// A place in a row where something else is after than before.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedPath {
    /// Such as `labels[0]` or `message.contextInfo.quoted`; keys that are not plain words are written as JSON.
    pub path: String,
    /// The value before; `None` if there was none.
    pub before: Option<Value>,
    /// The value after; `None` if there is none.
    pub after: Option<Value>,
}

/// Every path at which the two differ, in the order of the documents.
pub fn diff_paths(before: &Value, after: &Value) -> Vec<ChangedPath> {
    let mut changed = Vec::new();
    compare(String::new(), Some(before), Some(after), &mut changed);
    changed
}

fn compare(path: String, before: Option<&Value>, after: Option<&Value>, changed: &mut Vec<ChangedPath>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let dot = if path.is_empty() { "" } else { "." };
                compare(format!("{path}{dot}{}", written(key)), old.get(key), new.get(key), changed);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => arrays(&path, old, new, changed),
        _ => changed.push(ChangedPath { path, before: before.cloned(), after: after.cloned() }),
    }
}

/// Elements that were taken out or put in, at the place that they have in their own array: one that is gone does not shift
/// all that come after it.
fn arrays(path: &str, before: &[Value], after: &[Value], changed: &mut Vec<ChangedPath>) {
    let texts = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>();
    for op in capture_diff_slices(Algorithm::Myers, &texts(before), &texts(after)) {
        let (old, new) = match op {
            DiffOp::Equal { .. } => continue,
            op => (op.old_range(), op.new_range()),
        };
        let both = old.len().min(new.len());
        for (at, to) in old.clone().zip(new.clone()) {
            compare(format!("{path}[{at}]"), before.get(at), after.get(to), changed);
        }
        for at in old.skip(both) {
            compare(format!("{path}[{at}]"), before.get(at), None, changed);
        }
        for at in new.skip(both) {
            compare(format!("{path}[{at}]"), None, after.get(at), changed);
        }
    }
}

fn written(key: &str) -> String {
    let is_plain =
        !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'));
    if is_plain { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn only_differences_are_listed() {
        let before = json!({"id": 1, "labels": ["2", "1"], "key": {"a b": {"deep": null}, "same": [1]}});
        let after = json!({"id": 1, "labels": ["1"], "key": {"a b": {"deep": 2}, "same": [1], "new": {}}});
        let paths: Vec<(String, Option<Value>, Option<Value>)> =
            diff_paths(&before, &after).into_iter().map(|one| (one.path, one.before, one.after)).collect();
        assert_eq!(
            paths,
            [
                ("labels[0]".to_owned(), Some(json!("2")), None),
                ("key.\"a b\".deep".to_owned(), Some(json!(null)), Some(json!(2))),
                ("key.new".to_owned(), None, Some(json!({}))),
            ]
        );
        assert_eq!(diff_paths(&json!("text"), &json!({"a": 1})).len(), 1);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Equal values have no differences, and different values at least one.
        #[test]
        fn equal_values_have_no_differences(before in any_value(), after in any_value()) {
            let paths = diff_paths(&before, &after);
            prop_assert_eq!(paths.is_empty(), before == after);
            prop_assert!(paths.iter().all(|one| one.before != one.after));
        }
    }
}
