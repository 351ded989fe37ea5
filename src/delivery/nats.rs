//! The sink `nats`: events into a JetStream stream, one at a time, each counted once the server has acknowledged it.
//!
//! The event's id is `Nats-Msg-Id`, so that the stream drops what is delivered twice within its window. Servers are the
//! operator's own, named in the settings like the database: the egress policy is not asked.

use std::fmt;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, context::PublishErrorKind, stream};
use async_nats::{ConnectOptions, HeaderMap};
use bytes::Bytes;

use super::{BATCH_TIME_MAX, Failure, Outcome};
use crate::domain::event::Numbered;

const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Nats {
    url: String,
    subject: String,
    stream: String,
    /// Connected, and the stream is there. Made anew after a failure.
    context: Option<jetstream::Context>,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("Nats").field("subject", &self.subject).field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Nats {
    pub(super) fn new(url: String, subject: String, stream: String) -> Self {
        Self { url, subject, stream, context: None }
    }

    /// Publishes events one after the other until one is not taken or the time is over.
    pub(super) async fn deliver(&mut self, events: &[Numbered]) -> Outcome {
        let began = Instant::now();
        let mut delivered = 0;
        for event in events {
            // The library bounds its single steps; this bounds them all together.
            let published = tokio::time::timeout(TIMEOUT, self.publish(event)).await;
            let failure = match published {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure),
                Err(_) => Some(Failure::failed("no acknowledgement in time")),
            };
            if failure.is_some() {
                self.context = None;
                return Outcome { delivered, failure };
            }
            delivered += 1;
            if began.elapsed() > BATCH_TIME_MAX {
                break;
            }
        }
        Outcome { delivered, failure: None }
    }

    async fn publish(&mut self, event: &Numbered) -> Result<(), Failure> {
        let context = match self.context.take() {
            Some(context) => context,
            None => self.connect().await?,
        };
        let context = self.context.insert(context);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", event.id.as_str());
        headers.insert("Content-Type", "application/cloudevents+json; charset=utf-8");
        let body = Bytes::copy_from_slice(event.document.as_bytes());
        let judged = |error: jetstream::context::PublishError| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => Failure::Refused(error.kind().to_string()),
            kind => Failure::failed(kind.to_string()),
        };
        let acknowledgement =
            context.publish_with_headers(self.subject.clone(), headers, body).await.map_err(judged)?;
        let acknowledged = acknowledgement.await.map_err(judged)?;
        // Somebody else's stream may hold the subject: then the events are not where the settings say.
        if acknowledged.stream != self.stream {
            return Err(Failure::failed(format!("the subject belongs to the stream `{}`", acknowledged.stream)));
        }
        Ok(())
    }

    async fn connect(&self) -> Result<jetstream::Context, Failure> {
        let options = ConnectOptions::new().name("bourse").connection_timeout(TIMEOUT).request_timeout(Some(TIMEOUT));
        let client = options
            .connect(self.url.as_str())
            .await
            .map_err(|error| Failure::failed(format!("no connection: {}", error.kind())))?;
        let mut context = jetstream::new(client);
        context.set_timeout(TIMEOUT);
        let wanted = stream::Config {
            name: self.stream.clone(),
            subjects: vec![self.subject.clone()],
            ..stream::Config::default()
        };
        context
            .get_or_create_stream(wanted)
            .await
            .map_err(|error| Failure::failed(format!("the stream could not be had: {}", error.kind())))?;
        Ok(context)
    }
}
