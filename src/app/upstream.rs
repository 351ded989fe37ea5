//! A hub in front of this one (a platform with `trust`): its stamp says for whom a call is, and through which hubs it came.
//! Believed only once verified; what such a platform claims elsewhere counts for nothing.

use std::sync::Arc;

use dashmap::DashMap;
use osb::Call;
use osb::stamp::{StampError, Verifier};
use serde_json::Value;

use super::{App, Error};
use crate::backend::Outgoing;
use crate::domain::catalog::hubs::HUBS_MAX;
use crate::domain::platform::{Platform, Trust};

/// What the hub in front of this one says of a call, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name for the tenant; empty where it means none, such as for a catalog.
    pub tenant: String,
    /// The hubs that the call came through, that one last.
    pub via: Vec<String>,
}

/// Verifiers by platform: each keeps the keys that it has fetched.
#[derive(Debug, Default)]
pub(in crate::app) struct Verifiers(DashMap<String, (Trust, Known)>);

#[derive(Clone)]
struct Known(Verifier);

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifiers {
    /// The verifier of a platform, made anew where its trust has changed.
    fn of(&self, platform: &str, trust: &Trust, outgoing: &Outgoing) -> Verifier {
        if let Some(known) = self.0.get(platform).filter(|known| known.0 == *trust) {
            return known.1.0.clone();
        }
        let tls = osb::client::TlsOptions { ca_pem: outgoing.ca_pem.clone(), ..Default::default() };
        let verifier = Verifier::new(&trust.issuer, &trust.jwks_url, trust.audience.as_deref().unwrap_or_default())
            .egress(Arc::<osb::client::Egress>::clone(&outgoing.egress))
            .tls(tls)
            .proxy(outgoing.proxy.clone());
        // Without an audience the platform's password says that the call was meant for this hub.
        let verifier = if trust.audience.is_none() { verifier.any_audience() } else { verifier };
        self.0.insert(platform.to_owned(), (trust.clone(), Known(verifier.clone())));
        verifier
    }
}

impl App {
    /// What the stamp of a call says, where the platform is a hub; `None` for all others.
    ///
    /// # Errors
    /// 401 without a valid stamp; 503 where its keys can't be had; 400 where hubs form a ring, or too long a chain.
    pub(in crate::app) async fn upstream(&self, platform: &Platform, call: &Call) -> Result<Option<Upstream>, Error> {
        let Some(trust) = &platform.trust else { return Ok(None) };
        let verifier = self.inner.verifiers.of(&platform.id, trust, self.outgoing());
        let claims = verifier.verify(call).await.map_err(|error| refused(platform, &error))?.into_claims();
        let via = if claims.via.is_empty() { via_of_body(call) } else { claims.via };
        let own = &self.config().server.hub;
        if via.contains(own) {
            let message = format!("the call has come through hub {own} before: hubs must not form a ring");
            return Err(osb::Error::bad_request(message).into());
        }
        if via.len() > HUBS_MAX {
            let message = format!("the call has come through more than {HUBS_MAX} hubs");
            return Err(osb::Error::bad_request(message).into());
        }
        Ok(Some(Upstream { tenant: claims.tenant.name, via }))
    }
}

/// The hubs as the body says; the stamp covers the body.
fn via_of_body(call: &Call) -> Vec<String> {
    let body = call.wire.as_deref().map(|request| request.body.as_ref()).unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let hubs = body.pointer("/context/bourse/via").and_then(Value::as_array);
    hubs.into_iter().flatten().filter_map(|hub| hub.as_str().map(str::to_owned)).collect()
}

fn refused(platform: &Platform, error: &StampError) -> Error {
    tracing::info!(platform.name = platform.name, %error, "a stamp was refused");
    match error {
        StampError::Keys(_) => osb::Error::unavailable("stamps cannot be checked at the moment", 5).into(),
        error => osb::Error::unauthorized(format!("the stamp of the hub cannot be accepted: {error}")).into(),
    }
}
