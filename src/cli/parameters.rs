//! `bourse parameters`: which of a plan's parameters have another default, are forced, or may not be given.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value};

use super::Error;
use super::client::{self, Client};
use super::params::{self, pair, value};
use super::print::{self, Column, Out};
use super::remote::Limit;

/// Arguments of `bourse parameters`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what a plan's parameters are, in place of all that was said before.
    Set(Box<Set>),
    /// List what is said about plans' parameters.
    List(Limit),
    /// Show what is said about a plan's parameters.
    Show(Plan),
    /// Say nothing about a plan's parameters any more.
    Delete(Plan),
}

#[derive(Debug, clap::Args)]
struct Plan {
    /// The offering.
    offering: String,
    /// The plan.
    plan: String,
    /// In orders for this tenant only; in all where absent.
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    plan: Plan,
    /// What a new instance has where the order says nothing; the value is JSON where it is that, and else a string. May be repeated.
    #[arg(long = "default", value_name = "KEY=VALUE", value_parser = pair)]
    defaults: Vec<(String, String)>,
    /// What each instance has. May be repeated.
    #[arg(long = "force", value_name = "KEY=VALUE", value_parser = pair)]
    forced: Vec<(String, String)>,
    /// What no order may say, as a JSON pointer such as /peer. May be repeated.
    #[arg(long = "forbid", value_name = "POINTER")]
    forbidden: Vec<String>,
    /// The whole document as JSON, `-` for standard input; the other options go on top.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Plan {
    fn path(&self) -> [&str; 5] {
        ["offerings", &self.offering, "plans", &self.plan, "parameters"]
    }

    fn query(&self) -> Vec<(&str, &str)> {
        self.tenant.iter().map(|tenant| ("tenant", tenant.as_str())).collect()
    }
}

impl Set {
    fn document(&self) -> Result<Value, client::Error> {
        let mut body = self.file.as_deref().map(params::object).transpose()?.unwrap_or_default();
        for (field, pairs) in [("default", &self.defaults), ("force", &self.forced)] {
            if let Some(field) = object(&mut body, field, !pairs.is_empty())? {
                field.extend(pairs.iter().map(|(key, text)| (key.clone(), value(text))));
            }
        }
        if !self.forbidden.is_empty() {
            let before = body.entry("forbid").or_insert_with(|| Value::Array(Vec::new()));
            let wrong = || client::Error::Usage("`forbid` in the document is no list".to_owned());
            before.as_array_mut().ok_or_else(wrong)?.extend(self.forbidden.iter().cloned().map(Value::from));
        }
        Ok(body.into())
    }
}

/// A field that is an object, made where it is not there.
fn object<'a>(
    body: &'a mut Map<String, Value>,
    field: &str,
    wanted: bool,
) -> Result<Option<&'a mut Map<String, Value>>, client::Error> {
    if !wanted {
        return Ok(None);
    }
    let found = body.entry(field).or_insert_with(|| Value::Object(Map::new())).as_object_mut();
    found.map(Some).ok_or_else(|| client::Error::Usage(format!("`{field}` in the document is no object")))
}

const COLUMNS: &[Column] = &[
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("TENANT", "/tenant"),
    ("DEFAULT", "/default"),
    ("FORCE", "/force"),
    ("FORBID", "/forbid"),
];

const FIELDS: &[Column] = &[
    ("offering", "/offering"),
    ("plan", "/plan"),
    ("tenant", "/tenant"),
    ("default", "/default"),
    ("force", "/force"),
    ("forbid", "/forbid"),
    ("created", "/created_at"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Set(set) => {
            let (path, query, body) = (set.plan.path(), set.plan.query(), set.document()?);
            out.one(&client.send_about(Method::PUT, &path, &query, Some(&body)).await?.body, FIELDS)
        }
        Verb::List(limit) => out.list(&client.list(&["parameters"], &[], limit.get()).await?, COLUMNS),
        Verb::Show(plan) => out.one(&client.get(&plan.path(), &plan.query()).await?, FIELDS),
        Verb::Delete(plan) => {
            client.send_about(Method::DELETE, &plan.path(), &plan.query(), None).await?;
            print::note(&format!("nothing is said about the parameters of {} {} any more", plan.offering, plan.plan))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_in_words_goes_on_top_of_a_file() {
        let plan = Plan { offering: "o".to_owned(), plan: "p".to_owned(), tenant: Some("t".to_owned()) };
        let (defaults, forced) = (vec![pair("size=3").unwrap()], vec![pair("region=eu-1").unwrap()]);
        let set = Set { plan, defaults, forced, forbidden: vec!["/peer".to_owned()], file: None };
        let whole = json!({"default": {"size": 3}, "force": {"region": "eu-1"}, "forbid": ["/peer"]});
        assert_eq!(set.document().unwrap(), whole);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, br#"{"default": {"size": 1, "a": {}}, "forbid": ["/x"]}"#).unwrap();
        let set = Set { file: Some(file.path().to_owned()), ..set };
        let whole = json!({"default": {"size": 3, "a": {}}, "force": {"region": "eu-1"}, "forbid": ["/x", "/peer"]});
        assert_eq!(set.document().unwrap(), whole);
        std::io::Write::write_all(&mut file.reopen().unwrap(), br#"{"default": [],  "f": 1, "a":{}, "g": 1234567890}"#)
            .unwrap();
        assert!(set.document().is_err());
    }
}
