//! `sys/…`: health, what a client asks about mounts before it works with one, and unwrapping.

use serde_json::{Value, json};

use super::input::{Input, Verb, shown_time};
use super::reply::{Answered, Reply};
use crate::key_vault::embedded::limits::Limits;
use crate::key_vault::embedded::store::Store;
use crate::key_vault::embedded::store::access::Session;
use crate::key_vault::embedded::{KV, TRANSIT};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is answered to everybody; `None` where it is something else.
pub(super) fn public(store: &Store, path: &str) -> Option<Reply> {
    let body = match path {
        "sys/health" => json!({
            "initialized": true,
            "sealed": false,
            "standby": false,
            "performance_standby": false,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "server_time_utc": store.clock.seconds(),
            "version": VERSION,
            "cluster_name": "bourse-key-vault",
            "cluster_id": "bourse-key-vault",
        }),
        "sys/seal-status" => json!({
            "type": "embedded",
            "initialized": true,
            "sealed": false,
            "t": 0,
            "n": 0,
            "progress": 0,
            "nonce": "",
            "version": VERSION,
            "build_date": "",
            "migration": false,
            "recovery_seal": false,
            "storage_type": "sqlite",
        }),
        "sys/leader" => json!({
            "ha_enabled": false,
            "is_self": false,
            "leader_address": "",
            "leader_cluster_address": "",
            "performance_standby": false,
            "performance_standby_last_remote_wal": 0,
        }),
        _ => return None,
    };
    Some(Reply::plain(200, body))
}

pub(super) fn answer(session: &Session, input: &Input, path: &str) -> Answered {
    match (path, input.verb) {
        ("internal/ui/mounts", Verb::Read) => {
            let mut secret = serde_json::Map::new();
            secret.insert(format!("{KV}/"), mount(session, KV));
            if session.vault.has_keys {
                secret.insert(format!("{TRANSIT}/"), mount(session, TRANSIT));
            }
            Ok(Reply::data(json!({"auth": {}, "secret": secret})))
        }
        (_, Verb::Read) => {
            let asked = path.strip_prefix("internal/ui/mounts/").ok_or_else(Reply::denied)?;
            match asked.split('/').next() {
                Some(KV) => Ok(Reply::data(mount(session, KV))),
                Some(TRANSIT) if session.vault.has_keys => Ok(Reply::data(mount(session, TRANSIT))),
                _ => Err(Reply::denied()),
            }
        }
        _ => Err(Reply::denied()),
    }
}

fn mount(session: &Session, name: &str) -> Value {
    let options = if name == KV { json!({"version": "2"}) } else { Value::Null };
    json!({
        "accessor": format!("{name}_{}", session.vault.name),
        "config": {"default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0},
        "description": "",
        "external_entropy_access": false,
        "local": false,
        "options": options,
        "path": format!("{name}/"),
        "seal_wrap": false,
        "type": name,
        "uuid": format!("{name}-{}", session.vault.name),
    })
}

/// The wrapping token: what is named in the body, or what the caller shows.
fn wrapping_token(input: &Input) -> Result<&str, Reply> {
    let named = input.text("token")?.filter(|token| !token.is_empty());
    named.or(input.token.as_deref()).ok_or_else(|| Reply::bad("missing \"token\" value in input"))
}

fn not_valid(limits: &Limits, input: &Input) -> Reply {
    if limits.may_fail(input.peer) {
        Reply::bad("wrapping token is not valid or does not exist")
    } else {
        Reply::error(429, "too many tries failed: wait")
    }
}

pub(super) async fn unwrap(store: &Store, limits: &Limits, input: &Input) -> Answered {
    let unwrapped = store.unwrap(wrapping_token(input)?).await?.ok_or_else(|| not_valid(limits, input))?;
    match serde_json::from_slice(&unwrapped.answer) {
        Ok(answer) => Ok(Reply::data(answer)),
        Err(_) => Err(Reply::error(500, "internal error")),
    }
}

pub(super) async fn lookup(store: &Store, limits: &Limits, input: &Input) -> Answered {
    let wrapped = store.wrapped(wrapping_token(input)?).await?.ok_or_else(|| not_valid(limits, input))?;
    Ok(Reply::data(json!({
        "creation_path": wrapped.creation_path,
        "creation_time": shown_time(wrapped.created_at),
        "creation_ttl": wrapped.expires_at - wrapped.created_at,
    })))
}
