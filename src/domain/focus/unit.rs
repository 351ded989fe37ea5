//! Units in FOCUS's words (Unit Format): data sizes abbreviated, everything else in the plural with a capital letter, time behind a
//! dash: `GB`, `Requests`, `GB-Hours`, `1000 Requests`.
//!
//! Brokers write units as they like; what is not recognised is taken for an English noun.

use crate::domain::decimal::Decimal;
use crate::domain::price::Per;

const SIZES: [&str; 26] = [
    "b", "Kb", "Mb", "Gb", "Tb", "Pb", "Eb", "Kib", "Mib", "Gib", "Tib", "Pib", "Eib", "B", "KB", "MB", "GB", "TB",
    "PB", "EB", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB",
];

/// How a time is written, in the plural.
pub(super) fn time(per: Per) -> &'static str {
    match per {
        Per::Hour => "Hours",
        Per::Day => "Days",
        Per::Month => "Months",
    }
}

/// A unit of which there are several.
pub(super) fn plural(unit: &str) -> String {
    if let Some((before, after)) = unit.split_once('/') {
        return format!("{}/{}", several(before), one(after));
    }
    match unit.split_once('-') {
        Some((before, after)) => format!("{}-{}", one(before), several(after)),
        None => several(unit),
    }
}

/// So long of a unit.
pub(super) fn over_time(unit: &str, per: Per) -> String {
    format!("{}-{}", one(unit), time(per))
}

/// So many of a unit at once; its name is in the plural already.
pub(super) fn package(size: Decimal, units: &str) -> String {
    let size = size.to_string();
    match size.as_str() {
        "1" => units.to_owned(),
        // Only whole numbers may stand before a unit.
        _ if size.contains('.') => "Packages".to_owned(),
        _ => format!("{size} {units}"),
    }
}

fn one(unit: &str) -> String {
    let unit = unit.trim();
    if let Some(known) = known(unit) {
        return known.to_owned();
    }
    let mut name = String::new();
    // A unit is one noun: `key_version` is a `KeyVersion`.
    for word in unit.split(|c: char| c == '_' || c.is_whitespace()) {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
    }
    if name.is_empty() { "Unit".to_owned() } else { name }
}

fn several(unit: &str) -> String {
    let name = one(unit);
    if SIZES.contains(&name.as_str()) {
        return name;
    }
    let before_last = name.chars().rev().nth(1);
    let vowel = before_last.is_some_and(|c| "aeiouAEIOU".contains(c));
    match name.chars().last() {
        Some('s' | 'S') if before_last.is_none_or(|c| !"sS".contains(c)) => name,
        Some('s' | 'S' | 'x' | 'z') => format!("{name}es"),
        Some('h') if before_last.is_some_and(|c| "cs".contains(c)) => format!("{name}es"),
        Some('y') if !vowel => format!("{}ies", name.trim_end_matches('y')),
        Some(last) if last.is_alphabetic() && last.is_ascii() => format!("{name}s"),
        _ => name,
    }
}

fn known(unit: &str) -> Option<&'static str> {
    let size = SIZES.iter().find(|size| **size == unit).copied();
    size.or_else(|| {
        Some(match unit.to_ascii_lowercase().as_str() {
            "by" | "byte" | "bytes" => "B",
            "bit" | "bits" => "b",
            "kby" => "KB",
            "mby" => "MB",
            "gby" => "GB",
            "tby" => "TB",
            "kiby" => "KiB",
            "miby" => "MiB",
            "giby" => "GiB",
            "tiby" => "TiB",
            "s" | "sec" | "second" | "seconds" => "Second",
            "min" | "minute" | "minutes" => "Minute",
            "h" | "hour" | "hours" => "Hour",
            "d" | "day" | "days" => "Day",
            "mo" | "month" | "months" => "Month",
            "a" | "year" | "years" => "Year",
            "1" => "Unit",
            _ => return None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_words_become_those_of_the_specification() {
        for (unit, written) in [
            ("GB", "GB"),
            ("GiB", "GiB"),
            ("By", "B"),
            ("bytes", "B"),
            ("s", "Seconds"),
            ("request", "Requests"),
            ("requests", "Requests"),
            ("address", "Addresses"),
            ("prefix", "Prefixes"),
            ("entry", "Entries"),
            ("key", "Keys"),
            ("branch", "Branches"),
            ("key_version", "KeyVersions"),
            ("GB-hour", "GB-Hours"),
            ("request/second", "Requests/Second"),
            ("größe", "Größes"),
            ("件", "件"),
            ("", "Units"),
            ("1", "Units"),
        ] {
            assert_eq!(plural(unit), written, "{unit}");
        }
        assert_eq!(over_time("GB", Per::Hour), "GB-Hours");
        assert_eq!(over_time("address", Per::Month), "Address-Months");
        assert_eq!(over_time("seat", Per::Day), "Seat-Days");
    }

    #[test]
    fn a_package_is_so_many_units_where_that_is_a_whole_number() {
        let package = |size: &str| package(size.parse().unwrap(), "Requests");
        assert_eq!(["1", "1000", "0.5"].map(package), ["Requests", "1000 Requests", "Packages"].map(str::to_owned));
    }
}
