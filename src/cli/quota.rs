//! `bourse quota`: how much a tenant may have of something at most.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Error;
use super::broker::set;
use super::client::Client;
use super::print::{self, Column, Out};
use super::remote::Limit;

/// Arguments of `bourse quota`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a quota, or replace all that it says. What exists already is counted.
    Put(Box<Put>),
    /// List quotas and what is used of them.
    List {
        /// Of this tenant only.
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a quota and what is used of it.
    Show {
        /// The quota.
        name: String,
    },
    /// Delete a quota: nothing is counted any more.
    Delete {
        /// The quota.
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Put {
    /// 1 to 63 of a-z, 0-9 and '-'; immutable.
    name: String,
    /// Whose it is.
    #[arg(long)]
    tenant: String,
    /// Of this offering only.
    #[arg(long)]
    offering: Option<String>,
    /// Of plans of this name only.
    #[arg(long)]
    plan: Option<String>,
    /// How much there may be.
    #[arg(long)]
    limit: String,
    /// Count this parameter instead of instances, such as /size_gb.
    #[arg(long, value_name = "POINTER")]
    parameter: Option<String>,
    /// What the parameter stands for: `addresses_v4` for the length of an IPv4 prefix.
    #[arg(long = "as", value_name = "WHAT", requires = "parameter")]
    reads: Option<String>,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("TENANT", "/tenant"),
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("MEASURE", "/measure"),
    ("LIMIT", "/limit"),
    ("USED", "/used"),
];

const FIELDS: &[Column] = &[
    ("name", "/name"),
    ("tenant", "/tenant"),
    ("offering", "/offering"),
    ("plan", "/plan"),
    ("measure", "/measure"),
    ("limit", "/limit"),
    ("used", "/used"),
    ("unmeasured", "/unmeasured"),
    ("created", "/created_at"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Put(put) => {
            let (name, body) = put.document();
            out.one(&client.send(Method::PUT, &["quotas", &name], Some(&body)).await?.body, FIELDS)
        }
        Verb::List { tenant, limit } => {
            let query: Vec<_> = tenant.iter().map(|tenant| ("tenant", tenant.as_str())).collect();
            out.list(&client.list(&["quotas"], &query, limit.get()).await?, COLUMNS)
        }
        Verb::Show { name } => out.one(&client.get(&["quotas", &name], &[]).await?, FIELDS),
        Verb::Delete { name } => {
            client.send(Method::DELETE, &["quotas", &name], None).await?;
            print::note(&format!("quota {name} is deleted"))
        }
    }
}

impl Put {
    fn document(self) -> (String, Value) {
        let Self { name, tenant, offering, plan, limit, parameter, reads } = self;
        let mut body = Map::new();
        set(&mut body, "tenant", Some(tenant));
        set(&mut body, "offering", offering);
        set(&mut body, "plan", plan);
        set(&mut body, "limit", Some(limit));
        let measure = match (parameter, reads) {
            (Some(parameter), Some(reads)) => json!({ "parameter": parameter, "as": reads }),
            (Some(parameter), None) => json!({ "parameter": parameter }),
            (None, _) => json!("count"),
        };
        set(&mut body, "measure", Some(measure));
        (name, body.into())
    }
}
