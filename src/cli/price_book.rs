//! `bourse price-book`: what services cost, from when on.

mod proposal;

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Error;
use super::client::Client;
use super::params;
use super::print::{self, Column, Out};
use super::remote::Limit;

/// Arguments of `bourse price-book`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add a price book. It can't be changed: another one takes its place.
    Create {
        /// The book as JSON, `-` for standard input.
        file: PathBuf,
    },
    /// List price books in the order in which they were made.
    List(Limit),
    /// Show a price book with its rules.
    Show {
        /// The book.
        id: String,
    },
    /// Say what a month would have cost by a price book that is not added. Changes nothing.
    Simulate {
        /// The book as JSON, `-` for standard input.
        file: PathBuf,
        /// The month, such as 2026-10.
        #[arg(long, value_name = "MONTH")]
        period: String,
        /// Of one tenant only.
        #[arg(long)]
        tenant: Option<String>,
    },
    #[command(flatten)]
    Proposal(proposal::Asked),
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("CURRENCY", "/currency"),
    ("EFFECTIVE FROM", "/effective_from"),
    ("IN FORCE", "/in_force"),
    ("ADDED", "/created_at"),
];

const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("currency", "/currency"),
    ("effective from", "/effective_from"),
    ("in force", "/in_force"),
    ("added", "/created_at"),
];

const RULES: &[Column] = &[
    ("OFFERING", "/offering"),
    ("PLAN", "/plan"),
    ("METER", "/meter"),
    ("MODEL", "/model"),
    ("AMOUNT", "/amount"),
    ("PER", "/per"),
    ("TIERS", "/tiers/*/unit_price"),
    ("PACKAGE", "/package_size"),
    ("FREE", "/free_quantity"),
    ("REASON", "/reason"),
];

const TENANTS: &[Column] = &[("TENANT", "/tenant"), ("OLD", "/old"), ("NEW", "/new"), ("DIFFERENCE", "/difference")];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Create { file } => {
            let body = params::object(&file)?.into();
            let made = client.send(Method::POST, &["price-books"], Some(&body)).await?.body;
            for finding in made["findings"].as_array().into_iter().flatten() {
                let words = ["pointer", "message"].map(|field| finding[field].as_str().unwrap_or_default());
                print::note(words.join(" ").trim())?;
            }
            out.one(&made, FIELDS)
        }
        Verb::List(limit) => out.list(&client.list(&["price-books"], &[], limit.get()).await?, COLUMNS),
        Verb::Show { id } => {
            let book = client.get(&["price-books", &id], &[]).await?;
            out.one(&book, FIELDS)?;
            rows(&out, &book["rules"], RULES)
        }
        Verb::Simulate { file, period, tenant } => {
            let mut body = json!({ "book": params::object(&file)?, "period": period });
            if let Some(tenant) = tenant {
                body["tenant"] = tenant.into();
            }
            let answer = client.send(Method::POST, &["price-books", "simulate"], Some(&body)).await?.body;
            simulated(&out, &answer)
        }
        Verb::Proposal(verb) => proposal::run(client, &out, verb).await,
    }
}

/// What a month would have cost.
fn simulated(out: &Out, answer: &Value) -> Result<(), Error> {
    if out.is_json() {
        return print::json(answer);
    }
    rows(out, &answer["tenants"], TENANTS)?;
    let unpriced = answer["unpriced"].as_array().map_or(0, Vec::len);
    if unpriced > 0 {
        print::note(&format!("{unpriced} lines would lose their price: -o json shows which"))?;
    }
    Ok(())
}

/// A table below what was printed, for people.
fn rows(out: &Out, rows: &Value, columns: &[Column]) -> Result<(), Error> {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if out.is_json() || rows.is_empty() {
        return Ok(());
    }
    print::lines(&print::table(rows, columns))
}
