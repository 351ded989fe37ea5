//! `bourse list`: a tenant's instances, wherever they were ordered from.

use super::Error;
use super::client::Client;
use super::print::{Column, Out};
use super::remote::Limit;

/// Arguments of `bourse list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose instances.
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    out: Out,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("STATE", "/state"),
    ("PLATFORM", "/platform"),
    ("PLATFORM'S ID", "/platform_instance_id"),
    ("ORDERED", "/created_at"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let answer = client.list(&["tenants", &args.tenant, "instances"], &[], args.limit.get()).await?;
    args.out.list(&answer, COLUMNS)
}
