//! `kv/…`: secrets with versions, as Vault's KV v2 answers them.

use std::collections::BTreeMap;

use osb::Object;
use serde_json::{Value, json};

use super::input::{self, Input, Verb, shown_duration, shown_time};
use super::reply::{Answered, Reply};
use crate::key_vault::embedded::record::{Record, Version};
use crate::key_vault::embedded::store::secrets::PutError;
use crate::key_vault::embedded::store::{Settings, Store, Vault};

const VERSIONS_MAX: u64 = 100;
const CUSTOM_MAX: usize = 64;

impl From<PutError> for Reply {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Store(error) => error.into(),
            refused => Self::bad(refused),
        }
    }
}

pub(super) async fn answer(store: &Store, vault: &Vault, input: &Input, path: &str) -> Answered {
    let (kind, path) = path.split_once('/').unwrap_or((path, ""));
    let is_secret = !path.is_empty() && !path.ends_with('/');
    match (kind, input.verb) {
        ("config", Verb::Read) if path.is_empty() => Ok(config(&vault.settings)),
        ("config", Verb::Write) if path.is_empty() => configure(store, vault, input).await,
        ("metadata", Verb::List) => list(store, vault, path).await,
        ("data" | "metadata" | "subkeys" | "delete" | "undelete" | "destroy", _) if !is_secret => {
            Err(Reply::error(405, "unsupported operation"))
        }
        ("data", Verb::Read) => read(store, vault, input, path).await,
        ("data", Verb::Write) => write(store, vault, input, path).await,
        ("data", Verb::Patch) => patch(store, vault, input, path).await,
        ("data", Verb::Delete) => {
            store.amend(vault, path, |record, now| delete(record, &[record.current], now)).await?;
            Ok(Reply::empty())
        }
        ("subkeys", Verb::Read) => subkeys(store, vault, input, path).await,
        ("delete", Verb::Write) => {
            let versions = input.versions()?;
            store.amend(vault, path, |record, now| delete(record, &versions, now)).await?;
            Ok(Reply::empty())
        }
        ("undelete", Verb::Write) => {
            let versions = input.versions()?;
            let undelete = |record: &mut Record, _| {
                record.undelete(&versions);
                Vec::new()
            };
            store.amend(vault, path, undelete).await?;
            Ok(Reply::empty())
        }
        ("destroy", Verb::Write) => {
            let versions = input.versions()?;
            store.amend(vault, path, |record, _| record.destroy(&versions)).await?;
            Ok(Reply::empty())
        }
        ("metadata", Verb::Read) => {
            let record = store.record(vault, path).await?.ok_or_else(Reply::nothing)?;
            Ok(metadata(&record))
        }
        ("metadata", Verb::Write | Verb::Patch) => describe(store, vault, input, path).await,
        ("metadata", Verb::Delete) => {
            store.remove(vault, path).await?;
            Ok(Reply::empty())
        }
        _ => Err(Reply::error(405, "unsupported operation")),
    }
}

fn delete(record: &mut Record, versions: &[u64], now: i64) -> Vec<u64> {
    record.delete(versions, now);
    Vec::new()
}

fn shown_deletion(version: &Version) -> String {
    version.deleted.map(shown_time).unwrap_or_default()
}

fn shown_version(record: &Record, number: u64, version: &Version) -> Value {
    json!({
        "created_time": shown_time(version.created),
        "custom_metadata": record.custom,
        "deletion_time": shown_deletion(version),
        "destroyed": version.destroyed,
        "version": number,
    })
}

async fn read(store: &Store, vault: &Vault, input: &Input, path: &str) -> Answered {
    let read = store.read(vault, path, input.version).await?.ok_or_else(Reply::nothing)?;
    let metadata = shown_version(&read.record, read.number, &read.version);
    match read.body {
        None => Err(Reply::data_with(404, json!({"data": null, "metadata": metadata}))),
        Some(body) => Ok(Reply::data(json!({"data": stored(&body)?, "metadata": metadata}))),
    }
}

fn stored(body: &[u8]) -> Result<Value, Reply> {
    serde_json::from_slice(body).map_err(|_| Reply::error(500, "internal error"))
}

/// The new values, and the version that is expected to be the newest.
fn written(input: &Input) -> Result<(&Object, Option<u64>), Reply> {
    let data = match input.body.get("data") {
        Some(Value::Object(data)) => data,
        None | Some(Value::Null) => return Err(Reply::bad("no data provided")),
        Some(_) => return Err(Reply::bad("field `data` must be an object")),
    };
    let cas = match input.body.get("options") {
        None | Some(Value::Null) => None,
        Some(Value::Object(options)) => input::number(options, "cas")?,
        Some(_) => return Err(Reply::bad("field `options` must be an object")),
    };
    Ok((data, cas))
}

fn bytes(value: &impl serde::Serialize) -> Result<Vec<u8>, Reply> {
    serde_json::to_vec(value).map_err(|_| Reply::error(500, "internal error"))
}

async fn write(store: &Store, vault: &Vault, input: &Input, path: &str) -> Answered {
    let (data, cas) = written(input)?;
    let body = bytes(data)?;
    let (number, record) = store.put(vault, path, cas, |_| Ok::<_, Reply>(body)).await??;
    wrote(&record, number)
}

fn wrote(record: &Record, number: u64) -> Answered {
    let (_, version) = record.version(Some(number)).ok_or_else(|| Reply::error(500, "internal error"))?;
    Ok(Reply::data(shown_version(record, number, &version)))
}

async fn patch(store: &Store, vault: &Vault, input: &Input, path: &str) -> Answered {
    let (data, cas) = written(input)?;
    let make = |newest: Option<Vec<u8>>| {
        let mut values = stored(&newest.ok_or_else(Reply::nothing)?)?;
        merge(&mut values, &Value::Object(data.clone()));
        bytes(&values)
    };
    let (number, record) = store.put(vault, path, cas, make).await??;
    wrote(&record, number)
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Object::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.shift_remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

async fn subkeys(store: &Store, vault: &Vault, input: &Input, path: &str) -> Answered {
    let read = store.read(vault, path, input.version).await?.ok_or_else(Reply::nothing)?;
    let metadata = shown_version(&read.record, read.number, &read.version);
    match read.body {
        None => Err(Reply::data_with(404, json!({"metadata": metadata, "subkeys": null}))),
        Some(body) => Ok(Reply::data(json!({"metadata": metadata, "subkeys": names(&stored(&body)?)}))),
    }
}

/// The names in an object, without a value.
fn names(value: &Value) -> Value {
    match value {
        Value::Object(object) if !object.is_empty() => {
            Value::Object(object.iter().map(|(name, value)| (name.clone(), names(value))).collect())
        }
        _ => Value::Null,
    }
}

async fn list(store: &Store, vault: &Vault, path: &str) -> Answered {
    let folder = if path.is_empty() || path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
    let keys = store.list(vault, &folder).await?;
    if keys.is_empty() { Err(Reply::nothing()) } else { Ok(Reply::data(json!({"keys": keys}))) }
}

fn metadata(record: &Record) -> Reply {
    let versions: Object = record
        .versions
        .iter()
        .map(|(number, version)| {
            let shown = json!({
                "created_time": shown_time(version.created),
                "deletion_time": shown_deletion(version),
                "destroyed": version.destroyed,
            });
            (number.to_string(), shown)
        })
        .collect();
    Reply::data(json!({
        "cas_required": record.cas_required,
        "created_time": shown_time(record.created),
        "current_metadata_version": 0,
        "current_version": record.current,
        "custom_metadata": record.custom,
        "delete_version_after": shown_duration(record.delete_version_after),
        "max_versions": record.max_versions,
        "metadata_cas_required": false,
        "oldest_version": record.oldest,
        "updated_time": shown_time(record.updated),
        "versions": versions,
    }))
}

fn max_versions(input: &Input) -> Result<Option<u64>, Reply> {
    match input.number("max_versions")? {
        Some(most) if most > VERSIONS_MAX => {
            Err(Reply::bad(format!("field `max_versions` must be at most {VERSIONS_MAX} in this vault")))
        }
        most => Ok(most),
    }
}

async fn describe(store: &Store, vault: &Vault, input: &Input, path: &str) -> Answered {
    let (most, cas, after) =
        (max_versions(input)?, input.boolean("cas_required")?, input.duration("delete_version_after")?);
    let custom = custom(input)?;
    if input.verb == Verb::Patch && store.record(vault, path).await?.is_none() {
        return Err(Reply::nothing());
    }
    let patch = input.verb == Verb::Patch;
    let change = |record: &mut Record| {
        record.max_versions = most.unwrap_or(record.max_versions);
        record.cas_required = cas.unwrap_or(record.cas_required);
        record.delete_version_after = after.unwrap_or(record.delete_version_after);
        if let Some(custom) = custom {
            let mut kept = record.custom.take().filter(|_| patch).unwrap_or_default();
            for (name, value) in custom {
                match value {
                    Some(value) => kept.insert(name, value),
                    None => kept.remove(&name),
                };
            }
            record.custom = (!kept.is_empty()).then_some(kept);
        }
    };
    store.describe(vault, path, change).await?;
    Ok(Reply::empty())
}

/// What `custom_metadata` says; a patch takes away what is null.
fn custom(input: &Input) -> Result<Option<BTreeMap<String, Option<String>>>, Reply> {
    let refused = || {
        Reply::bad(format!(
            "field `custom_metadata` must be an object of at most {CUSTOM_MAX} strings, names to 128 and values to 512 bytes"
        ))
    };
    let custom = match input.body.get("custom_metadata") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(custom)) if custom.len() <= CUSTOM_MAX => custom,
        Some(_) => return Err(refused()),
    };
    let read = |(name, value): (&String, &Value)| match value {
        Value::String(text) if name.len() <= 128 && text.len() <= 512 => Some((name.clone(), Some(text.clone()))),
        Value::Null => Some((name.clone(), None)),
        _ => None,
    };
    custom.iter().map(read).collect::<Option<_>>().map(Some).ok_or_else(refused)
}

fn config(settings: &Settings) -> Reply {
    Reply::data(json!({
        "cas_required": settings.cas_required,
        "delete_version_after": shown_duration(settings.delete_version_after),
        "max_versions": settings.max_versions,
        "metadata_cas_required": false,
    }))
}

async fn configure(store: &Store, vault: &Vault, input: &Input) -> Answered {
    let (most, cas, after) = (
        max_versions(input)?.filter(|most| *most > 0),
        input.boolean("cas_required")?,
        input.duration("delete_version_after")?,
    );
    let change = |settings: &mut Settings| {
        settings.max_versions = most.unwrap_or(settings.max_versions);
        settings.cas_required = cas.unwrap_or(settings.cas_required);
        settings.delete_version_after = after.unwrap_or(settings.delete_version_after);
    };
    store.configure(&vault.name, change).await?;
    Ok(Reply::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_merges_as_rfc_7396_says() {
        let mut values = json!({"a": "b", "n": {"q": 1, "r": 2}, "x": [1]});
        merge(&mut values, &json!({"a": null, "n": {"q": 3}, "x": {"y": 1}, "new": {"z": null}}));
        assert_eq!(values, json!({"n": {"q": 3, "r": 2}, "x": {"y": 1}, "new": {}}));
        assert_eq!(names(&values), json!({"n": {"q": null, "r": null}, "x": {"y": null}, "new": null}));
    }
}
