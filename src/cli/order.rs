//! `bourse order`: an instance by name, for a tenant. The same order again changes nothing; another plan or other parameters
//! change the instance.

use reqwest::Method;
use serde_json::json;

use super::Error;
use super::client::Client;
use super::params::Params;
use super::print::{self, Column, Out};
use super::wait::{self, Wait};

/// Arguments of `bourse order`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service offering.
    offering: String,
    /// The service plan.
    plan: String,
    /// Whom it is for.
    #[arg(long)]
    tenant: String,
    /// What it is called: 1 to 63 of a-z, 0-9 and '-'.
    #[arg(long)]
    name: String,
    /// Only say what would become of it, and change nothing.
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    params: Params,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    out: Out,
}

/// An instance in detail, as orders and `show` print it.
pub(super) const FIELDS: &[Column] = &[
    ("name", "/name"),
    ("offering", "/offering"),
    ("plan", "/plan"),
    ("state", "/state"),
    ("tenant", "/tenant"),
    ("platform", "/platform"),
    ("broker", "/broker"),
    ("id", "/id"),
    ("platform's id", "/platform_instance_id"),
    ("dashboard", "/dashboard_url"),
    ("price", "/price/lines/*/words"),
    ("ordered", "/created_at"),
    ("ready", "/ready_at"),
    ("operation", "/operation/kind"),
    ("operation's state", "/operation/state"),
    ("operation's id", "/operation/id"),
    ("description", "/operation/description"),
];

/// What would become of an order.
const OUTLOOK: &[Column] = &[
    ("visible", "/visible"),
    ("allowed", "/allowed"),
    ("refused", "/refused/reason"),
    ("policies", "/policies/*/message"),
    ("quotas", "/quota/*/words"),
    ("approval", "/approval/causes"),
    ("price", "/price/lines/*/words"),
    ("request", "/request/method"),
    ("path", "/request/path"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { offering, plan, tenant, name, preview, params, wait, out } = args;
    let mut order = json!({ "offering": offering, "plan": plan });
    if let Some(parameters) = params.read()? {
        order["parameters"] = parameters;
    }
    if preview {
        order["tenant"] = tenant.into();
        order["instance"] = name.into();
        let answer = client.send(Method::POST, &["orders", "preview"], Some(&order)).await?;
        return out.one(&answer.body, OUTLOOK);
    }
    let path = ["tenants", tenant.as_str(), "instances", name.as_str()];
    let mut answer = client.send(Method::PUT, &path, Some(&order)).await?;
    if answer.is_accepted() && wait.wait {
        wait::operation(client, &answer.body, wait.within).await?;
        answer.body = client.get(&path, &[]).await?;
    } else if answer.is_accepted() {
        print::note(&format!("it goes on: `bourse show {name} --tenant {tenant}` shows how far it is"))?;
    }
    out.one(&answer.body, FIELDS)
}
