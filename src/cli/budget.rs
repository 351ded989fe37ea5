//! `bourse budget`: how much a tenant or a cost center may cost in a month.

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Error;
use super::client::Client;
use super::print::{Column, Out};
use super::remote::Limit;

/// Arguments of `bourse budget`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a budget, or replace all that it says.
    Put(Box<New>),
    /// List budgets.
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a budget and what was spent of it.
    Show {
        /// Its name.
        name: String,
    },
    /// Delete a budget.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct New {
    /// Its name.
    name: String,
    /// Whose costs count: all of this tenant.
    #[arg(long, required_unless_present = "cost_center", conflicts_with = "cost_center")]
    tenant: Option<String>,
    /// Whose costs count: all that goes to this cost center.
    #[arg(long)]
    cost_center: Option<String>,
    /// How much a month, such as 500.
    #[arg(long)]
    amount: String,
    /// That of the hub's prices, such as EUR.
    #[arg(long)]
    currency: String,
    /// Percent of the amount at which it is told; 80 and 100 where absent.
    #[arg(long = "threshold", value_name = "PERCENT")]
    thresholds: Vec<String>,
    /// What happens once it is spent.
    #[arg(long, value_enum, default_value_t)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Action {
    /// It is told.
    #[default]
    Notify,
    /// Orders and changes of plan are refused.
    Block,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("TENANT", "/tenant"),
    ("COST CENTER", "/cost_center"),
    ("AMOUNT", "/amount"),
    ("CURRENCY", "/currency"),
    ("THRESHOLDS", "/thresholds"),
    ("ACTION", "/action"),
];

const FIELDS: &[Column] = &[
    ("name", "/name"),
    ("tenant", "/tenant"),
    ("cost center", "/cost_center"),
    ("amount", "/amount"),
    ("currency", "/currency"),
    ("thresholds", "/thresholds"),
    ("action", "/action"),
    ("period", "/now/period"),
    ("spent", "/now/spent"),
    ("told", "/now/told"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Put(new) => {
            let answer = client.send(Method::PUT, &["budgets", &new.name], Some(&document(&new))).await?;
            out.one(&answer.body, FIELDS)
        }
        Verb::List { limit } => out.list(&client.list(&["budgets"], &[], limit.get()).await?, COLUMNS),
        Verb::Show { name } => out.one(&client.get(&["budgets", &name], &[]).await?, FIELDS),
        Verb::Delete { name } => Ok(client.send(Method::DELETE, &["budgets", &name], None).await.map(drop)?),
    }
}

fn document(new: &New) -> Value {
    let action = if new.action == Action::Block { "block" } else { "notify" };
    let mut document = Map::new();
    let mut put = |field: &str, value: Value| drop(document.insert(field.to_owned(), value));
    for (field, value) in [("tenant", &new.tenant), ("cost_center", &new.cost_center)] {
        if let Some(value) = value {
            put(field, json!(value));
        }
    }
    put("amount", json!(new.amount));
    put("currency", json!(new.currency));
    put("action", json!(action));
    if !new.thresholds.is_empty() {
        put("thresholds", json!(new.thresholds));
    }
    document.into()
}
