//! `bourse keys`: which keys seal and sign, and rotating them beside a running hub. Keys themselves are never seen here.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Error;
use super::client::{self, Client};
use super::print::{self, Column, Out};

/// Passes over all values: more than one where somebody changes them meanwhile under an older key.
const PASSES_MAX: u32 = 5;

/// Arguments of `bourse keys`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show which keys seal how many values, and which sign. A key that seals nothing can be dropped.
    Status,
    /// Seal everything anew under the newest key. Cut off, it can be begun again.
    Rotate {
        /// Make a new key first (SQLite without a key in the settings: it is kept in the file beside the database).
        #[arg(long, conflicts_with_all = ["stamps", "audit"])]
        new_key: bool,
        /// Rotate the key that signs stamps instead: the next one is published now and signs later.
        #[arg(long, conflicts_with = "audit")]
        stamps: bool,
        /// The key that signs stamps is compromised: withdraw it now; the next one signs at once.
        #[arg(long, requires = "stamps")]
        compromised: bool,
        /// Rotate the key that signs heads of the audit instead.
        #[arg(long)]
        audit: bool,
    },
}

const VALUES: &[Column] = &[("VALUES", "/column"), ("KEY", "/key"), ("NUMBER", "/values")];
const SIGNING: &[Column] = &[("KEY", "/kid"), ("SIGNS", "/signs"), ("FROM", "/signs_from"), ("MADE", "/created_at")];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Status => {
            let status = client.get(&["keys"], &[]).await?;
            if out.is_json() {
                return print::json(&status);
            }
            let ids: Vec<_> = status["keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            print::note(&format!("keys, the one that seals first: {}", ids.join(", ")))?;
            out.list(&json!({ "items": status["values"] }), VALUES)?;
            print::note("keys of stamps:")?;
            out.list(&json!({ "items": status["stamps"] }), SIGNING)?;
            print::note("keys of heads of the audit:")?;
            out.list(&json!({ "items": status["audit"] }), SIGNING)
        }
        Verb::Rotate { stamps: true, compromised, .. } => {
            let body = json!({ "compromised": compromised });
            let keys = client.send(Method::POST, &["keys", "stamps", "rotate"], Some(&body)).await?.body;
            out.list(&json!({ "items": keys["keys"], "next": null }), SIGNING)
        }
        Verb::Rotate { audit: true, .. } => {
            let made = client.send(Method::POST, &["keys", "audit", "rotate"], None).await?.body;
            out.one(&made, &[("key", "/kid")])
        }
        Verb::Rotate { new_key, .. } => {
            let total = rotate(client, new_key).await?;
            out.one(&total, &[("sealed anew", "/resealed"), ("unreadable", "/unreadable"), ("passes", "/passes")])?;
            match total["unreadable"].as_u64() {
                Some(0) => Ok(()),
                _ => Err(failed("some values can be opened by no key: a key is missing; see the hub's log").into()),
            }
        }
    }
}

fn failed(text: &str) -> client::Error {
    client::Error::Outcome(text.to_owned())
}

/// Passes until one finds nothing to do.
async fn rotate(client: &Client, new_key: bool) -> Result<Value, Error> {
    let _busy = client.busy("sealing everything anew");
    let mut resealed = 0;
    for pass in 1..=PASSES_MAX {
        let (mut body, mut again) = (json!({ "new_key": new_key && pass == 1 }), false);
        let mut unreadable = 0;
        loop {
            let part = client.send(Method::POST, &["keys", "rotate"], Some(&body)).await?.body;
            let number = |name: &str| part[name].as_u64().unwrap_or(0);
            resealed += number("resealed");
            unreadable += number("unreadable");
            again |= number("resealed") + number("changed") > 0;
            match part["next"].as_str() {
                Some(next) => body = json!({ "after": next }),
                None => break,
            }
        }
        if !again {
            return Ok(json!({ "resealed": resealed, "unreadable": unreadable, "passes": pass }));
        }
    }
    let text = "values are still being sealed under an older key: some process has it before the newest one; see `bourse keys status`";
    Err(failed(text).into())
}
