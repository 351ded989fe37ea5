//! `bourse statement`: a tenant's month, which months are closed, and whether their facts still give the same bytes.

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::Error;
use super::client::{self, Client};
use super::instance::given;
use super::print::{self, Column, Out, pick};
use super::remote::Limit;

/// Arguments of `bourse statement`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show a tenant's month: the closed statement, or what it would be by what is known now.
    Show {
        #[command(flatten)]
        which: Which,
        /// As a file that others read, to standard output.
        #[arg(long, value_enum, value_name = "FORM")]
        form: Option<Form>,
    },
    /// List the months that are closed.
    List {
        /// Of this tenant only.
        #[arg(long)]
        tenant: Option<String>,
        /// Of this month only.
        #[arg(long, value_name = "YYYY-MM")]
        period: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Compute a closed month again from its facts, and fail where that does not give the same bytes.
    Verify {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Whose: a name, or the id of a deleted tenant.
    #[arg(long)]
    tenant: String,
    /// Which month.
    #[arg(long, value_name = "YYYY-MM")]
    period: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a spreadsheet.
    Csv,
    /// To read or print.
    Html,
    /// The very bytes of which the digest is.
    Json,
}

const FIELDS: &[Column] = &[
    ("tenant", "/tenant/name"),
    ("period", "/period"),
    ("state", "/state"),
    ("from", "/from"),
    ("to", "/to"),
    ("calendar", "/time_zone"),
    ("known at", "/known_at"),
    ("total", "/total"),
    ("currency", "/currency"),
];

const LINES: &[Column] = &[
    ("COST CENTER", "/cost_center"),
    ("INSTANCE", "/instance_name"),
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("METER", "/meter"),
    ("QUANTITY", "/quantity"),
    ("UNIT", "/unit"),
    ("AMOUNT", "/amount"),
    ("CORRECTS", "/corrects"),
];

const CLOSED: &[Column] = &[
    ("PERIOD", "/period"),
    ("TENANT", "/tenant"),
    ("TOTAL", "/total"),
    ("CURRENCY", "/currency"),
    ("CLOSED", "/closed_at"),
    ("DIGEST", "/digest"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Show { which, form } => {
            let query = [("tenant", which.tenant.as_str()), ("period", which.period.as_str())];
            match form {
                Some(form) => print::exactly(&client.text(&["statements"], &query, form.media_type()).await?),
                None => show(&client.get(&["statements"], &query).await?, &out),
            }
        }
        Verb::List { tenant, period, limit } => {
            let query = given(&[("tenant", &tenant), ("period", &period)]);
            out.list(&client.list(&["statements", "closed"], &query, limit.get()).await?, CLOSED)
        }
        Verb::Verify { which } => {
            let body = json!({ "tenant": which.tenant, "period": which.period });
            let verified = client.send(Method::POST, &["statements", "verify"], Some(&body)).await?.body;
            out.one(&verified, &[("same", "/same"), ("digest", "/digest"), ("restated", "/restated_digest")])?;
            if verified.get("same") == Some(&Value::Bool(true)) {
                return Ok(());
            }
            let told = format!(
                "the facts of {} {} give another statement than the one that was closed",
                which.tenant, which.period
            );
            Err(client::Error::Outcome(told).into())
        }
    }
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Html => "text/html",
            Self::Json => "application/json",
        }
    }
}

fn show(statement: &Value, out: &Out) -> Result<(), Error> {
    out.one(statement, FIELDS)?;
    if out.is_json() {
        return Ok(());
    }
    for (heading, field) in [("lines", "lines"), ("without a price", "unpriced")] {
        let entries = statement.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let entries: Vec<Value> = entries.iter().map(named).collect();
        if !entries.is_empty() {
            print::lines(&format!("\n{heading}:\n{}", print::table(&entries, LINES)))?;
        }
    }
    Ok(())
}

/// A line that names its instance by whatever there is.
fn named(line: &Value) -> Value {
    let mut line = line.clone();
    if pick(&line, "/instance_name").is_empty() {
        let id = pick(&line, "/instance_id");
        if let Some(fields) = line.as_object_mut() {
            fields.insert("instance_name".to_owned(), Value::String(id));
        }
    }
    line
}
