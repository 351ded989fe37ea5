//! `bourse show`: one instance by name, with its bindings, what it refers to and who refers to it. Never a credential: `bourse bind` gives those.

use serde_json::Value;

use super::client::Client;
use super::order::FIELDS;
use super::print::{self, Out, pick};
use super::{Error, instance};

/// Arguments of `bourse show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The instance.
    name: String,
    /// Whose it is.
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    out: Out,
}

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let instance = client.get(&["tenants", &args.tenant, "instances", &args.name], &[]).await?;
    args.out.one(&instance, FIELDS)?;
    if args.out.is_json() {
        return Ok(());
    }
    // The answer by name has no bindings; people want to see them.
    let detail = client.get(&["instances", &pick(&instance, "/id")], &[]).await?;
    let bindings = detail.get("bindings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let bindings: Vec<Value> = bindings.iter().filter(|row| pick(row, "/state") != "gone").cloned().collect();
    if !bindings.is_empty() {
        let columns = [("BINDING", "/platform_binding_id"), ("STATE", "/state"), ("MADE", "/created_at")];
        print::lines("")?;
        print::lines(&print::table(&bindings, &columns))?;
    }
    instance::related(&detail)
}
