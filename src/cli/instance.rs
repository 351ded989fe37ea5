//! `bourse instance`: instances of all tenants and platforms, by id, for whoever runs the hub.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Error;
use super::broker::set;
use super::client::Client;
use super::order;
use super::params;
use super::print::{self, Column, Out};
use super::remote::Limit;

/// Arguments of `bourse instance`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List instances; those that are gone only with `--state gone`.
    List {
        #[command(flatten)]
        filter: Box<Filter>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show an instance with its bindings and operations.
    Show {
        /// The hub's id of it.
        id: String,
    },
    /// Take over instances that a broker has already, under the ids that it knows them by; nothing there is changed.
    Adopt {
        /// A JSON document as for POST /api/v1/instances/adopt: broker, platform or tenant, instances.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Forget an instance whose backend is gone: nothing is asked of the broker.
    Purge {
        /// The hub's id of it.
        id: String,
        /// Why; kept in the audit.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Of this platform.
    #[arg(long)]
    platform: Option<String>,
    /// With this id of the platform's.
    #[arg(long, value_name = "ID")]
    platform_instance_id: Option<String>,
    /// Of this broker.
    #[arg(long)]
    broker: Option<String>,
    /// Of this offering.
    #[arg(long)]
    offering: Option<String>,
    /// In this state: waiting_approval, provisioning, ready, updating, deprovisioning, unresolved, failed, gone.
    #[arg(long)]
    state: Option<String>,
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("TENANT", "/tenant"),
    ("PLATFORM", "/platform"),
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("STATE", "/state"),
    ("ORDERED", "/created_at"),
];

const VERDICTS: &[Column] = &[
    ("BACKEND ID", "/backend_instance_id"),
    ("PLATFORM ID", "/platform_instance_id"),
    ("TENANT", "/tenant"),
    ("VERDICT", "/verdict"),
    ("VERIFIED", "/verified"),
    ("", "/message"),
];

const BINDINGS: &[Column] =
    &[("BINDING", "/platform_binding_id"), ("STATE", "/state"), ("ID", "/id"), ("MADE", "/created_at")];

const REFERENCES: &[Column] = &[("REFERS TO", "/name"), ("PARAMETER", "/parameter"), ("ID", "/instance_id")];

const DEPENDENTS: &[Column] = &[("DEPENDED ON BY", "/name"), ("ID", "/instance_id")];

const OPERATIONS: &[Column] = &[
    ("OPERATION", "/kind"),
    ("STATE", "/state"),
    ("PHASE", "/phase"),
    ("ID", "/id"),
    ("ORDERED", "/created_at"),
    ("OVER", "/finished_at"),
    ("DESCRIPTION", "/description"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::List { filter, limit } => {
            let Filter { tenant, platform, platform_instance_id, broker, offering, state } = &*filter;
            let query = given(&[
                ("tenant", tenant),
                ("platform", platform),
                ("platform_instance_id", platform_instance_id),
                ("broker", broker),
                ("offering", offering),
                ("state", state),
            ]);
            out.list(&client.list(&["instances"], &query, limit.get()).await?, COLUMNS)
        }
        Verb::Show { id } => show(&out, &client.get(&["instances", &id], &[]).await?),
        Verb::Adopt { file, dry_run } => {
            let mut body = params::object(&file)?;
            if dry_run {
                set(&mut body, "dry_run", Some(true));
            }
            let told = client.send(Method::POST, &["instances", "adopt"], Some(&body.into())).await?.body;
            out.list(&told, VERDICTS)
        }
        Verb::Purge { id, reason } => {
            let body = json!({ "reason": reason });
            show(&out, &client.send(Method::POST, &["instances", &id, "purge"], Some(&body)).await?.body)
        }
    }
}

/// Those query parameters that have a value.
pub(super) fn given<'a>(query: &[(&'a str, &'a Option<String>)]) -> Vec<(&'a str, &'a str)> {
    query.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect()
}

fn show(out: &Out, instance: &Value) -> Result<(), Error> {
    out.one(instance, order::FIELDS)?;
    if out.is_json() {
        return Ok(());
    }
    tables(instance, &[("bindings", BINDINGS)])?;
    related(instance)?;
    tables(instance, &[("operations", OPERATIONS)])
}

/// Prints what an instance refers to and who refers to it, where there is anything.
pub(super) fn related(instance: &Value) -> Result<(), Error> {
    tables(instance, &[("references", REFERENCES), ("dependents", DEPENDENTS)])
}

fn tables(instance: &Value, fields: &[(&str, &[Column])]) -> Result<(), Error> {
    for (field, columns) in fields {
        let items = instance.get(*field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !items.is_empty() {
            print::lines("")?;
            print::lines(&print::table(items, columns))?;
        }
    }
    Ok(())
}
