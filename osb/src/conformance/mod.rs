//! The conformance suite: judges any service broker over HTTP, requirement by requirement, with nothing but the protocol.
//!
//! What is required stands as data in `osb/requirements.tsv` ([`requirement`]). Each *case* ([`cases`]) orders something, right or
//! wrong, and says of each answer which requirements it keeps; the worst that was seen of a requirement counts. Where the
//! specification leaves a choice, every choice passes. The result is a [`Report`]: per requirement a verdict, and where it
//! failed what was sent, what was expected, what came, and where the specification says so.
//!
//! ```no_run
//! # async fn judge() -> Result<(), osb::conformance::Error> {
//! use osb::conformance::{Options, Outcome, Target, run};
//!
//! let target = Target::new("http://127.0.0.1:8081").with_credentials("hub", "secret");
//! let report = run(&target, Options::default(), osb::conformance::silent(), std::future::pending()).await?;
//! assert_eq!(report.outcome(false), Outcome::Conforms);
//! # Ok(())
//! # }
//! ```
//!
//! It deliberately looks at nothing but answers: no database, no logs, no broker's own interface. Whatever it may have made it
//! deletes at the end, also when it is stopped; what it can't delete it names. Nothing here writes to a terminal.

mod always;
mod book;
mod cases;
mod cleanup;
mod drive;
mod exchange;
mod http;
mod junit;
mod ledger;
mod orders;
mod parameters;
mod pattern;
mod plan;
mod poll;
mod probe;
pub mod report;
mod request;
pub mod requirement;
mod run;
mod shapes;
mod target;

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub use cases::{count as case_count, judged_rows};
pub use cleanup::clean_up_after;
pub use drive::run;
pub use exchange::Exchange;
pub use junit::junit;
pub use report::{Finding, Judged, Outcome, Report, Subject, Verdict};
pub use requirement::{Level, Row, Side, row, rows};
pub use target::{Sign, Signed, Target};

use crate::Object;

/// Parameters of orders; those that are absent are made from the plan's schemas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// For provision.
    pub create: Option<Object>,
    /// For update.
    pub update: Option<Object>,
    /// For bind.
    pub bind: Option<Object>,
}

impl Parameters {
    /// Reads a document: parameters by action (`create`, `update`, `bind`), or plainly those of a provision.
    ///
    /// # Errors
    /// Where it is no object, or one of its parts is none: what is wrong.
    pub fn from_value(document: Value) -> Result<Self, String> {
        let Value::Object(fields) = document else { return Err("it is no JSON object".to_owned()) };
        let actions = ["create", "update", "bind"];
        if fields.is_empty() || !fields.keys().all(|name| actions.contains(&name.as_str())) {
            return Ok(Self { create: Some(fields), ..Self::default() });
        }
        let read = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(parameters)) => Ok(Some(parameters.clone())),
            Some(_) => Err(format!("{name} is no JSON object")),
        };
        Ok(Self { create: read("create")?, update: read("update")?, bind: read("bind")? })
    }
}

/// How a run is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name or id of the offering; the first that is usable where absent.
    pub offering: Option<String>,
    /// Name or id of the plan; the first that is usable where absent.
    pub plan: Option<String>,
    /// Parameters.
    pub parameters: Parameters,
    /// The context of orders; one of Cloud Foundry's form where absent.
    pub context: Option<Object>,
    /// `organization_guid` of orders.
    pub organization_guid: String,
    /// `space_guid` of orders.
    pub space_guid: String,
    /// Only the cases that judge one of these requirements are run; all where it is empty. The catalog is looked at in any case.
    pub rows: Vec<String>,
    /// How long one exchange may take.
    pub exchange: Duration,
    /// How long one operation is polled, unless its plan says less.
    pub polling: Duration,
    /// How long all cases may take together.
    pub overall: Duration,
    /// How long cleaning up may take.
    pub cleanup: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            offering: None,
            plan: None,
            parameters: Parameters::default(),
            context: None,
            organization_guid: "conformance-organization".to_owned(),
            space_guid: "conformance-space".to_owned(),
            rows: Vec::new(),
            exchange: Duration::from_secs(60),
            polling: Duration::from_secs(600),
            overall: Duration::from_secs(3_600),
            cleanup: Duration::from_secs(300),
        }
    }
}

/// Who wants to know how far a run is.
pub trait Progress: Send + Sync {
    /// A case begins, the `number`th of so many.
    fn case(&self, name: &str, number: usize, of: usize) {
        let _: (&str, usize, usize) = (name, number, of);
    }

    /// Something that may make an instance or a binding is about to be sent; it is sent only where this comes to `true`. So whoever
    /// writes it down knows what may be left if the run is killed ([`clean_up_after`]).
    fn making<'a>(&'a self, made: &'a Made) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let _: &Made = made;
        Box::pin(ready(true))
    }

    /// An exchange is over.
    fn exchange(&self, exchange: &Exchange) {
        let _: &Exchange = exchange;
    }

    /// What was made is being deleted.
    fn cleaning_up(&self) {}
}

struct Silent;

impl Progress for Silent {}

/// What a request may have made at the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The instance's id.
    pub instance: String,
    /// The binding's id; empty where it is the instance itself.
    pub binding: String,
    /// The plan that it was ordered with, by the broker's id; empty where none was said.
    pub plan_id: String,
}

/// Nobody wants to know how far a run is.
pub fn silent() -> Arc<dyn Progress> {
    Arc::new(Silent)
}

/// Why a run could not even begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The broker's URL.
    #[error("the URL must begin with http:// or https:// and hold a host, no credentials, no query and no fragment")]
    Url,
    /// The root certificates.
    #[error("the certificates are not PEM")]
    Certificates,
    /// Where it may not be connected to.
    #[error("the egress policy refuses this address")]
    Egress,
    /// User name, password, token or client certificate.
    #[error("the credentials can't be used: {0}")]
    Credentials(String),
    /// The HTTP library.
    #[error("the HTTP client can't be made: {0}")]
    Http(String),
    /// Nobody answers.
    #[error("no service broker answers there: {0}")]
    Unreachable(String),
}

/// The context of a platform that nobody knows, in Cloud Foundry's form.
fn basic_context(options: &Options) -> Object {
    let context = json!({
        "platform": "cloudfoundry",
        "organization_guid": options.organization_guid,
        "organization_name": "conformance",
        "space_guid": options.space_guid,
        "space_name": "conformance",
        "instance_name": "conformance",
    });
    context.as_object().cloned().unwrap_or_default()
}
