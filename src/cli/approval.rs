//! `bourse approval`: orders that wait for somebody's yes, and saying yes or no.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::Error;
use super::client::Client;
use super::instance::given;
use super::print::{Column, Out};
use super::remote::Limit;

/// Arguments of `bourse approval`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List approvals.
    List {
        /// In this state: pending, approved, denied, expired, cancelled.
        #[arg(long)]
        state: Option<String>,
        /// Of orders for this tenant.
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show an approval.
    Show {
        /// The approval.
        id: String,
    },
    /// Agree to an order, which then goes ahead.
    Approve {
        /// The approval.
        id: String,
        /// Why; kept in the audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Refuse an order, which then fails.
    Deny {
        /// The approval.
        id: String,
        /// Why; told to whoever ordered.
        #[arg(long)]
        reason: String,
    },
}

/// Arguments of `bourse approve` and `bourse deny`.
#[derive(Debug, clap::Args)]
pub(super) struct DecideArgs {
    /// The approval; without one, what waits is listed.
    id: Option<String>,
    /// Why: kept in the audit, and told to whoever ordered where the answer is no.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    out: Out,
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("STATE", "/state"),
    ("KIND", "/kind"),
    ("TENANT", "/tenant"),
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("ORDERED BY", "/requested_by"),
    ("EXPIRES", "/expires_at"),
];

const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("state", "/state"),
    ("kind", "/kind"),
    ("tenant", "/tenant"),
    ("platform", "/platform"),
    ("offering", "/offering"),
    ("plan", "/plan"),
    ("previous plan", "/previous_plan"),
    ("instance", "/instance_id"),
    ("platform's id", "/platform_instance_id"),
    ("name", "/name"),
    ("ordered by", "/requested_by"),
    ("asked for by", "/causes/*"),
    ("approvers", "/approvers"),
    ("operation", "/operation_id"),
    ("operation is", "/operation_state"),
    ("ordered", "/created_at"),
    ("expires", "/expires_at"),
    ("decided by", "/decided_by"),
    ("decided", "/decided_at"),
    ("reason", "/reason"),
    ("would fail", "/refused"),
    ("policies say", "/policies/*/message"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    let (id, answer, reason) = match verb {
        Verb::List { state, tenant, limit } => {
            let query = given(&[("state", &state), ("tenant", &tenant)]);
            return out.list(&client.list(&["approvals"], &query, limit.get()).await?, COLUMNS);
        }
        Verb::Show { id } => return out.one(&client.get(&["approvals", &id], &[]).await?, FIELDS),
        Verb::Approve { id, reason } => (id, "approve", reason),
        Verb::Deny { id, reason } => (id, "deny", reason),
    };
    decide(client, (&id, answer), &reason, &out).await
}

/// Runs `bourse approve`.
pub(super) async fn approve(client: &Client, args: DecideArgs) -> Result<(), Error> {
    decide_or_list(client, args, "approve").await
}

/// Runs `bourse deny`.
pub(super) async fn deny(client: &Client, args: DecideArgs) -> Result<(), Error> {
    decide_or_list(client, args, "deny").await
}

async fn decide_or_list(client: &Client, args: DecideArgs, answer: &str) -> Result<(), Error> {
    let DecideArgs { id, reason, limit, out } = args;
    match id {
        Some(id) => decide(client, (&id, answer), &reason, &out).await,
        None => out.list(&client.list(&["approvals"], &[("state", "pending")], limit.get()).await?, COLUMNS),
    }
}

async fn decide(client: &Client, (id, answer): (&str, &str), reason: &str, out: &Out) -> Result<(), Error> {
    let body = json!({ "reason": reason });
    out.one(&client.send(Method::POST, &["approvals", id, answer], Some(&body)).await?.body, FIELDS)
}
