//! `bourse grant`: who besides a tenant's members may read one of its instances, and until when. Those who own the tenant say so.

use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::Error;
use super::client::Client;
use super::print::{self, Column, Out, pick};
use super::remote::Limit;
use crate::clock::Clock;
use crate::config::parse_duration;

/// Arguments of `bourse grant`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Grant a colleague access to an instance, or change what was granted.
    Put {
        #[command(flatten)]
        instance: Instance,
        /// The colleague, as the hub knows them: `bourse whoami` tells them.
        user: String,
        /// `reader` sees the instance; `user` gets at the credentials of its bindings, too.
        #[arg(long, default_value = "reader")]
        role: String,
        /// Until then (RFC 3339).
        #[arg(long, value_name = "TIME", required_unless_present = "within")]
        until: Option<String>,
        /// From now on for so long, as an ISO 8601 duration such as P7D.
        #[arg(long = "for", value_name = "DURATION", conflicts_with = "until", value_parser = parse_duration)]
        within: Option<Duration>,
    },
    /// List who was granted access to an instance, also those whose time is over.
    List {
        #[command(flatten)]
        instance: Instance,
        #[command(flatten)]
        limit: Limit,
    },
    /// Take access back.
    Delete {
        #[command(flatten)]
        instance: Instance,
        /// The colleague.
        user: String,
    },
}

#[derive(Debug, clap::Args)]
struct Instance {
    /// The instance: its name with --tenant, else the hub's id of it.
    instance: String,
    /// Whose it is.
    #[arg(long)]
    tenant: Option<String>,
}

impl Instance {
    async fn id(&self, client: &Client) -> Result<String, Error> {
        Ok(match &self.tenant {
            Some(tenant) => pick(&client.get(&["tenants", tenant, "instances", &self.instance], &[]).await?, "/id"),
            None => self.instance.clone(),
        })
    }
}

const COLUMNS: &[Column] = &[
    ("USER", "/user"),
    ("ROLE", "/role"),
    ("UNTIL", "/expires_at"),
    ("GRANTED BY", "/granted_by"),
    ("SINCE", "/created_at"),
];

const FIELDS: &[Column] =
    &[("user", "/user"), ("role", "/role"), ("until", "/expires_at"), ("granted by", "/granted_by")];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Put { instance, user, role, until, within } => {
            let from_now = within.map(|within| Clock::system().now().plus(within).to_string());
            let body = json!({ "role": role, "expires_at": until.or(from_now) });
            let path = ["instances", &instance.id(client).await?, "grants", &user];
            out.one(&client.send(Method::PUT, &path, Some(&body)).await?.body, FIELDS)
        }
        Verb::List { instance, limit } => {
            let id = instance.id(client).await?;
            out.list(&client.list(&["instances", &id, "grants"], &[], limit.get()).await?, COLUMNS)
        }
        Verb::Delete { instance, user } => {
            let path = ["instances", &instance.id(client).await?, "grants", &user];
            client.send(Method::DELETE, &path, None).await?;
            print::note(&format!("{user} has no access any more"))
        }
    }
}
