//! `bourse offering checks|submit|publish|send-back|reviews`: offerings on their way to publication.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Error;
use crate::cli::client::Client;
use crate::cli::instance::given;
use crate::cli::print::{self, Column, Out};
use crate::cli::remote::Limit;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Review {
    /// Show what an offering lacks for publication, and how its submission stands.
    Checks {
        /// The offering.
        offering: String,
    },
    /// Submit a draft for publication.
    Submit {
        /// The offering.
        offering: String,
        /// What whoever reviews it should know.
        #[arg(long)]
        note: Option<String>,
    },
    /// Publish what was submitted.
    Publish {
        /// The offering.
        offering: String,
        /// Why; kept in the audit.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Send back what was submitted.
    SendBack {
        /// The offering.
        offering: String,
        /// What is to be put right; told to whoever submitted it.
        #[arg(long)]
        reason: String,
    },
    /// List submissions.
    Reviews {
        /// In this state: submitted, published, sent_back, void.
        #[arg(long)]
        state: Option<String>,
        /// Of this offering.
        #[arg(long)]
        offering: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
}

const CHECKS: &[Column] = &[
    ("offering", "/offering"),
    ("broker", "/broker"),
    ("lifecycle", "/lifecycle"),
    ("fit for publication", "/fit"),
    ("submission", "/review/state"),
    ("decided by", "/review/decided_by"),
    ("reason", "/review/reason"),
];

const ROWS: &[Column] =
    &[("CHECK", "/check"), ("STATE", "/state"), ("REQUIRED", "/required"), ("FOUND", "/message"), ("DO", "/remedy")];

const REVIEW: &[Column] = &[
    ("id", "/id"),
    ("offering", "/offering"),
    ("state", "/state"),
    ("note", "/note"),
    ("submitted by", "/submitted_by"),
    ("submitted", "/submitted_at"),
    ("decided by", "/decided_by"),
    ("decided", "/decided_at"),
    ("reason", "/reason"),
];

const COLUMNS: &[Column] = &[
    ("OFFERING", "/offering"),
    ("STATE", "/state"),
    ("SUBMITTED BY", "/submitted_by"),
    ("SUBMITTED", "/submitted_at"),
    ("DECIDED BY", "/decided_by"),
    ("REASON", "/reason"),
];

/// Runs one.
pub(super) async fn run(client: &Client, out: &Out, verb: Review) -> Result<(), Error> {
    let (offering, verb, body) = match verb {
        Review::Checks { offering } => {
            let found = client.get(&["offerings", &offering, "checks"], &[]).await?;
            out.one(&found, CHECKS)?;
            let rows = found["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
            if out.is_json() || rows.is_empty() {
                return Ok(());
            }
            print::lines("")?;
            return print::lines(&print::table(rows, ROWS));
        }
        Review::Reviews { state, offering, limit } => {
            let query = given(&[("state", &state), ("offering", &offering)]);
            return out.list(&client.list(&["reviews"], &query, limit.get()).await?, COLUMNS);
        }
        Review::Submit { offering, note } => (offering, "submit", json!({ "note": note })),
        Review::Publish { offering, reason } => (offering, "publish", json!({ "reason": reason })),
        Review::SendBack { offering, reason } => (offering, "send-back", json!({ "reason": reason })),
    };
    let done: Value = client.send(Method::POST, &["offerings", &offering, verb], Some(&body)).await?.body;
    out.one(&done, REVIEW)
}
