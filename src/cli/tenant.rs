//! `bourse tenant`: who instances are for, and what platforms call them.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Error;
use super::broker::set;
use super::client::{self, Client};
use super::member;
use super::params::{self, identity, pair};
use super::print::{self, Column, Out};
use super::remote::Limit;

/// Arguments of `bourse tenant`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a tenant, or replace all that is said about it.
    Put(Box<Put>),
    /// List tenants.
    List(Limit),
    /// Show a tenant.
    Show {
        /// The tenant.
        name: String,
    },
    /// Delete a tenant that has no instances.
    Delete {
        /// The tenant.
        name: String,
    },
    /// Take tenants over from a list in CSV or JSON, or at a URL. What it has no column for stays as it is.
    Import {
        /// The list, `-` for standard input.
        #[arg(required_unless_present = "from")]
        file: Option<PathBuf>,
        /// Let the hub fetch the list from there.
        #[arg(long, value_name = "URL", conflicts_with = "file")]
        from: Option<String>,
        /// Only show what would come of it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a tenant order, change and bind nothing for the time being.
    Suspend {
        /// The tenant.
        name: String,
        /// What whoever orders for it is told.
        #[arg(long)]
        reason: String,
    },
    /// Let a suspended tenant order again.
    Resume {
        /// The tenant.
        name: String,
    },
    /// Who is in a tenant.
    Member {
        #[command(subcommand)]
        verb: member::Verb,
    },
    /// Delete all instances of a tenant, dependents first, and then the tenant.
    Offboard {
        /// The tenant.
        name: String,
        /// Only show what stands in the way.
        #[arg(long, conflicts_with_all = ["status", "cancel"])]
        dry_run: bool,
        /// Only show how far it is.
        #[arg(long, conflicts_with = "cancel")]
        status: bool,
        /// Call it off: the tenant stays suspended.
        #[arg(long)]
        cancel: bool,
        /// For the audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// List identities that were used in orders and that no tenant has.
    Unmapped(Limit),
}

#[derive(Debug, clap::Args)]
struct Put {
    /// 1 to 63 of a-z, 0-9 and '-'; immutable.
    name: String,
    /// The whole document as JSON, `-` for standard input; the other options go on top.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// For people; the name where neither this nor a file says.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Where its costs go.
    #[arg(long, value_name = "TEXT")]
    cost_center: Option<String>,
    /// Whom it belongs to.
    #[arg(long, value_name = "TEXT")]
    business_unit: Option<String>,
    /// Such as `production`.
    #[arg(long, value_name = "TEXT")]
    environment: Option<String>,
    /// Who answers for it.
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// A group that belongs to it. May be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A label. May be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// A member, `user=NAME,role=owner` or `group=NAME,role=member`. May be repeated.
    #[arg(long = "member", value_name = "MEMBER", value_parser = member)]
    members: Vec<Value>,
    /// What a platform calls it, `platform=NAME,organization_guid=GUID[,space_guid=GUID]`,
    /// `platform=NAME,namespace=NAMESPACE[,clusterid=ID]`, `platform=NAME,context.KEY=VALUE` or `platform=NAME,tenant=NAME`.
    /// May be repeated.
    #[arg(long = "identity", value_name = "IDENTITY", value_parser = identity)]
    identities: Vec<Value>,
}

fn member(text: &str) -> Result<Value, String> {
    let fields = params::pairs(text)?;
    Ok(fields.into_iter().map(|(key, value)| (key, value.into())).collect::<Map<_, _>>().into())
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("DISPLAY NAME", "/display_name"),
    ("COST CENTER", "/cost_center"),
    ("BUSINESS UNIT", "/business_unit"),
    ("ENVIRONMENT", "/environment"),
    ("OWNER", "/owner"),
];

const FIELDS: &[Column] = &[
    ("name", "/name"),
    ("display name", "/display_name"),
    ("id", "/id"),
    ("cost center", "/cost_center"),
    ("business unit", "/business_unit"),
    ("environment", "/environment"),
    ("owner", "/owner"),
    ("groups", "/groups"),
    ("labels", "/labels"),
    ("members", "/members/*"),
    ("identities", "/identities/*"),
    ("suspended", "/suspended"),
    ("created", "/created_at"),
];

const IMPORTED: &[Column] = &[("LINE", "/line"), ("TENANT", "/name"), ("VERDICT", "/verdict"), ("ERROR", "/error")];

const OFFBOARDING: &[Column] = &[
    ("tenant", "/tenant"),
    ("state", "/state"),
    ("instances left", "/left/instances"),
    ("bindings left", "/left/bindings"),
    ("operations", "/left/operations"),
    ("approvals", "/left/approvals"),
    ("default tenant of", "/default_tenant_of"),
    ("open months", "/open_months"),
    ("instances", "/instances/*/id"),
    ("errors", "/instances/*/error"),
    ("error", "/error"),
    ("started", "/started_at"),
    ("finished", "/finished_at"),
];

const UNMAPPED: &[Column] = &[
    ("PLATFORM", "/platform"),
    ("IDENTITY", "/identity"),
    ("COUNT", "/count"),
    ("FIRST SEEN", "/first_seen_at"),
    ("LAST SEEN", "/last_seen_at"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Put(put) => {
            let (name, body) = put.document()?;
            out.one(&client.send(Method::PUT, &["tenants", &name], Some(&body)).await?.body, FIELDS)
        }
        Verb::List(limit) => out.list(&client.list(&["tenants"], &[], limit.get()).await?, COLUMNS),
        Verb::Show { name } => out.one(&client.get(&["tenants", &name], &[]).await?, FIELDS),
        Verb::Delete { name } => {
            client.send(Method::DELETE, &["tenants", &name], None).await?;
            print::note(&format!("tenant {name} is deleted"))
        }
        Verb::Import { file, from, dry_run } => {
            let mut body = Map::new();
            set(&mut body, "text", file.as_deref().map(params::text).transpose()?);
            set(&mut body, "url", from);
            set(&mut body, "dry_run", Some(dry_run));
            let answer = client.send(Method::POST, &["tenants", "import"], Some(&body.into())).await?.body;
            let list = json!({ "items": answer["rows"], "next": null });
            out.list(&list, IMPORTED)?;
            match answer["errors"].as_u64() {
                Some(0) | None => Ok(()),
                Some(errors) => Err(client::Error::Outcome(format!("{errors} rows were not imported")).into()),
            }
        }
        Verb::Suspend { name, reason } => {
            let body = json!({ "reason": reason });
            out.one(&client.send(Method::POST, &["tenants", &name, "suspend"], Some(&body)).await?.body, FIELDS)
        }
        Verb::Member { verb } => member::run(client, verb, &out).await,
        Verb::Resume { name } => {
            out.one(&client.send(Method::POST, &["tenants", &name, "resume"], None).await?.body, FIELDS)
        }
        Verb::Offboard { name, dry_run, status, cancel, reason } => {
            let path = ["tenants", &name, "offboard"];
            if cancel {
                client.send(Method::DELETE, &path, None).await?;
                return print::note(&format!("off-boarding of tenant {name} is called off; it stays suspended"));
            }
            if status {
                return out.one(&client.get(&path, &[]).await?, OFFBOARDING);
            }
            let body = json!({ "dry_run": dry_run, "reason": reason });
            out.one(&client.send(Method::POST, &path, Some(&body)).await?.body, OFFBOARDING)
        }
        Verb::Unmapped(limit) => out.list(&client.list(&["identities", "unmapped"], &[], limit.get()).await?, UNMAPPED),
    }
}

impl Put {
    fn document(self) -> Result<(String, Value), Error> {
        let mut body = self.file.as_deref().map(params::object).transpose()?.unwrap_or_default();
        let Self { name, file: _, display_name, cost_center, business_unit, environment, owner, .. } = self;
        set(&mut body, "display_name", display_name);
        set(&mut body, "cost_center", cost_center);
        set(&mut body, "business_unit", business_unit);
        set(&mut body, "environment", environment);
        set(&mut body, "owner", owner);
        let given = |list: Vec<Value>| Some(list).filter(|list| !list.is_empty());
        set(&mut body, "groups", given(self.groups.into_iter().map(Value::from).collect()));
        set(&mut body, "members", given(self.members));
        set(&mut body, "identities", given(self.identities));
        if !self.labels.is_empty() {
            let labels: Map<String, Value> = self.labels.into_iter().map(|(key, value)| (key, value.into())).collect();
            set(&mut body, "labels", Some(labels));
        }
        body.entry("display_name").or_insert_with(|| name.clone().into());
        Ok((name, body.into()))
    }
}
