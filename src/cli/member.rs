//! `bourse tenant member`: who is in a tenant, one at a time.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Error;
use super::client::Client;
use super::print::{self, Column, Out};

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make somebody a member of a tenant, or its owner.
    Put {
        #[command(flatten)]
        member: Member,
        /// `member` orders; `owner` also says who else may.
        #[arg(long, default_value = "member")]
        role: String,
    },
    /// List a tenant's members.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Take somebody out of a tenant.
    Delete {
        #[command(flatten)]
        member: Member,
    },
}

/// Exactly one of a user and a group.
#[derive(Debug, clap::Args)]
pub(super) struct Member {
    /// The tenant.
    tenant: String,
    /// A user, as the hub knows them: `bourse whoami` tells them.
    #[arg(long, required_unless_present = "group", conflicts_with = "group")]
    user: Option<String>,
    /// A group of the identity provider's.
    #[arg(long)]
    group: Option<String>,
}

impl Member {
    fn path(&self) -> [&str; 5] {
        let (kind, name) = match (&self.user, &self.group) {
            (Some(user), _) => ("users", user.as_str()),
            (None, group) => ("groups", group.as_deref().unwrap_or_default()),
        };
        ["tenants", &self.tenant, "members", kind, name]
    }
}

const COLUMNS: &[Column] = &[("USER", "/user"), ("GROUP", "/group"), ("ROLE", "/role")];

const FIELDS: &[Column] = &[("user", "/user"), ("group", "/group"), ("role", "/role")];

/// Runs it.
pub(super) async fn run(client: &Client, verb: Verb, out: &Out) -> Result<(), Error> {
    match verb {
        Verb::Put { member, role } => {
            let body = json!({ "role": role });
            out.one(&client.send(Method::PUT, &member.path(), Some(&body)).await?.body, FIELDS)
        }
        Verb::List { tenant } => {
            let members = client.get(&["tenants", &tenant], &[]).await?.get("members").cloned();
            out.list(&json!({ "items": members.unwrap_or(Value::Null), "next": null }), COLUMNS)
        }
        Verb::Delete { member } => {
            client.send(Method::DELETE, &member.path(), None).await?;
            let [.., name] = member.path();
            print::note(&format!("{name} is in tenant {} no more", member.tenant))
        }
    }
}
