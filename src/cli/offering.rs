//! `bourse offering`: what can be ordered.

use clap::Subcommand;

use super::Error;
use super::client::Client;
use super::print::{Column, Out};
use super::remote::Limit;

/// Arguments of `bourse offering`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List offerings with their plans.
    List {
        /// Words, each of which must be somewhere in names, descriptions, tags or the broker's name.
        query: Vec<String>,
        #[command(flatten)]
        limit: Limit,
    },
}

const COLUMNS: &[Column] = &[
    ("OFFERING", "/name"),
    ("PLANS", "/plans/*/name"),
    ("BROKER", "/broker"),
    ("STATE", "/state"),
    ("DESCRIPTION", "/description"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb: Verb::List { query, limit }, out } = args;
    let words = query.join(" ");
    let query = if words.is_empty() { vec![] } else { vec![("q", words.as_str())] };
    out.list(&client.list(&["offerings"], &query, limit.get()).await?, COLUMNS)
}
