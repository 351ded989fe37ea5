//! Sinks: where events go. One file a kind. A sink delivers what it is given, in that order, and says how far it came; what
//! comes next, when to try again and what to give up is decided in `app::relay`.
//!
//! Invariant: an event counts as delivered only when the other side has it durably. A reason for a failure names no URL, since
//! that may hold a secret.

mod file;
mod nats;
mod stdout;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config;
use crate::domain::event::Numbered;

pub use webhook::sign;

/// After that long a batch ends where it is, so that progress is recorded.
const BATCH_TIME_MAX: Duration = Duration::from_secs(2);

/// How long a webhook may take to answer: the timeout of what [`Post`] makes.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// Begins a POST to a URL, under the egress policy and with a timeout; or says why not, without naming the URL.
pub type Post = Arc<dyn Fn(&str) -> Result<reqwest::RequestBuilder, String> + Send + Sync>;

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The other side does not want this event: trying again hardly helps.
    #[error("{0}")]
    Refused(String),
    /// Something else went wrong.
    #[error("{reason}")]
    Failed {
        /// What went wrong.
        reason: String,
        /// When the other side wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl Failure {
    fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), retry_after: None }
    }
}

/// How far a delivery came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// So many of the events were taken, from the first on.
    pub delivered: usize,
    /// Why the next one was not. Absent where all were taken or the time was over.
    pub failure: Option<Failure>,
}

/// What a sink can't be made from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL of a webhook or its secret is malformed.
    #[error("sink `{name}`: {message}")]
    Settings {
        /// The sink.
        name: String,
        /// What is wrong.
        message: String,
    },
}

/// A sink that is ready to be delivered to. It connects and opens when it is first needed.
#[derive(Debug)]
pub struct Sink {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File(file::File),
    Stdout,
    Webhook(webhook::Webhook),
    Nats(Box<nats::Nats>),
}

impl Sink {
    /// Makes a sink from its settings. Webhooks go out through `post`.
    ///
    /// # Errors
    /// Where a URL or a secret is malformed, or the egress policy refuses an address.
    pub fn new(settings: &config::Sink, post: &Post, clock: Clock) -> Result<Self, Error> {
        let name = settings.name().to_owned();
        let wrong = |message| Error::Settings { name: name.clone(), message };
        let kind = match settings {
            config::Sink::File { path, .. } => Kind::File(file::File::new(path.clone())),
            config::Sink::Stdout { .. } => Kind::Stdout,
            config::Sink::Webhook { url, secret, .. } => {
                Kind::Webhook(webhook::Webhook::new(url, secret, Arc::clone(post), clock).map_err(wrong)?)
            }
            config::Sink::Nats { url, subject, stream, .. } => {
                Kind::Nats(Box::new(nats::Nats::new(url.clone(), subject.clone(), stream.clone())))
            }
        };
        Ok(Self { name, kind })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Delivers events in order until one is not taken or the time is over.
    pub async fn deliver(&mut self, events: &[Numbered]) -> Outcome {
        match &mut self.kind {
            Kind::File(file) => file.deliver(events).await,
            Kind::Stdout => stdout::deliver(events).await,
            Kind::Webhook(webhook) => webhook.deliver(events).await,
            Kind::Nats(nats) => nats.deliver(events).await,
        }
    }
}
