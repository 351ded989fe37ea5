//! The cases, in the order in which they are run: one file for each part of the specification.
//!
//! A case is a small async function over a [`Run`]. It names the rows that it judges, so that each of them is "not judged" with
//! the reason where the case can't be carried out; what it does not see it says nothing about. To add one: write the
//! function, add it to its file's `CASES` with its rows, and take the rows out of [`unseen`] where they stand there.

mod auth;
mod bind;
mod bind_refusals;
pub(super) mod catalog;
mod catalog_plan;
mod concurrency;
mod deprovision;
mod fetch;
mod headers;
mod polling;
mod provision;
mod provision_refusals;
mod rotate;
mod unbind;
mod unseen;
mod update;
mod update_refusals;

use std::pin::Pin;

use serde_json::Value;

use super::probe::CaseResult;
use super::run::Run;

pub(super) use unseen::unseen;

/// What a case is while it runs.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = CaseResult> + Send + 'a>>;

/// A case.
#[derive(Clone, Copy)]
pub(super) struct Case {
    /// What it does, in a few words.
    pub(super) name: &'static str,
    /// What it judges.
    pub(super) rows: &'static [&'static str],
    /// Whether it concerns plans that can be bound to only.
    pub(super) of_bindings: bool,
    pub(super) run: for<'a> fn(&'a Run) -> Running<'a>,
}

/// All cases over a plan, in order. Those before the last group leave instances alone that they share.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [
        headers::CASES,
        auth::CASES,
        provision::CASES,
        provision_refusals::CASES,
        fetch::CASES,
        bind::CASES,
        bind_refusals::CASES,
        rotate::CASES,
        update::CASES,
        update_refusals::CASES,
        polling::CASES,
        concurrency::CASES,
        unbind::CASES,
        deprovision::CASES,
    ]
    .into_iter()
    .flatten()
}

/// How many cases there are, the catalog's not counted.
pub fn count() -> usize {
    all().count()
}

/// Every row that a case judges, or that is judged with every answer.
pub fn judged_rows() -> Vec<&'static str> {
    let everywhere = ["RID-02", "CT-01", "ERR-02", "ERR-03", "ERR-04", "ERR-10", "ERR-11", "ASY-01", "AMB-06"];
    let mut rows: Vec<&'static str> =
        all().flat_map(|case| case.rows).chain(catalog::ROWS).chain(&everywhere).copied().collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// The same with that field.
pub(super) fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut changed = body.clone();
    changed[field] = value;
    changed
}

/// The same without that field.
pub(super) fn without(body: &Value, field: &str) -> Value {
    let mut changed = body.clone();
    if let Some(fields) = changed.as_object_mut() {
        fields.remove(field);
    }
    changed
}

/// The same with each value that a required string can't have, and what that is called.
pub(super) fn without_string(body: &Value, field: &str) -> [(String, Value); 4] {
    [
        (format!("no {field}"), without(body, field)),
        (format!("an empty {field}"), with(body, field, Value::from(""))),
        (format!("null for {field}"), with(body, field, Value::Null)),
        (format!("a number for {field}"), with(body, field, Value::from(42))),
    ]
}

/// Bodies that are no JSON object.
pub(super) const MALFORMED: [(&str, &str); 4] =
    [("a body that is cut off", "{\"service_id\":"), ("an array", "[]"), ("a string", "\"text\""), ("no body", "")];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::conformance::requirement::{row, rows};

    #[test]
    fn each_row_of_brokers_has_a_case_or_a_reason() {
        let judged: BTreeSet<&str> = judged_rows().into_iter().collect();
        let missing: Vec<&str> = rows()
            .iter()
            .filter(|row| row.is_for_brokers() && !judged.contains(row.id) && unseen(row).is_none())
            .map(|row| row.id)
            .collect();
        assert!(missing.is_empty(), "neither case nor reason: {missing:?}");
    }

    #[test]
    fn cases_judge_rows_that_there_are() {
        let names: BTreeSet<&str> = all().map(|case| case.name).collect();
        assert_eq!(names.len(), count(), "two cases have one name");
        for id in judged_rows() {
            assert!(row(id).is_some(), "{id}");
        }
    }
}
