//! `bourse event`: what happened, in the order in which it became certain, and what sinks did not take.

use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::Error;
use super::client::Client;
use super::instance::given;
use super::print::{self, Column, Out, pick};
use super::remote::Limit;

/// How often a follower asks.
const PERIOD: Duration = Duration::from_secs(1);
/// Events of one page.
const PAGE: usize = 1000;

/// Arguments of `bourse event`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List events.
    List(Box<List>),
    /// List events that a sink did not take.
    DeadLetters {
        /// Of this sink only.
        #[arg(long)]
        sink: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Try a sink's dead letters once more.
    Redeliver {
        /// The sink.
        #[arg(long)]
        sink: String,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Those after this cursor; from the beginning where absent.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Of this type only, such as io.bourse.instance.provisioned.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Of this tenant only.
    #[arg(long)]
    tenant: Option<String>,
    /// Go on with what comes, until interrupted: a line for each event.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    limit: Limit,
}

const COLUMNS: &[Column] =
    &[("TIME", "/time"), ("TYPE", "/type"), ("SUBJECT", "/subject"), ("TENANT", "/data/tenant/name")];

const DEAD: &[Column] = &[
    ("SINK", "/sink"),
    ("EVENT", "/event_id"),
    ("ATTEMPTS", "/attempts"),
    ("GIVEN UP", "/at"),
    ("AGAIN", "/redelivering"),
    ("ERROR", "/error"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::List(list) if list.follow => follow(client, &list, &out).await,
        Verb::List(list) => {
            let answer = upto(client, &list).await?;
            if out.is_json() {
                return print::json(&answer);
            }
            let next = pick(&answer, "/next");
            // `next` of the feed is never null: that there is more isn't what it says.
            out.list(&json!({ "items": answer.get("items") }), COLUMNS)?;
            print::note(&format!("later ones: --after {next}"))
        }
        Verb::DeadLetters { sink, limit } => {
            let query = given(&[("sink", &sink)]);
            out.list(&client.list(&["events", "dead-letters"], &query, limit.get()).await?, DEAD)
        }
        Verb::Redeliver { sink } => {
            let path = ["events", "dead-letters", "redeliver"];
            let queued = client.send(Method::POST, &path, Some(&json!({ "sink": sink }))).await?;
            out.one(&queued.body, &[("sink", "/sink"), ("queued", "/queued")])
        }
    }
}

/// Pages of the feed up to the limit, as one.
async fn upto(client: &Client, list: &List) -> Result<Value, Error> {
    let _busy = client.busy("reading");
    let (mut items, mut after) = (Vec::new(), list.after.clone());
    loop {
        let (mut more, next) = page(client, list, &after, list.limit.get() - items.len()).await?;
        let over = more.is_empty();
        items.append(&mut more);
        if over || items.len() >= list.limit.get() {
            return Ok(json!({ "items": items, "next": next }));
        }
        after = Some(next);
    }
}

async fn page(
    client: &Client,
    list: &List,
    after: &Option<String>,
    most: usize,
) -> Result<(Vec<Value>, String), Error> {
    let limit = Some(most.min(PAGE).to_string());
    let query = given(&[("after", after), ("limit", &limit), ("type", &list.kind), ("tenant", &list.tenant)]);
    let mut page = client.get(&["events"], &query).await?;
    let items = match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    Ok((items, pick(&page, "/next")))
}

async fn follow(client: &Client, list: &List, out: &Out) -> Result<(), Error> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut after = list.after.clone();
    loop {
        let (items, next) = page(client, list, &after, PAGE).await?;
        for event in &items {
            print::lines(&line(event, out))?;
        }
        after = Some(next);
        // A full page: more is there already.
        if items.len() < PAGE {
            ticks.tick().await;
        }
    }
}

/// One event in one line.
fn line(event: &Value, out: &Out) -> String {
    if out.is_json() {
        return event.to_string();
    }
    COLUMNS.iter().map(|(_, path)| pick(event, path)).collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
