//! `bourse broker conformance`: has the hub judge a broker, with the credentials that it calls it with, and shows the verdict. What
//! `bourse conformance` does from here, the hub does from where it is.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::set;
use crate::cli::client::Client;
use crate::cli::print::{self, Column, Out, pick};
use crate::cli::wait::{self, Wait};
use crate::cli::{Error, client, params};

/// Arguments of `bourse broker conformance`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Judge {
    /// The broker.
    name: String,
    /// Have it judged now: some twenty instances of one plan, and bindings, are really made at the broker and deleted again. Without it,
    /// what the latest run found is shown.
    #[arg(long)]
    makes_instances: bool,
    /// The offering; may be left out where the broker has one.
    #[arg(long)]
    offering: Option<String>,
    /// The plan that instances are made of; the first that is usable without it.
    #[arg(long, requires = "makes_instances")]
    plan: Option<String>,
    /// Parameters as JSON: an object for provision, or {"create":{},"update":{},"bind":{}}.
    #[arg(long, value_name = "FILE", requires = "makes_instances")]
    params: Option<PathBuf>,
    /// The context of orders as JSON.
    #[arg(long, value_name = "FILE", requires = "makes_instances")]
    context: Option<PathBuf>,
    /// The organization of orders.
    #[arg(long, value_name = "GUID", requires = "makes_instances")]
    organization_guid: Option<String>,
    /// The space of orders.
    #[arg(long, value_name = "GUID", requires = "makes_instances")]
    space_guid: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

const RUN: &[Column] = &[
    ("run", "/id"),
    ("offering", "/offering"),
    ("state", "/state"),
    ("outcome", "/outcome"),
    ("broken", "/failed"),
    ("reason", "/reason"),
    ("still what is offered", "/current"),
    ("plan", "/judgement/plan"),
    ("requests", "/judgement/requests"),
    ("left at the broker", "/judgement/left_behind"),
    ("asked for by", "/requested_by"),
    ("asked for", "/requested_at"),
    ("over", "/finished_at"),
];

const ROWS: &[Column] =
    &[("VERDICT", "/verdict"), ("ID", "/id"), ("LEVEL", "/level"), ("REQUIREMENT", "/requirement"), ("WHY", "/why")];

/// Runs it.
pub(super) async fn run(client: &Client, out: &Out, asked: Judge) -> Result<(), Error> {
    let Judge { name, makes_instances, offering, plan, params: file, context, organization_guid, space_guid, wait } =
        asked;
    let path = ["brokers", &name, "conformance"];
    let query: Vec<(&str, &str)> = offering.iter().map(|offering| ("offering", offering.as_str())).collect();
    if !makes_instances {
        let shown = client.get(&path, &query).await?;
        return if shown["run"].is_null() {
            print::note("it has not been judged: --makes-instances has it judged now")
        } else {
            show(out, &shown["run"])
        };
    }
    let mut body = Map::new();
    body.insert("makes_instances".to_owned(), json!(true));
    set(&mut body, "offering", offering.clone());
    set(&mut body, "plan", plan);
    set(&mut body, "parameters", file.as_deref().map(params::object).transpose()?);
    set(&mut body, "context", context.as_deref().map(params::object).transpose()?);
    set(&mut body, "organization_guid", organization_guid);
    set(&mut body, "space_guid", space_guid);
    let asked = client.send(Method::POST, &path, Some(&body.into())).await?.body;
    if !wait.wait {
        return show(out, &asked);
    }
    let id = pick(&asked, "/id");
    let run = {
        let _busy = client.busy("the broker is being judged");
        wait::until(wait.within, async || {
            let run = client.get(&path, &query).await?["run"].take();
            let over =
                pick(&run, "/id") != id || !["waiting", "running", "cleaning"].contains(&pick(&run, "/state").as_str());
            Ok(over.then_some(run))
        })
        .await?
    };
    show(out, &run)?;
    match pick(&run, "/outcome").as_str() {
        "conforms" => Ok(()),
        "fails" => Err(client::Error::Outcome("the service broker does not conform".to_owned()).into()),
        _ => Err(client::Error::Outcome(format!("it could not be found out: {}", pick(&run, "/reason"))).into()),
    }
}

/// The run, and what of it is neither kept nor out of place.
fn show(out: &Out, run: &Value) -> Result<(), Error> {
    out.one(run, RUN)?;
    if out.is_json() {
        return Ok(());
    }
    let rows = run.pointer("/judgement/rows").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let told = |row: &&Value| matches!(row["verdict"].as_str(), Some("failed" | "warned" | "not_judged"));
    let rows: Vec<Value> = rows.iter().filter(told).map(with_reason).collect();
    if rows.is_empty() {
        return Ok(());
    }
    print::lines("")?;
    print::lines(&print::table(&rows, ROWS))
}

fn with_reason(row: &Value) -> Value {
    let mut row = row.clone();
    let finding = row.pointer("/findings/0").or_else(|| row.get("reason")).cloned();
    row["why"] = finding.unwrap_or_default();
    row
}
