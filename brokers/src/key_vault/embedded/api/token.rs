//! `auth/token/…-self`: a token looks at itself, is renewed, ends.

use serde_json::json;

use super::input::{Input, Verb, shown_time};
use super::login::policies;
use super::reply::{Answered, Reply};
use crate::key_vault::embedded::store::Store;
use crate::key_vault::embedded::store::access::Session;

pub(super) async fn answer(store: &Store, session: &Session, input: &Input, path: &str) -> Answered {
    match (path, input.verb) {
        ("token/lookup-self", Verb::Read | Verb::Write) => Ok(look_up(store, session, input)),
        ("token/renew-self", Verb::Write) => renew(store, session, input).await,
        ("token/revoke-self", Verb::Write) => {
            store.forget(&session.token).await?;
            Ok(Reply::empty())
        }
        _ => Err(Reply::denied()),
    }
}

fn look_up(store: &Store, session: &Session, input: &Input) -> Reply {
    let token = &session.token;
    Reply::data(json!({
        "accessor": token.accessor,
        "creation_time": token.created_at,
        "creation_ttl": token.ttl,
        "display_name": "approle",
        "entity_id": "",
        "expire_time": shown_time(token.expires_at),
        "explicit_max_ttl": if token.ends_at == token.created_at + token.ttl { token.ttl } else { 0 },
        "id": input.token,
        "issue_time": shown_time(token.created_at),
        "meta": {"role_name": session.grantee},
        "num_uses": 0,
        "orphan": true,
        "path": token.path,
        "policies": policies(session),
        "renewable": true,
        "ttl": (token.expires_at - store.clock.seconds()).max(0),
        "type": "service",
    }))
}

async fn renew(store: &Store, session: &Session, input: &Input) -> Answered {
    let expires_at = store.renew(&session.token, input.duration("increment")?).await?;
    let policies = policies(session);
    Ok(Reply::auth(json!({
        "client_token": input.token,
        "accessor": session.token.accessor,
        "policies": policies,
        "token_policies": policies,
        "metadata": {"role_name": session.grantee},
        "lease_duration": (expires_at - store.clock.seconds()).max(0),
        "renewable": true,
        "entity_id": "",
        "token_type": "service",
        "orphan": true,
        "mfa_requirement": null,
        "num_uses": 0,
    })))
}
