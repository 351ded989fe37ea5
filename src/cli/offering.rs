//! `bourse offering`: what can be ordered.

mod review;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, json};

use super::Error;
use super::broker::set;
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
    List(Search),
    /// Show who may order a plan, or say so.
    Visibility(Visibility),
    /// Show how far an offering has come, or say so.
    Lifecycle(Lifecycle),
    #[command(flatten)]
    Review(review::Review),
}

#[derive(Debug, clap::Args)]
struct Search {
    /// Words, each of which must lead to it: by names, descriptions, tags or the broker's name. Slips of the pen are forgiven.
    query: Vec<String>,
    /// Only what this tenant can order by name.
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

/// Arguments of `bourse offerings`.
#[derive(Debug, clap::Args)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, clap::Args)]
struct Visibility {
    /// The offering.
    offering: String,
    /// The plan.
    plan: String,
    /// `public`, or `restricted` to whom the other options name; without it, it is shown.
    #[arg(long)]
    access: Option<String>,
    /// A tenant that may order it. May be repeated.
    #[arg(long = "tenant", value_name = "TENANT", requires = "access")]
    tenants: Vec<String>,
    /// A platform where it may be ordered. May be repeated.
    #[arg(long = "platform", value_name = "PLATFORM", requires = "access")]
    platforms: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Lifecycle {
    /// The offering.
    offering: String,
    /// `draft`, `published`, `deprecated` or `retired`; without it, it is shown.
    #[arg(long)]
    state: Option<String>,
    /// When a deprecated one is retired by itself, such as 2027-06-30T00:00:00Z.
    #[arg(long, value_name = "TIME", requires = "state")]
    sunset: Option<String>,
    /// What takes its place.
    #[arg(long, value_name = "OFFERING", requires = "state")]
    successor: Option<String>,
    /// A tenant that may order a draft already. May be repeated.
    #[arg(long = "pilot", value_name = "TENANT", requires = "state")]
    pilots: Vec<String>,
}

const COLUMNS: &[Column] = &[
    ("OFFERING", "/name"),
    ("PLANS", "/plans/*/name"),
    ("BROKER", "/broker"),
    ("STATE", "/state"),
    ("LIFECYCLE", "/lifecycle"),
    ("DESCRIPTION", "/description"),
];

const VISIBILITY: &[Column] = &[("access", "/access"), ("tenants", "/tenants"), ("platforms", "/platforms")];

const LIFECYCLE: &[Column] =
    &[("state", "/state"), ("now", "/now"), ("sunset", "/sunset"), ("successor", "/successor"), ("pilots", "/pilots")];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::List(search) => list(client, search, &out).await,
        Verb::Review(verb) => review::run(client, &out, verb).await,
        Verb::Visibility(Visibility { offering, plan, access, tenants, platforms }) => {
            let path = ["offerings", &offering, "plans", &plan, "visibility"];
            let shown = match access {
                None => client.get(&path, &[]).await?,
                Some(access) => {
                    let body = json!({ "access": access, "tenants": tenants, "platforms": platforms });
                    client.send(Method::PUT, &path, Some(&body)).await?.body
                }
            };
            out.one(&shown, VISIBILITY)
        }
        Verb::Lifecycle(Lifecycle { offering, state, sunset, successor, pilots }) => {
            let path = ["offerings", &offering, "lifecycle"];
            let shown = match state {
                None => client.get(&path, &[]).await?,
                Some(state) => {
                    let mut body = Map::new();
                    set(&mut body, "state", Some(state));
                    set(&mut body, "sunset", sunset);
                    set(&mut body, "successor", successor);
                    set(&mut body, "pilots", Some(pilots).filter(|pilots| !pilots.is_empty()));
                    client.send(Method::PUT, &path, Some(&body.into())).await?.body
                }
            };
            out.one(&shown, LIFECYCLE)
        }
    }
}

/// Runs `bourse offerings`.
pub(super) async fn search(client: &Client, args: SearchArgs) -> Result<(), Error> {
    list(client, args.search, &args.out).await
}

async fn list(client: &Client, search: Search, out: &Out) -> Result<(), Error> {
    let Search { query, tenant, limit } = search;
    let words = query.join(" ");
    let mut query = if words.is_empty() { vec![] } else { vec![("q", words.as_str())] };
    query.extend(tenant.iter().map(|tenant| ("tenant", tenant.as_str())));
    out.list(&client.list(&["offerings"], &query, limit.get()).await?, COLUMNS)
}
