//! `bourse usage`: what meters come to, what brokers reported, and what contradicted it.

use clap::Subcommand;

use super::Error;
use super::client::Client;
use super::instance::given;
use super::print::{Column, Out};
use super::remote::Limit;

/// Arguments of `bourse usage`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what meters come to in windows of time: of the last 24 hours, if nothing else is said.
    List {
        #[command(flatten)]
        filter: Box<Filter>,
        /// The length of a window, such as PT1H; one for all of the time where absent.
        #[arg(long, value_name = "DURATION")]
        window: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// List readings as they were reported, with their corrections.
    Events {
        #[command(flatten)]
        filter: Box<Filter>,
        #[command(flatten)]
        limit: Limit,
    },
    /// List events that were not taken, because another one has their source and id.
    Conflicts {
        #[command(flatten)]
        limit: Limit,
    },
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Of this tenant only.
    #[arg(long)]
    tenant: Option<String>,
    /// Of this instance only, by the hub's id of it.
    #[arg(long)]
    instance: Option<String>,
    /// Of this meter only.
    #[arg(long)]
    meter: Option<String>,
    /// From this instant on, such as 2026-11-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this instant.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

const SHOW: &[Column] = &[
    ("INSTANCE", "/instance_id"),
    ("TENANT", "/tenant"),
    ("METER", "/meter"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("QUANTITY", "/quantity"),
    ("UNIT", "/unit"),
    ("ADDED UP", "/aggregation"),
];

const EVENTS: &[Column] = &[
    ("AT", "/at"),
    ("INSTANCE", "/instance_id"),
    ("METER", "/meter"),
    ("REPORTED", "/quantity"),
    ("COUNTS", "/counted"),
    ("UNIT", "/unit"),
    ("TYPE", "/type"),
    ("SOURCE", "/source"),
    ("ID", "/id"),
];

const CONFLICTS: &[Column] = &[
    ("CAME", "/refused_at"),
    ("SOURCE", "/stands/source"),
    ("ID", "/stands/id"),
    ("COUNTS", "/stands/quantity"),
    ("REFUSED", "/refused/data/quantity"),
    ("METER", "/stands/meter"),
    ("INSTANCE", "/stands/instance_id"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::List { filter, window, limit } => {
            let mut query = filter.query();
            query.extend(given(&[("window", &window)]));
            out.list(&client.list(&["usage"], &query, limit.get()).await?, SHOW)
        }
        Verb::Events { filter, limit } => {
            out.list(&client.list(&["usage", "events"], &filter.query(), limit.get()).await?, EVENTS)
        }
        Verb::Conflicts { limit } => {
            out.list(&client.list(&["usage", "conflicts"], &[], limit.get()).await?, CONFLICTS)
        }
    }
}

impl Filter {
    fn query(&self) -> Vec<(&str, &str)> {
        given(&[
            ("tenant", &self.tenant),
            ("instance", &self.instance),
            ("meter", &self.meter),
            ("from", &self.from),
            ("to", &self.to),
        ])
    }
}
