//! Settings of who is believed and who is what: `[oidc]`, `[auth]`, `[portal]`.

use std::time::Duration;

use serde::Deserialize;

use crate::secret::Secret;

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// What users and groups of the identity provider are here.
    #[serde(default)]
    pub grants: Vec<Grants>,
}

/// `[[auth.grants]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// To whoever is in this group.
    pub group: Option<String>,
    /// To this user.
    pub user: Option<String>,
    /// What they are; the command line refuses words that are none.
    pub roles: Vec<String>,
}

/// `[portal]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// How long somebody stays signed in at most.
    #[serde(deserialize_with = "super::duration")]
    pub session: Duration,
    /// How long they may do nothing.
    #[serde(deserialize_with = "super::duration")]
    pub session_idle: Duration,
}

/// `[oidc]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The identity provider; empty where there is none.
    pub issuer: String,
    /// What has to be among a token's audiences.
    pub audience: String,
    /// The claim with the user's name.
    pub user_claim: String,
    /// The claim with their groups: a name, or a JSON pointer.
    pub groups_claim: String,
    /// How far the provider's clock may be off.
    #[serde(deserialize_with = "super::duration")]
    pub clock_skew: Duration,
    /// With which tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How old the provider's keys may become before they are asked for again.
    #[serde(deserialize_with = "super::duration")]
    pub keys_refresh: Duration,
    /// How long they go on while the provider is away.
    #[serde(deserialize_with = "super::duration")]
    pub keys_kept: Duration,
    /// The client by which `bourse login` asks; empty where it can't.
    pub login_client_id: String,
    /// What it asks for.
    pub login_scope: String,
    /// The resource that its token is for (RFC 8707); empty where the provider knows none.
    pub login_resource: String,
    /// The client as which the portal asks; empty where people can't sign in there.
    pub portal_client_id: String,
    /// Its secret, where it has one.
    pub portal_client_secret: Option<Secret<String>>,
    /// What it asks for.
    pub portal_scope: String,
}

impl Oidc {
    /// Whether there is an identity provider.
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }

    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        if !self.is_on() {
            return None;
        }
        if !issuer_is_safe(&self.issuer) {
            return Some(("oidc.issuer", "must be an https URL without query and fragment; http only of this machine"));
        }
        if self.audience.is_empty() {
            return Some(("oidc.audience", "must not be empty: a token that was made for others must not be taken"));
        }
        if self.user_claim.is_empty() || self.groups_claim.is_empty() || self.algorithms.is_empty() {
            return Some(("oidc", "user_claim, groups_claim and algorithms must not be empty"));
        }
        if self.clock_skew > Duration::from_secs(300) {
            return Some(("oidc.clock_skew", "may be at most PT5M"));
        }
        if self.keys_refresh > self.keys_kept {
            return Some(("oidc.keys_kept", "must not be shorter than keys_refresh"));
        }
        None
    }
}

/// Whoever can answer in the issuer's place can be anybody.
fn issuer_is_safe(issuer: &str) -> bool {
    if issuer.contains(['?', '#', '@', ' ']) {
        return false;
    }
    let plain = issuer.strip_prefix("http://").map(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    plain.unwrap_or_else(|| issuer.strip_prefix("https://").is_some_and(|rest| !rest.is_empty()))
}

/// With what a token may be signed (RFC 7518, RFC 8037). Shared secrets and `none` are no members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSA, PKCS #1 1.5.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA, PSS.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA on P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// Its word in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Config, Error};

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_identity_provider_is_believed_over_https_and_for_this_hub_only() {
        let load = |issuer: &str, audience: &str| {
            let set = [("BOURSE__OIDC__ISSUER", issuer), ("BOURSE__OIDC__AUDIENCE", audience)];
            Config::load(None, &environment(&set))
        };
        for good in
            ["https://id.example/realms/a", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1/x", ""]
        {
            assert!(load(good, "bourse").is_ok(), "{good}");
        }
        for bad in ["http://id.example", "id.example", "https://", "https://u@id.example", "https://id.example/?x=1"] {
            assert!(matches!(load(bad, "bourse"), Err(Error::Invalid { key: "oidc.issuer", .. })), "{bad}");
        }
        assert!(matches!(load("https://id.example", ""), Err(Error::Invalid { key: "oidc.audience", .. })));
        let hs = environment(&[("BOURSE__OIDC__ALGORITHMS", "RS256, HS256")]);
        assert!(Config::load(None, &hs).is_err(), "a shared secret");
    }
}
