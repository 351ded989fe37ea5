//! `bourse approval-rule`: which orders wait for somebody's yes.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value};

use super::Error;
use super::broker::set;
use super::client::Client;
use super::print::{self, Column, Out};
use super::remote::Limit;

/// Arguments of `bourse approval-rule`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a rule, or replace all that it says.
    Put(Box<Put>),
    /// List rules.
    List(Limit),
    /// Show a rule.
    Show {
        /// The rule.
        name: String,
    },
    /// Delete a rule. What waits because of it goes on waiting.
    Delete {
        /// The rule.
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Put {
    /// 1 to 63 of a-z, 0-9 and '-'; immutable.
    name: String,
    /// Orders of this offering only.
    #[arg(long)]
    offering: Option<String>,
    /// Orders of plans of this name only.
    #[arg(long)]
    plan: Option<String>,
    /// Orders for this tenant only.
    #[arg(long)]
    tenant: Option<String>,
    /// What waits, `provision` or `update`; both where absent. May be repeated.
    #[arg(long = "on", value_name = "KIND")]
    on: Vec<String>,
    /// A user who may agree; any administrator where there is none. May be repeated.
    #[arg(long = "approver", value_name = "USER")]
    approvers: Vec<String>,
    /// How long an order waits, at most P6D; P3D where absent.
    #[arg(long, value_name = "DURATION")]
    expires_after: Option<String>,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("TENANT", "/tenant"),
    ("ON", "/on"),
    ("APPROVERS", "/approvers"),
    ("EXPIRES AFTER", "/expires_after"),
];

const FIELDS: &[Column] = &[
    ("name", "/name"),
    ("offering", "/offering"),
    ("plan", "/plan"),
    ("tenant", "/tenant"),
    ("on", "/on"),
    ("approvers", "/approvers"),
    ("expires after", "/expires_after"),
    ("created", "/created_at"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Put(put) => {
            let (name, body) = put.document();
            out.one(&client.send(Method::PUT, &["approval-rules", &name], Some(&body)).await?.body, FIELDS)
        }
        Verb::List(limit) => out.list(&client.list(&["approval-rules"], &[], limit.get()).await?, COLUMNS),
        Verb::Show { name } => out.one(&client.get(&["approval-rules", &name], &[]).await?, FIELDS),
        Verb::Delete { name } => {
            client.send(Method::DELETE, &["approval-rules", &name], None).await?;
            print::note(&format!("approval rule {name} is deleted"))
        }
    }
}

impl Put {
    fn document(self) -> (String, Value) {
        let Self { name, offering, plan, tenant, on, approvers, expires_after } = self;
        let mut body = Map::new();
        let given = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
        set(&mut body, "offering", offering);
        set(&mut body, "plan", plan);
        set(&mut body, "tenant", tenant);
        set(&mut body, "on", given(on));
        set(&mut body, "approvers", given(approvers));
        set(&mut body, "expires_after", expires_after);
        (name, body.into())
    }
}
