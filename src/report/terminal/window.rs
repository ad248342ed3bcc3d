//! The hours of the week in which an upgrade keeps more or fewer requests waiting.

use crate::report::words::window::{DAYS, heading, is_felt, lines, share};
use crate::terminal::page::Page;
use crate::terminal::style::{DIM, GOOD, NAME, paint};
use crate::text::escape::escape_control;
use crate::upgrade::window::{HourOfWeek, UpgradeWindow};

/// The heat map, the best hour, and who would wait.
pub fn human(window: &UpgradeWindow, page: Page) -> String {
    let mut out = format!("\n{}\n", paint(NAME, heading(window)));
    out.push_str(&format!("     {}\n", paint(DIM, "0     6     12    18")));
    for (day, name) in DAYS.iter().enumerate() {
        let cells: String =
            window.hours.iter().filter(|hour| hour.day == day).map(|hour| cell(window, hour)).collect();
        out.push_str(&format!("{name}  {cells}\n"));
    }
    let legend = if is_felt(window) {
        "requests that wait, from few ░ to many █"
    } else {
        "requests a minute, from few ░ to many █"
    };
    out.push_str(&page.wrap(&paint(DIM, format!("{legend}; · is not in the log")), 0));
    for (at, line) in lines(window).iter().enumerate() {
        let line = escape_control(line);
        out.push_str(&page.wrap(&if at == 0 { paint(GOOD, line) } else { line }, 0));
    }
    out
}

fn cell(window: &UpgradeWindow, hour: &HourOfWeek) -> char {
    match share(window, hour) {
        None => '·',
        Some(share) if share <= 0.0 => ' ',
        Some(share) if share <= 0.25 => '░',
        Some(share) if share <= 0.5 => '▒',
        Some(share) if share <= 0.75 => '▓',
        Some(_) => '█',
    }
}
