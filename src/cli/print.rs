//! What a command prints: a table for people, or for programs what the management API answered, as it answered it. Standard
//! output carries the result and nothing else; remarks go to standard error.
//!
//! Invariant: nothing that a broker or a tenant wrote reaches a terminal as a control sequence.

use std::io::{self, Write as _};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde_json::Value;

use super::Error;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Table,
    /// What the management API answered.
    Json,
}

/// `--output`, of every command that prints what the hub answered.
#[derive(Debug, clap::Args)]
pub(super) struct Out {
    /// How the result is printed.
    #[arg(
        id = "out_format",
        value_name = "FORMAT",
        short = 'o',
        long = "output",
        value_enum,
        default_value_t,
        global = true
    )]
    format: Format,
}

/// A column, or a line of a detailed view: its heading, and where its value is. A path is a JSON pointer in which `*` means
/// every entry of a list.
pub(super) type Column = (&'static str, &'static str);

impl Out {
    /// Whether a program reads it.
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a list (`{"items":[…],"next":…}`), and says so where it goes on.
    pub(super) fn list(&self, answer: &Value, columns: &[Column]) -> Result<(), Error> {
        if self.is_json() {
            return json(answer);
        }
        let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return note("nothing to list");
        }
        lines(&table(items, columns))?;
        if answer.get("next").is_some_and(|next| !next.is_null()) {
            note("there are more: raise --limit to see them")?;
        }
        Ok(())
    }

    /// Prints one thing, a line for each of its fields that has a value.
    pub(super) fn one(&self, answer: &Value, fields: &[Column]) -> Result<(), Error> {
        if self.is_json() { json(answer) } else { lines(&details(answer, fields)) }
    }
}

/// Prints a document as JSON.
pub(super) fn json(value: &Value) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    lines(&text)
}

/// Prints text and ends its last line.
pub(super) fn lines(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Error::Print)
}

/// Prints text as it is.
pub(super) fn exactly(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Print)
}

/// Says something beside the result.
pub(super) fn note(text: &str) -> Result<(), Error> {
    writeln!(io::stderr().lock(), "{}", plain(text)).map_err(Error::Print)
}

/// A table of items.
pub(super) fn table(items: &[Value], columns: &[Column]) -> String {
    let mut table = bare();
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for item in items {
        table.add_row(columns.iter().map(|(_, path)| or_dash(pick(item, path))));
    }
    table.trim_fmt()
}

/// A line for each field of one thing.
pub(super) fn details(item: &Value, fields: &[Column]) -> String {
    let mut table = bare();
    for (heading, path) in fields {
        let value = pick(item, path);
        if !value.is_empty() {
            table.add_row([format!("{heading}:"), value]);
        }
    }
    table.trim_fmt()
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// The value at a path as text; empty where there is none.
pub(super) fn pick(item: &Value, path: &str) -> String {
    let mut found = vec![item];
    for step in path.split('/').filter(|step| !step.is_empty()) {
        found = if step == "*" {
            found.iter().filter_map(|value| value.as_array()).flatten().collect()
        } else {
            found.iter().filter_map(|value| value.get(step)).collect()
        };
    }
    found.into_iter().map(text).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        Value::Array(entries) if entries.iter().all(Value::is_string) => {
            entries.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => plain(&other.to_string()),
    }
}

/// Without control characters, which a terminal might obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_item_and_a_dash_where_something_is_missing() {
        let items = [json!({"name": "net", "plans": [{"name": "small"}, {"name": "large"}]}), json!({"name": "b"})];
        let text = table(&items, &[("NAME", "/name"), ("PLANS", "/plans/*/name")]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [vec!["NAME", "PLANS"], vec!["net", "small,", "large"], vec!["b", "-"]]);
    }

    #[test]
    fn details_leave_out_what_has_no_value() {
        let text = details(&json!({"a": "x", "b": null, "c": []}), &[("A", "/a"), ("B", "/b"), ("C", "/c")]);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["A:", "x"]);
    }

    #[test]
    fn a_control_sequence_of_a_broker_does_not_reach_the_terminal() {
        let item = json!({"name": "\u{1b}[2Jgone\u{7}", "odd": {"k": "\u{9b}31m"}});
        for text in [table(std::slice::from_ref(&item), &[("N", "/name"), ("O", "/odd")]), pick(&item, "/name")] {
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_shown_as_they_were_sent() {
        let item: Value = serde_json::from_str(r#"{"n": 1.50}"#).unwrap();
        assert_eq!(pick(&item, "/n"), "1.50");
    }
}
