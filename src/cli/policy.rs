//! `bourse policy`: rules in Cedar that refuse orders, or warn of them.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Error;
use super::client::Client;
use super::params::text;
use super::print::{self, Column, Out};
use super::remote::Limit;

/// Arguments of `bourse policy`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create or replace a policy.
    Put {
        /// 1 to 63 of a-z, 0-9 and '-'; immutable.
        name: String,
        /// A file with the policy in Cedar; `-` for standard input.
        file: PathBuf,
        /// Only warn of what it forbids.
        #[arg(long)]
        warn: bool,
    },
    /// Say what of all that stands a policy would refuse; the first page.
    Simulate {
        /// A file with the policy in Cedar; `-` for standard input.
        file: PathBuf,
        /// Of this tenant only.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// List policies.
    List(Limit),
    /// Show a policy.
    Show {
        /// The policy.
        name: String,
    },
    /// Delete a policy.
    Delete {
        /// The policy.
        name: String,
    },
}

const COLUMNS: &[Column] = &[("NAME", "/name"), ("MODE", "/mode"), ("CREATED", "/created_at")];
const FIELDS: &[Column] = &[("name", "/name"), ("mode", "/mode"), ("created", "/created_at"), ("text", "/text")];
const REFUSED: &[Column] = &[
    ("INSTANCE", "/instance_id"),
    ("NAME", "/name"),
    ("TENANT", "/tenant"),
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("WHY", "/policies/*/message"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Put { name, file, warn } => {
            let mode = if warn { "warn" } else { "enforce" };
            let body = json!({ "text": text(&file)?, "mode": mode });
            out.one(&client.send(Method::PUT, &["policies", &name], Some(&body)).await?.body, FIELDS)
        }
        Verb::Simulate { file, tenant } => {
            let mut body = json!({ "text": text(&file)? });
            if let Some(tenant) = tenant {
                body["tenant"] = Value::from(tenant);
            }
            let answer = client.send(Method::POST, &["policies", "simulate"], Some(&body)).await?.body;
            out.list(&answer, REFUSED)
        }
        Verb::List(limit) => out.list(&client.list(&["policies"], &[], limit.get()).await?, COLUMNS),
        Verb::Show { name } => out.one(&client.get(&["policies", &name], &[]).await?, FIELDS),
        Verb::Delete { name } => {
            client.send(Method::DELETE, &["policies", &name], None).await?;
            print::note(&format!("policy {name} is deleted"))
        }
    }
}
