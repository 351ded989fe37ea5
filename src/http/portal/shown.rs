//! How times, amounts and numbers are told on pages.

use maud::{Markup, html};

use crate::clock::Time;

/// An instant, to the minute in UTC; its machine-readable form goes with it.
pub fn time(at: Time) -> Markup {
    html! { time datetime=(at.to_string()) { (in_words(at)) } }
}

/// A day in UTC.
pub fn day(at: Time) -> Markup {
    html! { time datetime=(at.to_string()) { (format(at, "%-d %b %Y")) } }
}

/// An instant as text: `3 Nov 2026, 09:05 UTC`.
pub fn in_words(at: Time) -> String {
    format(at, "%-d %b %Y, %H:%M UTC")
}

fn format(at: Time, how: &str) -> String {
    let timestamp = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    timestamp.to_zoned(jiff::tz::TimeZone::UTC).strftime(how).to_string()
}

/// How long something takes: the two largest units.
pub fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if rest >= size {
            parts.push(format!("{} {unit}", rest / size));
            rest %= size;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// A number of things, with the word for one and for more.
pub fn count(number: usize, one: &str, more: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {more}") }
}

/// The first price of a thing in short, where others may come on top of it.
pub fn price(first: &str, more: bool) -> String {
    match (more, first.strip_prefix("free")) {
        (false, _) => first.to_owned(),
        // Why it is free stands where all its prices do.
        (true, Some(_)) => "free at first, use may cost".to_owned(),
        (true, None) => format!("from {first}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_told_in_short_where_it_is_not_all() {
        let told = [("4 EUR", false), ("4 EUR", true), ("free, a pilot", false), ("free, a pilot", true)]
            .map(|(first, more)| price(first, more));
        assert_eq!(told, ["4 EUR", "from 4 EUR", "free, a pilot", "free at first, use may cost"]);
    }

    #[test]
    fn times_and_durations_are_told_in_words() {
        assert_eq!(in_words(Time(1_793_696_700_000_000)), "3 Nov 2026, 09:05 UTC");
        let told: Vec<_> = [0, 59, 61, 3_600, 90_061].into_iter().map(duration).collect();
        assert_eq!(told, ["0 s", "59 s", "1 min 1 s", "1 h", "1 d 1 h"]);
        assert_eq!((count(1, "plan", "plans"), count(0, "plan", "plans")), ("1 plan".to_owned(), "0 plans".to_owned()));
    }
}
