//! `bourse price-book propose|proposals|proposal|accept|refuse|simulate-proposal`: prices that providers propose.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::{RULES, rows, simulated};
use crate::cli::client::Client;
use crate::cli::instance::given;
use crate::cli::print::{Column, Out};
use crate::cli::remote::Limit;
use crate::cli::{Error, params};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Asked {
    /// Propose prices for offerings of a broker; they count once somebody of finance has accepted them.
    Propose {
        /// `currency`, `effective_from` and `rules` as JSON, `-` for standard input.
        file: PathBuf,
        /// The broker whose offerings they are for.
        #[arg(long)]
        broker: String,
    },
    /// List proposed prices.
    Proposals {
        /// In this state: pending, accepted, refused, superseded.
        #[arg(long)]
        state: Option<String>,
        /// Of this broker.
        #[arg(long)]
        broker: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show proposed prices with their rules.
    Proposal {
        /// The proposal.
        id: String,
    },
    /// Accept proposed prices.
    Accept {
        /// The proposal.
        id: String,
        /// Why; kept in the audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Refuse proposed prices.
    Refuse {
        /// The proposal.
        id: String,
        /// What is to be put right; told to whoever proposed them.
        #[arg(long)]
        reason: String,
    },
    /// Say what a month would have cost by proposed prices. Changes nothing.
    SimulateProposal {
        /// The proposal.
        id: String,
        /// The month, such as 2026-10.
        #[arg(long, value_name = "MONTH")]
        period: String,
        /// Of one tenant only.
        #[arg(long)]
        tenant: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("BROKER", "/broker"),
    ("STATE", "/state"),
    ("EFFECTIVE FROM", "/effective_from"),
    ("PROPOSED BY", "/proposed_by"),
    ("DECIDED BY", "/decided_by"),
    ("REASON", "/reason"),
];

const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("broker", "/broker"),
    ("state", "/state"),
    ("currency", "/currency"),
    ("effective from", "/effective_from"),
    ("proposed by", "/proposed_by"),
    ("proposed", "/proposed_at"),
    ("decided by", "/decided_by"),
    ("decided", "/decided_at"),
    ("reason", "/reason"),
    ("price books", "/price_books"),
];

/// Runs one.
pub(super) async fn run(client: &Client, out: &Out, verb: Asked) -> Result<(), Error> {
    let done: Value = match verb {
        Asked::Propose { file, broker } => {
            let mut body = params::object(&file)?;
            body.insert("broker".to_owned(), broker.into());
            client.send(Method::POST, &["price-proposals"], Some(&body.into())).await?.body
        }
        Asked::Proposals { state, broker, limit } => {
            let query = given(&[("state", &state), ("broker", &broker)]);
            return out.list(&client.list(&["price-proposals"], &query, limit.get()).await?, COLUMNS);
        }
        Asked::Proposal { id } => {
            let found = client.get(&["price-proposals", &id], &[]).await?;
            out.one(&found, FIELDS)?;
            return rows(out, &found["rules"], RULES);
        }
        Asked::Accept { id, reason } => decide(client, &id, "accept", &reason).await?,
        Asked::Refuse { id, reason } => decide(client, &id, "refuse", &reason).await?,
        Asked::SimulateProposal { id, period, tenant } => {
            let mut body = json!({ "period": period });
            if let Some(tenant) = tenant {
                body["tenant"] = tenant.into();
            }
            let answer = client.send(Method::POST, &["price-proposals", &id, "simulate"], Some(&body)).await?.body;
            return simulated(out, &answer);
        }
    };
    out.one(&done, FIELDS)
}

async fn decide(client: &Client, id: &str, verb: &str, reason: &str) -> Result<Value, Error> {
    let body = json!({ "reason": reason });
    Ok(client.send(Method::POST, &["price-proposals", id, verb], Some(&body)).await?.body)
}
