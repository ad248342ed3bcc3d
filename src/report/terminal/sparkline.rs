//! Counts over time in one line of text.

use std::time::Duration;

use serde_json::Value;

use crate::text::humanize;

/// The columns that the scale behind the line takes.
const SCALE: usize = "  (a column is 120 min)".len();

/// The counts of a timeline, each column as high as its share of the highest, and how long a column lasts; `None` where
/// there is nothing to compare.
pub fn render(timeline: &Value, width: usize) -> Option<String> {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mut counts: Vec<u64> = timeline.get("counts")?.as_array()?.iter().filter_map(Value::as_u64).collect();
    let mut seconds = timeline.get("seconds")?.as_u64()?;
    if counts.len() < 2 {
        return None;
    }
    // Two columns become one until they fit beside the scale.
    while counts.len() > 1 && counts.len() + SCALE > width {
        counts = counts.chunks(2).map(|pair| pair.iter().sum()).collect();
        seconds *= 2;
    }
    let highest = *counts.iter().max()?;
    let column = |&count: &u64| match (count * 7).checked_div(highest) {
        Some(height) if count > 0 => HEIGHTS[height as usize],
        _ => ' ',
    };
    let line: String = counts.iter().map(column).collect();
    Some(format!(
        "{}  (a column is {})",
        line.replace(' ', "·"),
        humanize::format_duration(Duration::from_secs(seconds))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_high_as_their_counts_and_fit() {
        let timeline = json!({"from": "", "seconds": 64, "counts": [1, 0, 4, 8]});
        assert_eq!(render(&timeline, 80).unwrap(), "▁·▄█  (a column is 64 s)");
        assert_eq!(render(&timeline, 25).unwrap(), "▁█  (a column is 2 min)");
        assert_eq!(render(&json!({"from": "", "seconds": 1, "counts": [3]}), 80), None);
        assert_eq!(render(&Value::Null, 80), None);
    }
}
