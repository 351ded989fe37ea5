//! `bourse platform`: platforms that order through the hub, and the credentials that they call it with.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Error;
use super::broker::set;
use super::client::Client;
use super::print::{self, Column, Out};
use super::remote::Limit;

/// Arguments of `bourse platform`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    out: Out,
}

const KINDS: [&str; 4] = ["cloudfoundry", "kubernetes", "bourse", "other"];

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register a platform; its password is shown this once.
    Create {
        /// 1 to 63 of a-z, 0-9 and '-'; immutable.
        name: String,
        /// What kind it is; immutable.
        #[arg(long, value_parser = PossibleValuesParser::new(KINDS))]
        kind: String,
        /// Whom orders are for that no identity maps.
        #[arg(long, value_name = "TENANT")]
        default_tenant: Option<String>,
        /// Of a platform that is a hub: whose stamps are believed.
        #[arg(long, value_name = "URL", requires = "trust_jwks_url")]
        trust_issuer: Option<String>,
        /// Where that hub publishes its keys.
        #[arg(long, value_name = "URL", requires = "trust_issuer")]
        trust_jwks_url: Option<String>,
        /// The name under which that hub has this one registered; where absent, stamps for any of its brokers are believed.
        #[arg(long, value_name = "NAME", requires = "trust_issuer")]
        trust_audience: Option<String>,
    },
    /// List platforms.
    List(Limit),
    /// Show a platform.
    Show {
        /// The platform.
        name: String,
    },
    /// Change whom orders are for that no identity maps.
    Update {
        /// The platform.
        name: String,
        /// That tenant.
        #[arg(long, value_name = "TENANT", required_unless_present = "no_default_tenant")]
        default_tenant: Option<String>,
        /// None: such orders are refused.
        #[arg(long, conflicts_with = "default_tenant")]
        no_default_tenant: bool,
    },
    /// Make a second pair of credentials, shown this once; the old one works until it is revoked.
    Rotate {
        /// The platform.
        name: String,
    },
    /// Delete a pair of credentials.
    Revoke {
        /// The platform.
        name: String,
        /// The pair's user name; `show` lists them.
        username: String,
    },
    /// Delete a platform that has no instances.
    Delete {
        /// The platform.
        name: String,
    },
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("KIND", "/kind"),
    ("DEFAULT TENANT", "/default_tenant"),
    ("USER NAMES", "/usernames"),
    ("CREATED", "/created_at"),
];

const FIELDS: &[Column] = &[
    ("name", "/name"),
    ("kind", "/kind"),
    ("id", "/id"),
    ("default tenant", "/default_tenant"),
    ("trusted issuer", "/trust/issuer"),
    ("trusted keys", "/trust/jwks_url"),
    ("trusted for", "/trust/audience"),
    ("user names", "/usernames"),
    ("username", "/credentials/username"),
    ("password", "/credentials/password"),
    ("created", "/created_at"),
];

/// Runs it.
pub(super) async fn run(client: &Client, args: Args) -> Result<(), Error> {
    let Args { verb, out } = args;
    match verb {
        Verb::Create { name, kind, default_tenant, trust_issuer, trust_jwks_url, trust_audience } => {
            let mut body = Map::new();
            set(&mut body, "name", Some(name));
            set(&mut body, "kind", Some(kind));
            set(&mut body, "default_tenant", default_tenant);
            let trust = trust_issuer.zip(trust_jwks_url);
            let trust = trust.map(|(issuer, keys)| {
                let mut trust = Map::new();
                set(&mut trust, "issuer", Some(issuer));
                set(&mut trust, "jwks_url", Some(keys));
                set(&mut trust, "audience", trust_audience);
                Value::Object(trust)
            });
            set(&mut body, "trust", trust);
            let made = client.send(Method::POST, &["platforms"], Some(&body.into())).await?.body;
            out.one(&made, FIELDS)?;
            print::note("the password is shown this once: keep it")
        }
        Verb::List(limit) => out.list(&client.list(&["platforms"], &[], limit.get()).await?, COLUMNS),
        Verb::Show { name } => out.one(&client.get(&["platforms", &name], &[]).await?, FIELDS),
        Verb::Update { name, default_tenant, no_default_tenant: _ } => {
            let body = json!({ "default_tenant": default_tenant });
            out.one(&client.send(Method::PATCH, &["platforms", &name], Some(&body)).await?.body, FIELDS)
        }
        Verb::Rotate { name } => {
            let made = client.send(Method::POST, &["platforms", &name, "credentials"], None).await?;
            pair(&out, &made.body)
        }
        Verb::Revoke { name, username } => {
            client.send(Method::DELETE, &["platforms", &name, "credentials", &username], None).await?;
            print::note(&format!("{username} can't call the hub any more"))
        }
        Verb::Delete { name } => {
            client.send(Method::DELETE, &["platforms", &name], None).await?;
            print::note(&format!("platform {name} is deleted"))
        }
    }
}

/// Prints a new pair of credentials.
pub(super) fn pair(out: &Out, pair: &Value) -> Result<(), Error> {
    out.one(pair, &[("username", "/username"), ("password", "/password")])?;
    print::note("the password is shown this once: keep it")
}
