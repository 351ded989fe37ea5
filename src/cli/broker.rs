//! `bourse broker`: service brokers behind the hub. Their credentials go in and are never shown.

mod judge;

use std::fs;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::print::{self, Column, Out};
use super::remote::Limit;
use super::{Error, client, params, platform};
use crate::secret::Secret;

/// Arguments of `bourse broker`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register a broker with what it offers now. Whoever answers for it may; what it offers is a draft then.
    Register(Box<Register>),
    /// List brokers.
    List(Limit),
    /// Show a broker, what it offers and what is wrong with it.
    Show {
        /// The broker.
        name: String,
    },
    /// Fetch a broker's catalog again.
    Refresh {
        /// The broker.
        name: String,
    },
    /// Change how a broker is reached and treated.
    Update(Box<Update>),
    /// Have a broker judged by the conformance suite through the hub, or show what came of it.
    Conformance(Box<judge::Judge>),
    /// Delete a broker that has no instances.
    Delete {
        /// The broker.
        name: String,
    },
    /// The credentials with which a broker calls the hub.
    #[command(subcommand)]
    Credentials(Pair),
}

#[derive(Debug, clap::Args)]
struct Register {
    /// 1 to 63 of a-z, 0-9 and '-'; immutable.
    #[arg(long)]
    name: Option<String>,
    /// Stands before its offerings' names; immutable.
    #[arg(long, value_name = "TEXT")]
    name_prefix: Option<String>,
    /// Which ids platforms see; immutable.
    #[arg(long, value_enum)]
    ids: Option<Ids>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
struct Update {
    /// The broker.
    name: String,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ids {
    /// Ids that the hub makes.
    Mapped,
    /// The broker's own.
    Passthrough,
}

/// How a broker is reached and treated.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Broker")]
struct Reach {
    /// What stands before `/v2`.
    #[arg(long, value_name = "URL")]
    broker_url: Option<String>,
    /// Who the hub is there.
    #[arg(long, value_name = "NAME", env = "BOURSE_BROKER_USERNAME")]
    broker_username: Option<String>,
    /// Its password there; better in the environment, or on standard input, than on the command line.
    #[arg(long, value_name = "PASSWORD", env = "BOURSE_BROKER_PASSWORD", hide_env_values = true, value_parser = client::secret)]
    broker_password: Option<Secret<String>>,
    /// Read that password from standard input.
    #[arg(long)]
    broker_password_stdin: bool,
    /// A token, instead of user name and password.
    #[arg(long, value_name = "TOKEN", env = "BOURSE_BROKER_TOKEN", hide_env_values = true, value_parser = client::secret)]
    broker_token: Option<Secret<String>>,
    /// The root certificates of the broker, PEM.
    #[arg(long, value_name = "FILE")]
    broker_ca_file: Option<PathBuf>,
    /// How long one call may take.
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// Orders at once.
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Whether it has instances that this hub does not know yet.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    takeover: Option<bool>,
    /// The whole document as JSON, `-` for standard input; the other options go on top.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Pair {
    /// Make a pair; the password is shown this once.
    Add {
        /// The broker.
        name: String,
    },
    /// Delete a pair.
    Remove {
        /// The broker.
        name: String,
        /// Its user name here.
        username: String,
    },
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("STATUS", "/status"),
    ("BREAKER", "/breaker"),
    ("OFFERINGS", "/offerings/*/name"),
    ("URL", "/url"),
    ("FETCHED", "/fetched_at"),
];

const FIELDS: &[Column] = &[
    ("name", "/name"),
    ("url", "/url"),
    ("status", "/status"),
    ("breaker", "/breaker"),
    ("findings", "/findings/*/message"),
    ("id", "/id"),
    ("name prefix", "/name_prefix"),
    ("ids", "/ids"),
    ("timeout in ms", "/timeout_ms"),
    ("concurrency", "/concurrency"),
    ("takeover", "/takeover"),
    ("provider", "/provider"),
    ("fetched", "/fetched_at"),
    ("registered", "/created_at"),
];

const OFFERINGS: &[Column] =
    &[("OFFERING", "/name"), ("STATE", "/state"), ("PLANS", "/plans/*/name"), ("FINDINGS", "/findings/*/message")];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Register(register) => {
            let body = register.document()?;
            let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let _busy = client.busy("fetching the broker's catalog");
            let made = client.send(Method::PUT, &["brokers", &name], Some(&body)).await?.body;
            show(&out, &made)
        }
        Verb::List(limit) => out.list(&client.list(&["brokers"], &[], limit.get()).await?, COLUMNS),
        Verb::Show { name } => show(&out, &client.get(&["brokers", &name], &[]).await?),
        Verb::Refresh { name } => {
            show(&out, &client.send(Method::POST, &["brokers", &name, "refresh"], None).await?.body)
        }
        Verb::Update(update) => {
            let body = update.reach.document()?;
            if body.is_empty() {
                return Err(client::Error::Usage("say what is to change".to_owned()).into());
            }
            let changed = client.send(Method::PATCH, &["brokers", &update.name], Some(&body.into())).await?;
            show(&out, &changed.body)
        }
        Verb::Conformance(asked) => judge::run(client, &out, *asked).await,
        Verb::Delete { name } => {
            client.send(Method::DELETE, &["brokers", &name], None).await?;
            print::note(&format!("broker {name} is deleted"))
        }
        Verb::Credentials(Pair::Add { name }) => {
            let pair = client.send(Method::POST, &["brokers", &name, "credentials"], None).await?;
            platform::pair(&out, &pair.body)
        }
        Verb::Credentials(Pair::Remove { name, username }) => {
            client.send(Method::DELETE, &["brokers", &name, "credentials", &username], None).await?;
            print::note(&format!("{username} can't call the hub any more"))
        }
    }
}

fn show(out: &Out, broker: &Value) -> Result<(), Error> {
    out.one(broker, FIELDS)?;
    let offerings = broker.get("offerings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if out.is_json() || offerings.is_empty() {
        return Ok(());
    }
    print::lines("")?;
    print::lines(&print::table(offerings, OFFERINGS))
}

impl Register {
    fn document(self) -> Result<Value, Error> {
        let Self { name, name_prefix, ids, reach } = self;
        let mut body = reach.document()?;
        let ids = ids.map(|ids| match ids {
            Ids::Mapped => "mapped",
            Ids::Passthrough => "passthrough",
        });
        set(&mut body, "name", name);
        set(&mut body, "name_prefix", name_prefix);
        set(&mut body, "ids", ids);
        if !(body.contains_key("name") && body.contains_key("url")) {
            return Err(client::Error::Usage("give --name and --broker-url, or a --file with both".to_owned()).into());
        }
        body.entry("credentials").or_insert_with(|| json!({ "none": {} }));
        Ok(body.into())
    }
}

impl Reach {
    /// What was given, and nothing of what was not.
    fn document(self) -> Result<Map<String, Value>, Error> {
        let mut body = self.file.as_deref().map(params::object).transpose()?.unwrap_or_default();
        let Self { broker_url, broker_username, broker_password, broker_password_stdin, broker_token, .. } = self;
        set(&mut body, "url", broker_url);
        set(&mut body, "timeout_ms", self.timeout_ms);
        set(&mut body, "concurrency", self.concurrency);
        set(&mut body, "takeover", self.takeover);
        if let Some(file) = &self.broker_ca_file {
            let pem = fs::read_to_string(file);
            let pem = pem.map_err(|error| client::Error::Read(file.display().to_string(), error))?;
            body.insert("tls".to_owned(), json!({ "ca": pem }));
        }
        let password = if broker_password_stdin { Some(client::stdin_secret()?) } else { broker_password };
        match (broker_token, broker_username, password) {
            (Some(token), None, None) => {
                set(&mut body, "credentials", Some(json!({"bearer": {"token": token.expose()}})))
            }
            (None, Some(username), Some(password)) => {
                let basic = json!({"basic": {"username": username, "password": password.expose()}});
                set(&mut body, "credentials", Some(basic));
            }
            (None, None, None) => {}
            _ => {
                let message = "give --broker-username with --broker-password (or BOURSE_BROKER_PASSWORD, or \
                               --broker-password-stdin), or --broker-token alone";
                return Err(client::Error::Usage(message.to_owned()).into());
            }
        }
        Ok(body)
    }
}

/// Sets what was given.
pub(super) fn set(body: &mut Map<String, Value>, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(field.to_owned(), value.into());
    }
}
