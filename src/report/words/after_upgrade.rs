//! How the last upgrade went, in a line.

use crate::text::humanize::format_count;
use crate::upgrade::outcome::UpgradeOutcome;

/// Returns a sentence with the outcome, the rows compared with the prediction, and what is left to do.
pub fn sentence(outcome: &UpgradeOutcome) -> String {
    let from = outcome.from.as_ref().map(|from| format!(" (before: {from})")).unwrap_or_default();
    let mut parts = match outcome.succeeded {
        true => vec![format!("to {} succeeded{from}, no migration failed", outcome.to)],
        false => vec![format!("to {}{from} FAILED: {}", outcome.to, outcome.failed.join(", "))],
    };
    if outcome.succeeded {
        let fewer: Vec<String> = outcome
            .fewer
            .iter()
            .map(|one| {
                let now = one.now.map_or("gone".to_owned(), format_count);
                let was = format!("{} {} → {now}", one.table, format_count(one.then));
                if one.then - one.now.unwrap_or_default() <= one.predicted {
                    was
                } else {
                    format!("{was} ({} predicted to go)", format_count(one.predicted))
                }
            })
            .collect();
        let verdict = if outcome.as_predicted { "rows as predicted" } else { "FEWER rows than predicted" };
        let fewer = if fewer.is_empty() { String::new() } else { format!("{}, ", fewer.join(", ")) };
        parts.push(format!("{verdict}: {fewer}none missing in {} other tables", outcome.others));
    }
    let left = if outcome.left.is_empty() { "nothing".to_owned() } else { outcome.left.join(", ") };
    parts.push(format!("left to do: {left}"));
    parts.join("; ")
}
