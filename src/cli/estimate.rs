//! `bourse estimate`: what a month of an order would cost. It orders nothing.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Error;
use super::client::Client;
use super::params::{Params, pair};
use super::print::{self, Column, Out};

/// Arguments of `bourse estimate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service offering.
    offering: String,
    /// The service plan.
    plan: String,
    /// Whose calendar counts.
    #[arg(long)]
    tenant: Option<String>,
    /// How much a month brings of a meter, or, of a gauge, its level. May be repeated.
    #[arg(long = "usage", value_name = "METER=QUANTITY", value_parser = pair)]
    usage: Vec<(String, String)>,
    #[command(flatten)]
    params: Params,
    #[command(flatten)]
    out: Out,
}

const FIELDS: &[Column] = &[
    ("month", "/month"),
    ("currency", "/currency"),
    ("monthly", "/monthly"),
    ("setup", "/setup"),
    ("without a price", "/unpriced/*/meter"),
    ("nothing expected of", "/not_expected"),
];

const LINES: &[Column] =
    &[("METER", "/meter"), ("QUANTITY", "/quantity"), ("UNIT", "/unit"), ("AMOUNT", "/amount"), ("MODEL", "/model")];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { offering, plan, tenant, usage, params, out } = args;
    let usage: Map<String, Value> = usage.into_iter().map(|(meter, quantity)| (meter, quantity.into())).collect();
    let mut body = json!({ "offering": offering, "plan": plan, "expected_usage": usage });
    if let Some(parameters) = params.read()? {
        body["parameters"] = parameters;
    }
    if let Some(tenant) = tenant {
        body["tenant"] = tenant.into();
    }
    let answer = client.send(Method::POST, &["estimates"], Some(&body)).await?.body;
    out.one(&answer, FIELDS)?;
    match answer["lines"].as_array().filter(|lines| !out.is_json() && !lines.is_empty()) {
        Some(lines) => print::lines(&print::table(lines, LINES)),
        None => Ok(()),
    }
}
