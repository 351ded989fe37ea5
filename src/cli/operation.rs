//! `bourse operation`: what is under way and how it ended.

use clap::Subcommand;
use reqwest::Method;

use super::Error;
use super::client::Client;
use super::instance::given;
use super::print::{Column, Out};
use super::remote::Limit;

/// Arguments of `bourse operation`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List operations.
    List {
        /// In this state: in_progress, succeeded, failed, cancelled.
        #[arg(long)]
        state: Option<String>,
        /// Of this kind: provision, update, deprovision, context_update, bind, unbind, orphan_mitigation.
        #[arg(long)]
        kind: Option<String>,
        /// Of this instance, by the hub's id of it.
        #[arg(long, value_name = "ID")]
        instance: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show an operation.
    Show {
        /// The operation.
        id: String,
    },
    /// Call an operation off that is under way.
    Cancel {
        /// The operation.
        id: String,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("KIND", "/kind"),
    ("STATE", "/state"),
    ("PHASE", "/phase"),
    ("INSTANCE", "/instance_id"),
    ("ORDERED", "/created_at"),
    ("DESCRIPTION", "/description"),
];

const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("kind", "/kind"),
    ("state", "/state"),
    ("phase", "/phase"),
    ("description", "/description"),
    ("instance", "/instance_id"),
    ("binding", "/binding_id"),
    ("attempts", "/attempts"),
    ("next", "/next_at"),
    ("ordered by", "/actor"),
    ("request", "/request_id"),
    ("ordered", "/created_at"),
    ("over", "/finished_at"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::List { state, kind, instance, limit } => {
            let query = given(&[("state", &state), ("kind", &kind), ("instance", &instance)]);
            out.list(&client.list(&["operations"], &query, limit.get()).await?, COLUMNS)
        }
        Verb::Show { id } => out.one(&client.get(&["operations", &id], &[]).await?, FIELDS),
        Verb::Cancel { id } => {
            out.one(&client.send(Method::POST, &["operations", &id, "cancel"], None).await?.body, FIELDS)
        }
    }
}
