//! Judges an export by the table of [`super::table`], and by what FOCUS 1.2 demands of a whole file.

use std::collections::{BTreeMap, BTreeSet};

use bourse::domain::decimal::{Exact, read};

use super::csv::{File, Row};
use super::table::{Kind, Level, Rule, table, value};

/// A decimal number as it is written.
pub(crate) fn number(text: &str) -> Option<Exact> {
    read(text).ok()
}

/// What is wrong, each with its section, its column and its row; empty where the file is valid.
pub(crate) fn violations(file: &File) -> Vec<String> {
    let mut found = columns(file);
    for rule in table().filter(|rule| file.columns.iter().any(|column| column == rule.column)) {
        for (index, row) in file.rows.iter().enumerate() {
            found.extend(broken(rule, row).into_iter().map(|says| format!("{says} (row {index})")));
        }
    }
    found.extend(relations(file));
    found
}

/// What a row breaks of one column's rules.
pub(crate) fn broken(rule: &Rule, row: &Row) -> Vec<String> {
    let name = |what: &str| format!("{} {}: {what}", rule.section, rule.column);
    let mut found = Vec::new();
    match value(row, rule.column) {
        None if !rule.nulls => found.push(name("is null")),
        None => {}
        Some(text) => {
            if !looks(rule.kind, text) {
                found.push(name(&format!("{text:?} is no {:?}", rule.kind)));
            }
            if !rule.allowed.is_empty() && !rule.allowed.contains(&text) {
                found.push(name(&format!("{text:?} is not allowed")));
            }
        }
    }
    let conditions = rule.conditions.iter().filter(|condition| !(condition.holds)(row));
    found.extend(conditions.map(|condition| name(condition.says)));
    found
}

/// Which columns there are, and in which order.
fn columns(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    let known: BTreeMap<&str, &Rule> = table().map(|rule| (rule.column, rule)).collect();
    for rule in known.values().filter(|rule| rule.level != Level::NotOurs) {
        if !file.columns.iter().any(|column| column == rule.column) {
            found.push(format!("{} {}: is missing", rule.section, rule.column));
        }
    }
    let mut seen = BTreeSet::new();
    let mut own = false;
    for column in &file.columns {
        if !seen.insert(column) {
            found.push(format!("4.1 {column}: is there twice"));
        }
        match (known.contains_key(column.as_str()), column.strip_prefix("x_")) {
            (true, _) if own => found.push(format!("4.1 {column}: stands behind a column of ours")),
            (true, _) => {}
            (false, Some(name)) if pascal(name) => own = true,
            (false, _) => found.push(format!("4.1 {column}: is neither FOCUS's nor named x_ and in Pascal case")),
        }
    }
    found
}

fn pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && name.len() < 49
}

/// What must be the same wherever it appears.
const ONE_FOR_EACH: &[(&str, &str, &str)] = &[
    ("3.53", "SkuPriceId", "SkuId"),
    ("3.48", "ServiceName", "ServiceCategory"),
    ("3.48", "ServiceName", "ServiceSubcategory"),
    ("3.29", "InvoiceId", "BillingAccountId"),
    ("3.29", "InvoiceId", "BillingCurrency"),
    ("3.29", "InvoiceId", "BillingPeriodStart"),
];

fn relations(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (section, of, one) in ONE_FOR_EACH {
        let mut seen = BTreeMap::new();
        for row in &file.rows {
            let (Some(of_it), it) = (value(row, of), value(row, one)) else { continue };
            if *seen.entry(of_it).or_insert(it) != it {
                found.push(format!("{section} {of}: {of_it:?} has more than one {one}"));
            }
        }
    }
    found
}

/// The sum of `BilledCost` by `InvoiceId`.
pub(crate) fn invoices(file: &File) -> BTreeMap<String, Exact> {
    let mut sums = BTreeMap::new();
    for row in &file.rows {
        let (Some(invoice), Some(billed)) = (value(row, "InvoiceId"), value(row, "BilledCost").and_then(number)) else {
            continue;
        };
        *sums.entry(invoice.to_owned()).or_default() += billed;
    }
    sums
}

fn looks(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Text => !text.trim().is_empty(),
        Kind::Decimal => decimal(text),
        Kind::Instant => instant(text),
        Kind::Currency => text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
        Kind::KeyValue => key_value(text),
        Kind::Unit => unit(text),
    }
}

/// 4.7: an integer, a decimal, or either with `E` and an exponent; no plus, no comma, nothing else.
fn decimal(text: &str) -> bool {
    let (number, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = number.strip_prefix('-').unwrap_or(number);
    let (whole, part) = bare.split_once('.').unwrap_or((bare, "0"));
    digits(whole) && digits(part) && digits(exponent.strip_prefix('-').unwrap_or(exponent))
}

/// 4.3: `YYYY-MM-DDTHH:mm:ssZ`, and a time that there is.
fn instant(text: &str) -> bool {
    text.len() == 20
        && text.ends_with('Z')
        && text.parse::<jiff::Timestamp>().is_ok_and(|time| time.to_string() == text)
}

/// 4.5: a JSON object whose values are neither objects nor lists.
fn key_value(text: &str) -> bool {
    let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(text);
    object.is_ok_and(|object| object.values().all(|value| !value.is_object() && !value.is_array()))
}

/// 4.9: a whole number or none, a unit with a capital letter, and a time behind a dash or a slash or none.
fn unit(text: &str) -> bool {
    const TIMES: [&str; 6] = ["Year", "Month", "Day", "Hour", "Minute", "Second"];
    let name = match text.split_once(' ') {
        Some((count, name)) if !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) => return false,
        None => text,
    };
    let capital = |name: &str| {
        name == "b" || name.starts_with(|c: char| c.is_uppercase() || (!c.is_lowercase() && c.is_alphabetic()))
    };
    match (name.split_once('-'), name.split_once('/')) {
        (Some((unit, times)), None) => capital(unit) && TIMES.iter().any(|time| times == format!("{time}s")),
        (None, Some((units, time))) => capital(units) && TIMES.contains(&time),
        (None, None) => capital(name) && !TIMES.contains(&name),
        (Some(_), Some(_)) => false,
    }
}

#[test]
fn values_are_judged_as_the_attributes_say() {
    for (kind, good, bad) in [
        (
            Kind::Decimal,
            &["0", "-100.2", "35.2E-7", "1.0"][..],
            &["+1", "1,5", "1 1/2", "35E+7", "", "1.", ".5", "NaN"][..],
        ),
        (
            Kind::Instant,
            &["2026-11-01T00:00:00Z"][..],
            &[
                "2026-11-01T00:00:00+01:00",
                "2026-11-01",
                "2026-11-31T00:00:00Z",
                "2026-11-01T00:00:00.5Z",
                "2026-11-01 00:00:00Z",
            ][..],
        ),
        (Kind::Currency, &["EUR"][..], &["eur", "Euro", "E"][..]),
        (
            Kind::KeyValue,
            &["{}", r#"{"a":"b","c":true,"d":null}"#][..],
            &["[]", "a", r#"{"a":{}}"#, r#"{"a":[1]}"#][..],
        ),
        (
            Kind::Unit,
            &["GB", "GB-Hours", "1000 Requests", "Requests/Day", "Seconds", "b"][..],
            &["gigabytes", "GB-hours", "1.5 Requests", "Hour", "GB-Hour", "some Requests", "a/b/c"][..],
        ),
        (Kind::Text, &["a", "Größe, \"x\""][..], &["", "  "][..]),
    ] {
        for text in good {
            assert!(looks(kind, text), "{text:?} is a {kind:?}");
        }
        for text in bad {
            assert!(!looks(kind, text), "{text:?} is no {kind:?}");
        }
    }
}
