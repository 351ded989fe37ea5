//! `auth/approle/login`: a role id and its secret id for a token.

use serde_json::{Value, json};

use super::input::Input;
use super::reply::{Answered, Reply};
use crate::key_vault::embedded::limits::Limits;
use crate::key_vault::embedded::store::Store;
use crate::key_vault::embedded::store::access::{NewToken, Session};

pub(super) async fn log_in(store: &Store, limits: &Limits, input: &Input) -> Answered {
    let role_id = input.text("role_id")?.ok_or_else(|| Reply::bad("missing role_id"))?;
    let secret_id = input.text("secret_id")?.ok_or_else(|| Reply::bad("missing secret_id"))?;
    let found = store.log_in(role_id, secret_id).await?;
    let Some((token, session)) = found else { return Err(failed(limits, input)) };
    if super::admit(&session, input).is_err() {
        // Nobody learns of this token: it must not take the place of one that is in use.
        store.forget(&session.token).await?;
        return Err(failed(limits, input));
    }
    store.note(&session.vault.name, false);
    Ok(Reply::auth(auth(&session, &token.clear, token.ttl, &token)))
}

/// Only what fails is counted, so whoever has good credentials gets in however many others fail from the same address.
fn failed(limits: &Limits, input: &Input) -> Reply {
    if limits.may_fail(input.peer) {
        Reply::bad("invalid role or secret ID")
    } else {
        Reply::error(429, "too many logins failed: wait")
    }
}

fn auth(session: &Session, clear: &str, ttl: i64, token: &NewToken) -> Value {
    let policies = policies(session);
    json!({
        "client_token": clear,
        "accessor": token.accessor,
        "policies": policies,
        "token_policies": policies,
        "metadata": {"role_name": session.grantee},
        "lease_duration": ttl,
        "renewable": true,
        "entity_id": "",
        "token_type": "service",
        "orphan": true,
        "mfa_requirement": null,
        "num_uses": 0,
    })
}

/// What a token's policies are called.
pub(super) fn policies(session: &Session) -> Vec<String> {
    let role = serde_json::to_value(session.grant.role).ok();
    let role = role.as_ref().and_then(Value::as_str).unwrap_or("none");
    vec!["default".to_owned(), format!("{role}-{}", session.grantee)]
}
