//! Web hooks: events of a repository, sent as the Standard Webhooks specification has it, from a durable outbox.
//!
//! It deliberately keeps no event for ever: after [`ATTEMPTS_MAX`] tries over about a day it is dropped, with a warning. Invariant:
//! per web hook, events are sent in their order, each at least once; its id tells repeats apart.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ipnet::IpNet;
use osb::client::{Egress, EgressResolver, permits_literal};
use osb::kit::seal::random;
use osb::kit::{Binding, Fault, Issued, Refusal};
use reqwest::Url;
use ring::hmac;
use serde_json::json;

use super::embedded::{database, object};
use super::store::{DeliveryRow, RepositoryRow, Store};

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often an event is tried.
const ATTEMPTS_MAX: u32 = 12;
/// How long it is waited after the first failure; twice as long after each further one.
const FIRST_WAIT: i64 = 5;
/// How long at most.
const LONGEST_WAIT: i64 = 6 * 3600;

/// Sends events.
pub(super) struct Webhooks {
    egress: Arc<Egress>,
    http: reqwest::Client,
}

impl Webhooks {
    pub(super) fn new(allow: Vec<IpNet>) -> Result<Self, reqwest::Error> {
        // Another part of the process may have installed the same provider already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let egress = Arc::new(Egress::new(allow));
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(EgressResolver { policy: Arc::<Egress>::clone(&egress), exempt: None })
            .build()?;
        Ok(Self { egress, http })
    }

    /// Whether events may be sent there.
    pub(super) fn check(&self, url: &str) -> Result<(), Refusal> {
        if Url::parse(url).is_ok_and(|url| permits_literal(self.egress.as_ref(), &url)) {
            return Ok(());
        }
        Err(Refusal::Invalid(
            "parameter `url`: that address may not be called from here: use one that is not loopback or link-local"
                .to_owned(),
        ))
    }

    /// Makes a web hook with a secret of its own.
    pub(super) async fn make(
        &self,
        store: &Store,
        row: &RepositoryRow,
        binding: &Binding,
        url: &str,
    ) -> Result<Issued, Fault> {
        let secret = format!("whsec_{}", BASE64_STANDARD.encode(random::<32>().map_err(Fault::failed)?));
        let sealed = store.sealer.seal(&owner(&binding.resource), secret.as_bytes()).map_err(Fault::failed)?;
        store.put_webhook(&binding.resource, &row.resource, url, &sealed).await.map_err(database)?;
        let credentials = object(json!({"url": url, "secret": secret, "events": ["push", "build"]}));
        Ok(Issued { credentials, ..Issued::default() })
    }

    /// Sends what is due, at most so many.
    pub(super) async fn round(&self, store: &Store, now: i64, limit: u32) -> Result<(), sqlx::Error> {
        let due = store.due_deliveries(now, limit).await?;
        let sent = due.iter().map(|delivery| async move { (delivery, self.send(store, delivery, now).await) });
        for (delivery, result) in futures_util::future::join_all(sent).await {
            match result {
                Ok(()) => store.drop_delivery(delivery.number).await?,
                Err(error) if delivery.attempts + 1 >= ATTEMPTS_MAX => {
                    tracing::warn!(%error, webhook = delivery.webhook, event.id = delivery.id, "an event was given up");
                    store.drop_delivery(delivery.number).await?;
                }
                Err(error) => {
                    tracing::info!(%error, webhook = delivery.webhook, event.id = delivery.id, "an event was not taken yet");
                    let wait = FIRST_WAIT.saturating_mul(1 << delivery.attempts.min(30)).min(LONGEST_WAIT);
                    store.put_off_delivery(delivery.number, now.saturating_add(wait)).await?;
                }
            }
        }
        Ok(())
    }

    async fn send(&self, store: &Store, delivery: &DeliveryRow, now: i64) -> Result<(), String> {
        let url = Url::parse(&delivery.url).map_err(|_| "its URL can't be read".to_owned())?;
        if !permits_literal(self.egress.as_ref(), &url) {
            return Err("that address may not be called from here".to_owned());
        }
        let secret =
            store.sealer.open(&owner(&delivery.webhook), &delivery.secret).map_err(|error| error.to_string())?;
        let signature = sign(&secret, &delivery.id, now, &delivery.body).ok_or("its secret is damaged")?;
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signature)
            .body(delivery.body.clone());
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("it was answered {}", response.status().as_u16())),
            Err(error) => Err(error.without_url().to_string()),
        }
    }
}

/// Whom a secret is sealed for.
fn owner(binding: &str) -> String {
    format!("webhook/{binding}")
}

/// `v1,` and the HMAC of id, time and body under the secret's bytes.
fn sign(secret: &[u8], id: &str, now: i64, body: &str) -> Option<String> {
    let encoded = secret.strip_prefix(b"whsec_")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(encoded).ok()?);
    let tag = hmac::sign(&key, format!("{id}.{now}.{body}").as_bytes());
    Some(format!("v1,{}", BASE64_STANDARD.encode(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The example of https://github.com/standard-webhooks/standard-webhooks (spec and libraries).
        let signature = sign(
            b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(sign(b"plain", "a", 0, ""), None);
    }
}
