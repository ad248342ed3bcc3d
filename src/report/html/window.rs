//! The hours of the week as a heat map.

use maud::{Markup, html};

use crate::report::words::window::{self, DAYS};
use crate::upgrade::window::{HourOfWeek, UpgradeWindow};

use super::text::prose;

/// Pixels of an hour, with the space around it.
const CELL: usize = 20;

/// Pixels in front of the hours, for the names of the days.
const LABEL: usize = 44;

/// The map, and the best hour in words.
pub fn section(found: &UpgradeWindow) -> Option<Markup> {
    let (width, height) = (LABEL + 24 * CELL, 8 * CELL);
    Some(html! {
        @for line in window::lines(found) { p { (prose(&line)) "." } }
        figure {
            svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(window::heading(found)) {
                @for hour in [0, 6, 12, 18] {
                    text x=(LABEL + hour * CELL) y="14" font-size="12" fill="currentColor" { (hour) }
                }
                @for (day, name) in DAYS.iter().enumerate() {
                    text x="0" y=((day + 1) * CELL + 14) font-size="12" fill="currentColor" { (name) }
                }
                @for hour in &found.hours { (cell(found, hour)) }
            }
            figcaption { (prose(&window::heading(found))) ", fuller for more requests; an empty frame is \
                not in the log." }
        }
    })
}

fn cell(found: &UpgradeWindow, hour: &HourOfWeek) -> Markup {
    let share = window::share(found, hour);
    let opacity = share.map_or(0.0, |share| 0.08 + share * 0.92);
    let title = match hour.per_minute {
        None => format!("{} {:02}:00: not in the log", DAYS[hour.day], hour.hour),
        Some(rate) => format!(
            "{} {:02}:00: {rate:.1} requests a minute, {:.1} wait",
            DAYS[hour.day], hour.hour, hour.waiting
        ),
    };
    html! {
        rect x=(LABEL + hour.hour * CELL) y=((hour.day + 1) * CELL) width=(CELL - 2) height=(CELL - 2)
            fill="currentColor" fill-opacity=(format!("{opacity:.2}")) stroke="currentColor" stroke-opacity="0.3" {
            title { (title) }
        }
    }
}
