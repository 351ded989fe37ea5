//! Access for grantees: given, and ended with every token that came from it.
//!
//! Invariant: whatever a grantee can log in with hangs on its own auth mount or its own token role, and both go together.

use osb::Object;
use osb::kit::{Fault, Issued};
use serde_json::{Value, json};

use super::call::CallError;
use super::place::Place;
use super::{IssuerKeys, OpenBao};
use crate::key_vault::driver::Grantee;
use crate::key_vault::parameters::{Access, Auth};
use crate::key_vault::policy;

/// Tokens of a login can be renewed for at most 32 days.
const RENEWED_AT_MOST: i64 = 32 * 24 * 60 * 60;

impl OpenBao {
    pub(super) async fn give(&self, grantee: &Grantee<'_>) -> Result<Issued, Fault> {
        let place = self.place(grantee.vault);
        let name = place.of_grantee(grantee.name);
        let transit = grantee.has_keys.then_some(place.transit.as_str());
        let rules = policy::rules(&grantee.access.grant, &place.kv, transit);
        let policy = json!({"policy": policy::text(&rules)});
        self.server.post(place.namespace(), &format!("sys/policies/acl/{name}"), &policy).await?;
        let mut credentials = place.shown(&self.public_address, grantee.has_keys);
        match grantee.access.auth {
            Auth::AppRole => {
                credentials.insert("auth".into(), self.give_approle(grantee, &place, &name).await?);
                Ok(Issued { credentials, ..Issued::default() })
            }
            Auth::Jwt => {
                credentials.insert("auth".into(), self.give_jwt(grantee, &place, &name).await?);
                Ok(Issued { credentials, ..Issued::default() })
            }
            Auth::Token => Ok(self.give_token(grantee, &place, &name, credentials).await?),
        }
    }

    async fn auth_mount(&self, place: &Place, name: &str, kind: &str) -> Result<(), CallError> {
        let mounts = self.server.get(place.namespace(), "sys/auth").await?.unwrap_or_default();
        if mounts["data"].get(format!("{name}/")).is_some() {
            // A repeat: what was given before, and nobody was told of, ends.
            self.server.delete(place.namespace(), &format!("sys/auth/{name}")).await?;
        }
        self.server.post(place.namespace(), &format!("sys/auth/{name}"), &json!({"type": kind})).await?;
        Ok(())
    }

    /// What all roles have in common.
    fn role(grantee: &Grantee<'_>, name: &str) -> Value {
        let Access { ttl, .. } = grantee.access;
        let cidrs: Vec<_> = grantee.order.bound_cidrs.iter().map(ToString::to_string).collect();
        json!({
            "token_policies": [name],
            "token_ttl": ttl,
            "token_max_ttl": RENEWED_AT_MOST.max(*ttl),
            "token_bound_cidrs": cidrs,
        })
    }

    async fn give_approle(&self, grantee: &Grantee<'_>, place: &Place, name: &str) -> Result<Value, CallError> {
        self.auth_mount(place, name, "approle").await?;
        let path = format!("auth/{name}/role/{}", grantee.name);
        let mut role = Self::role(grantee, name);
        role["secret_id_bound_cidrs"] = role["token_bound_cidrs"].clone();
        self.server.post(place.namespace(), &path, &role).await?;
        let role_id = self.server.get(place.namespace(), &format!("{path}/role-id")).await?.unwrap_or_default();
        let wrap_ttl = grantee.access.wrap_ttl;
        let secret_id = format!("{path}/secret-id");
        let wrapped = self.server.post_wrapped(place.namespace(), &secret_id, &json!({}), wrap_ttl).await?;
        let role_id = role_id["data"]["role_id"].as_str().ok_or(CallError::Unreadable)?;
        let wrapped = &wrapped["wrap_info"];
        Ok(json!({
            "method": "approle",
            "path": format!("auth/{name}"),
            "role": grantee.name,
            "role_id": role_id,
            "wrapped_secret_id": wrapped["token"].as_str().ok_or(CallError::Unreadable)?,
            "wrap_ttl": format!("{wrap_ttl}s"),
            "creation_path": wrapped["creation_path"].as_str().unwrap_or(&secret_id),
        }))
    }

    async fn give_jwt(&self, grantee: &Grantee<'_>, place: &Place, name: &str) -> Result<Value, Fault> {
        let issuer = self.issuer(grantee.access)?;
        let mut config = json!({"bound_issuer": issuer.issuer});
        match &issuer.keys {
            IssuerKeys::JwksUrl(url) => config["jwks_url"] = url.as_str().into(),
            IssuerKeys::OidcDiscoveryUrl(url) => config["oidc_discovery_url"] = url.as_str().into(),
            IssuerKeys::PublicKeys(keys) => config["jwt_validation_pubkeys"] = json!(keys),
        }
        self.auth_mount(place, name, "jwt").await?;
        self.server.post(place.namespace(), &format!("auth/{name}/config"), &config).await?;
        let mut role = Self::role(grantee, name);
        let claims = &grantee.access.claims;
        role["role_type"] = "jwt".into();
        role["user_claim"] = "sub".into();
        role["bound_subject"] = claims.subject.as_deref().unwrap_or_default().into();
        if let Some(audience) = &claims.audience {
            role["bound_audiences"] = json!([audience]);
        }
        self.server.post(place.namespace(), &format!("auth/{name}/role/{}", grantee.name), &role).await?;
        Ok(json!({"method": "jwt", "path": format!("auth/{name}"), "role": grantee.name}))
    }

    async fn give_token(
        &self,
        grantee: &Grantee<'_>,
        place: &Place,
        name: &str,
        mut credentials: Object,
    ) -> Result<Issued, CallError> {
        let ttl = grantee.access.ttl;
        let mut role = Self::role(grantee, name);
        role["allowed_policies"] = json!([name]);
        role["orphan"] = true.into();
        role["renewable"] = true.into();
        role["token_explicit_max_ttl"] = ttl.into();
        if let Some(role) = role.as_object_mut() {
            // Roles of tokens know these under other names.
            for other in ["token_policies", "token_ttl", "token_max_ttl"] {
                role.shift_remove(other);
            }
        }
        // A repeat: the token that nobody was told of ends.
        self.end_tokens(place, name).await?;
        self.server.post(place.namespace(), &format!("auth/token/roles/{name}"), &role).await?;
        let now = self.clock.seconds();
        let wanted = json!({"policies": [name], "ttl": ttl});
        let made = self.server.post(place.namespace(), &format!("auth/token/create/{name}"), &wanted).await?;
        let auth = &made["auth"];
        let token = auth["client_token"].as_str().ok_or(CallError::Unreadable)?;
        credentials.insert("auth".into(), json!({"method": "token", "accessor": auth["accessor"]}));
        credentials.insert("token".into(), token.into());
        // The server may allow less than was asked for.
        let ttl =
            auth["lease_duration"].as_i64().filter(|granted| *granted > 0).map_or(ttl, |granted| granted.min(ttl));
        Ok(Issued {
            credentials,
            expires_at: Some(now + ttl),
            renew_before: Some(now + ttl - ttl / 3),
            endpoints: vec![],
        })
    }

    async fn end_tokens(&self, place: &Place, name: &str) -> Result<(), CallError> {
        let path = format!("sys/leases/revoke-prefix/auth/token/create/{name}");
        self.server.post_if_there(place.namespace(), &path).await
    }

    /// Ends what one grantee has.
    pub(super) async fn end_access(&self, place: &Place, grantee: &str) -> Result<(), CallError> {
        self.end(place, &place.of_grantee(grantee)).await
    }

    async fn end(&self, place: &Place, name: &str) -> Result<(), CallError> {
        self.server.delete(place.namespace(), &format!("sys/auth/{name}")).await?;
        self.end_tokens(place, name).await?;
        self.server.delete(place.namespace(), &format!("auth/token/roles/{name}")).await?;
        self.server.delete(place.namespace(), &format!("sys/policies/acl/{name}")).await
    }

    /// Ends what anyone has, grantees that the kit knows nothing of any more included.
    pub(super) async fn end_all_access(&self, place: &Place) -> Result<(), CallError> {
        let mounts = self.server.get(place.namespace(), "sys/auth").await?.unwrap_or_default();
        let mounts = mounts["data"].as_object().into_iter().flatten();
        let mut names: Vec<String> = mounts.map(|(path, _)| path.trim_end_matches('/').to_owned()).collect();
        names.extend(self.server.list(place.namespace(), "auth/token/roles").await?);
        names.extend(self.server.list(place.namespace(), "sys/policies/acl").await?);
        names.sort_unstable();
        names.dedup();
        for name in names.iter().filter(|name| place.owns(name)) {
            self.end(place, name).await?;
        }
        if place.alone {
            self.server.post_if_there(place.namespace(), "sys/leases/revoke-prefix/auth").await?;
        }
        Ok(())
    }
}
