//! What a stamp says: issuer and audience, the request it is good for, and whom the request is for.
//!
//! Field names are those of the wire. It signs and verifies nothing.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::{LIFE_SECONDS, sha256};
use crate::WireRequest;

/// The tenant that a call is for, as in `context.bourse.tenant`. All empty where no tenant is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tenant {
    /// For ever the same.
    pub id: String,
    /// For people and scripts.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// Where its costs go.
    pub cost_center: String,
    /// Whom it belongs to.
    pub business_unit: String,
    /// Such as `production`.
    pub environment: String,
    /// Who answers for it.
    pub owner: String,
    /// Groups that belong to it.
    pub groups: Vec<String>,
    /// Free words.
    pub labels: BTreeMap<String, String>,
}

/// The platform that a call came from, as in `context.bourse.platform`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// For ever the same.
    pub id: String,
    /// For people and scripts.
    pub name: String,
    /// `cloudfoundry`, `kubernetes`, `bourse`, or another.
    pub kind: String,
}

/// The claims of a stamp. Unknown ones are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed: the hub's public URL.
    pub iss: String,
    /// Whom it is meant for: the broker's name at the hub.
    pub aud: String,
    /// The tenant's id, empty where no tenant is meant.
    pub sub: String,
    /// An id of its own.
    pub jti: String,
    /// Made at, in seconds since 1970.
    pub iat: u64,
    /// Good until.
    pub exp: u64,
    /// The request's method.
    pub htm: String,
    /// The request's path and query as sent.
    pub htu: String,
    /// The digest of the body's bytes as sent.
    pub bh: String,
    /// The instance's id at the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inst: Option<String>,
    /// The binding's id at the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<String>,
    /// The offering's id at the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub svc: Option<String>,
    /// The plan's id at the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whom the call is for.
    #[serde(default)]
    pub tenant: Tenant,
    /// Where it came from.
    #[serde(default)]
    pub platform: Platform,
    /// The hubs that it came through, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
}

impl Claims {
    /// The claims that bind a stamp to one request, with an id of its own: method, path, body and times. `path_prefix` is
    /// what the client puts before `/v2` ([`crate::Client::path_prefix`]); `now` is in seconds since 1970. Say the rest with
    /// `Claims { iss, aud, ..Claims::for_request(…) }`.
    pub fn for_request(request: &WireRequest, path_prefix: &str, now: u64) -> Self {
        Self {
            jti: uuid::Uuid::new_v4().to_string(),
            iat: now,
            exp: now.saturating_add(LIFE_SECONDS),
            htm: request.method.clone(),
            htu: format!("{path_prefix}{}", request.path_and_query),
            bh: sha256(&request.body),
            ..Self::default()
        }
    }
}

/// A verified stamp: what it says can be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    claims: Claims,
}

impl Stamp {
    pub(super) fn new(claims: Claims) -> Self {
        Self { claims }
    }

    /// What it says, by move.
    pub fn into_claims(self) -> Claims {
        self.claims
    }
}

impl Deref for Stamp {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.claims
    }
}
