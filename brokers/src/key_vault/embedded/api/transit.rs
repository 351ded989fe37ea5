//! `transit/…`: keys that encrypt and sign and never leave, as Vault's transit answers them.
//!
//! It deliberately has no derived, convergent, imported or exportable keys, and says so where one is asked for.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use osb::Object;
use osb::kit::seal::random;
use ring::hmac;
use serde_json::{Value, json};

use super::input::{self, Input, Verb, shown_time};
use super::reply::{Answered, Reply};
use crate::key_vault::embedded::key_ring::{CipherError, Ring};
use crate::key_vault::embedded::store::{Store, StoreError, Vault};
use crate::key_vault::parameters::KeyKind;

/// How many inputs one request may bring.
const BATCH_MAX: usize = 1000;
const HOUR: i64 = 3600;

impl From<CipherError> for Reply {
    fn from(error: CipherError) -> Self {
        match error {
            CipherError::Broken | CipherError::Random => StoreError::Cipher(error).into(),
            refused => Self::bad(refused),
        }
    }
}

pub(super) async fn answer(store: &Store, vault: &Vault, input: &Input, path: &str, creates: bool) -> Answered {
    let parts: Vec<_> = path.trim_end_matches('/').split('/').collect();
    let (verb, name, algorithm) = match (parts.as_slice(), input.verb) {
        (["keys"], Verb::List) => return list(store, vault).await,
        (["keys", name], Verb::Read) => return Ok(shown(&ring(store, vault, name).await.map_err(absent)?)?),
        (["keys", name], Verb::Write) => return create(store, vault, input, name).await,
        (["keys", name], Verb::Delete) => return delete(store, vault, name).await,
        (["keys", name, "rotate"], Verb::Write) => {
            let ring = store.change_ring(vault, name, Ring::rotate).await?.ok_or_else(no_key)?;
            return Ok(shown(&ring)?);
        }
        (["keys", name, "config"], Verb::Write) => return configure(store, vault, input, name).await,
        (["random", rest @ ..], Verb::Write) => return random_bytes(input, rest),
        (["datakey", kind, name], Verb::Write) => return data_key(store, vault, input, kind, name).await,
        ([verb, name], Verb::Write) => (*verb, *name, None),
        ([verb, name, algorithm], Verb::Write) => (*verb, *name, Some(*algorithm)),
        _ => return Err(Reply::error(405, "unsupported operation")),
    };
    let ring = match (verb, store.ring(vault, name).await?) {
        (_, Some(ring)) => ring,
        ("encrypt", None) if creates => make(store, vault, name, KeyKind::Aes256Gcm, 0).await?,
        ("encrypt", None) => return Err(Reply::denied()),
        (_, None) => return Err(no_key()),
    };
    match (verb, algorithm) {
        ("encrypt", None) => batch(input, |item| encrypt(&ring, item)),
        ("decrypt", None) => batch(input, |item| decrypt(&ring, item)),
        ("rewrap", None) => batch(input, |item| rewrap(&ring, item)),
        ("sign", algorithm) => sign(&ring, input, algorithm),
        ("verify", algorithm) => verify(&ring, input, algorithm),
        ("hmac", algorithm) => authenticate(&ring, input, algorithm),
        _ => Err(Reply::error(405, "unsupported operation")),
    }
}

fn no_key() -> Reply {
    Reply::bad("encryption key not found")
}

fn absent(_: Reply) -> Reply {
    Reply::nothing()
}

async fn ring(store: &Store, vault: &Vault, name: &str) -> Result<Ring, Reply> {
    store.ring(vault, name).await?.ok_or_else(no_key)
}

async fn list(store: &Store, vault: &Vault) -> Answered {
    let names = store.key_names(vault).await?;
    if names.is_empty() { Err(Reply::nothing()) } else { Ok(Reply::data(json!({"keys": names}))) }
}

fn shown(ring: &Ring) -> Result<Reply, CipherError> {
    let mut versions = Object::new();
    for (number, material) in ring.versions.iter().filter(|(number, _)| **number >= ring.min_decryption) {
        let shown = match material.public_key(ring.kind)? {
            None => material.created.into(),
            Some(public_key) => json!({
                "certificate_chain": "",
                "creation_time": shown_time(material.created),
                "name": if ring.kind == KeyKind::EcdsaP256 { "P-256" } else { "ed25519" },
                "public_key": public_key,
            }),
        };
        versions.insert(number.to_string(), shown);
    }
    let (encrypts, signs) = (ring.kind.encrypts(), !ring.kind.encrypts());
    Ok(Reply::data(json!({
        "allow_plaintext_backup": false,
        "auto_rotate_period": ring.auto_rotate,
        "deletion_allowed": ring.deletion_allowed,
        "derived": false,
        "exportable": false,
        "imported_key": false,
        "keys": versions,
        "latest_version": ring.latest(),
        "min_available_version": 0,
        "min_decryption_version": ring.min_decryption,
        "min_encryption_version": ring.min_encryption,
        "name": ring.name,
        "soft_deleted": false,
        "supports_decryption": encrypts,
        "supports_derivation": false,
        "supports_encryption": encrypts,
        "supports_signing": signs,
        "type": ring.kind.name(),
    })))
}

async fn make(store: &Store, vault: &Vault, name: &str, kind: KeyKind, auto_rotate: i64) -> Result<Ring, Reply> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !(1..=128).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(Reply::bad("the name of a key must be 1 to 128 of letters, digits, - _ and ."));
    }
    let made = store.make_ring(vault, name, kind, auto_rotate).await?;
    made.ok_or_else(|| Reply::bad("this vault can't have more keys"))
}

async fn create(store: &Store, vault: &Vault, input: &Input, name: &str) -> Answered {
    for option in ["exportable", "allow_plaintext_backup", "derived", "convergent_encryption"] {
        if input.boolean(option)? == Some(true) {
            return Err(Reply::bad(format!("field `{option}`: this vault has no such keys: leave it out")));
        }
    }
    let kind = match input.text("type")? {
        None | Some("") => KeyKind::Aes256Gcm,
        Some(kind) => KeyKind::by_name(kind).ok_or_else(|| Reply::bad("unknown key type"))?,
    };
    let ring = make(store, vault, name, kind, auto_rotate(input)?.unwrap_or(0)).await?;
    Ok(shown(&ring)?)
}

fn auto_rotate(input: &Input) -> Result<Option<i64>, Reply> {
    match input.duration("auto_rotate_period")? {
        Some(every) if every != 0 && every < HOUR => {
            Err(Reply::bad("auto rotate period must be 0 to disable or at least an hour"))
        }
        every => Ok(every),
    }
}

async fn delete(store: &Store, vault: &Vault, name: &str) -> Answered {
    let ring = store.ring(vault, name).await?.ok_or_else(|| Reply::bad("could not delete key; not found"))?;
    if !ring.deletion_allowed {
        return Err(Reply::bad("deletion is not allowed for this key"));
    }
    store.remove_ring(vault, name).await?;
    Ok(Reply::empty())
}

async fn configure(store: &Store, vault: &Vault, input: &Input, name: &str) -> Answered {
    let (decryption, encryption) = (input.number("min_decryption_version")?, input.number("min_encryption_version")?);
    let (deletion, every) = (input.boolean("deletion_allowed")?, auto_rotate(input)?);
    let mut refused = false;
    let changed = store.change_ring(vault, name, |ring, _| {
        let decryption = decryption.unwrap_or(ring.min_decryption).max(1);
        let encryption = encryption.unwrap_or(ring.min_encryption);
        refused =
            decryption > ring.latest() || encryption > ring.latest() || encryption != 0 && encryption < decryption;
        if !refused {
            (ring.min_decryption, ring.min_encryption) = (decryption, encryption);
            ring.deletion_allowed = deletion.unwrap_or(ring.deletion_allowed);
            ring.auto_rotate = every.unwrap_or(ring.auto_rotate);
        }
        Ok(())
    });
    let ring = changed.await?.ok_or_else(no_key)?;
    if refused {
        return Err(Reply::bad(
            "the versions must be there, and min_encryption_version not below min_decryption_version",
        ));
    }
    Ok(shown(&ring)?)
}

/// Runs one item, or each of `batch_input`.
fn batch(input: &Input, run: impl Fn(&Object) -> Result<Value, ItemError>) -> Answered {
    let items = match input.body.get("batch_input") {
        None => return run(&input.body).map(Reply::data).map_err(Reply::bad),
        Some(Value::Array(items)) if !items.is_empty() && items.len() <= BATCH_MAX => items,
        Some(_) => return Err(Reply::bad(format!("field `batch_input` must be an array of 1 to {BATCH_MAX} objects"))),
    };
    let mut failed = false;
    let results = items.iter().map(|item| {
        let reference = item.get("reference").and_then(Value::as_str).unwrap_or("");
        let done = item.as_object().ok_or(ItemError("an item must be an object".to_owned())).and_then(&run);
        let mut result = done.unwrap_or_else(|error| {
            failed = true;
            json!({"error": error.0})
        });
        result["reference"] = reference.into();
        result
    });
    let results: Vec<_> = results.collect();
    Ok(Reply::data_with(if failed { 400 } else { 200 }, json!({"batch_results": results})))
}

/// A sentence about one item.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ItemError(String);

impl From<CipherError> for ItemError {
    fn from(error: CipherError) -> Self {
        Self(error.to_string())
    }
}

/// Bytes in base64; the error's own text may quote them.
fn bytes(item: &Object, name: &str) -> Result<Option<Vec<u8>>, ItemError> {
    match item.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            BASE64_STANDARD.decode(text).map(Some).map_err(|_| ItemError(format!("field `{name}` is not base64")))
        }
        Some(_) => Err(ItemError(format!("field `{name}` must be a string"))),
    }
}

fn key_version(item: &Object) -> Result<u64, ItemError> {
    match item.get("key_version") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value.as_u64().ok_or_else(|| ItemError("field `key_version` must be a whole number".to_owned())),
    }
}

fn no_derivation(item: &Object) -> Result<(), ItemError> {
    let given = |name: &&str| item.get(*name).is_some_and(|value| !value.is_null() && value != "" && value != false);
    match ["context", "nonce", "convergent_encryption", "derived"].iter().find(|name| given(name)) {
        Some(name) => Err(ItemError(format!("field `{name}`: this vault has no derived keys: leave it out"))),
        None => Ok(()),
    }
}

fn encrypt(ring: &Ring, item: &Object) -> Result<Value, ItemError> {
    no_derivation(item)?;
    let clear = bytes(item, "plaintext")?.ok_or_else(|| ItemError("missing plaintext to encrypt".to_owned()))?;
    let with = bytes(item, "associated_data")?.unwrap_or_default();
    let (version, ciphertext) = ring.encrypt(key_version(item)?, &clear, &with)?;
    Ok(json!({"ciphertext": ciphertext, "key_version": version}))
}

fn ciphertext(item: &Object) -> Result<&str, ItemError> {
    let text = item.get("ciphertext").and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| ItemError("missing ciphertext to decrypt".to_owned()))
}

fn decrypt(ring: &Ring, item: &Object) -> Result<Value, ItemError> {
    no_derivation(item)?;
    let with = bytes(item, "associated_data")?.unwrap_or_default();
    let clear = ring.decrypt(ciphertext(item)?, &with)?;
    Ok(json!({"plaintext": BASE64_STANDARD.encode(clear)}))
}

fn rewrap(ring: &Ring, item: &Object) -> Result<Value, ItemError> {
    no_derivation(item)?;
    let clear = ring.decrypt(ciphertext(item)?, &[])?;
    let (version, ciphertext) = ring.encrypt(key_version(item)?, &clear, &[])?;
    Ok(json!({"ciphertext": ciphertext, "key_version": version}))
}

async fn data_key(store: &Store, vault: &Vault, input: &Input, kind: &str, name: &str) -> Answered {
    let ring = ring(store, vault, name).await?;
    let bits = input.number("bits")?.unwrap_or(256);
    let drawn: Vec<u8> = match bits {
        128 => draw::<16>()?,
        256 => draw::<32>()?,
        512 => draw::<64>()?,
        _ => return Err(Reply::bad("field `bits` must be 128, 256 or 512")),
    };
    let (version, ciphertext) = ring.encrypt(0, &drawn, &[])?;
    let mut data = json!({"ciphertext": ciphertext, "key_version": version});
    match kind {
        "plaintext" => data["plaintext"] = BASE64_STANDARD.encode(drawn).into(),
        "wrapped" => {}
        _ => return Err(Reply::bad("invalid path, must be 'plaintext' or 'wrapped'")),
    }
    Ok(Reply::data(data))
}

fn draw<const N: usize>() -> Result<Vec<u8>, Reply> {
    random::<N>().map(Vec::from).map_err(|error| CipherError::from(error).into())
}

fn random_bytes(input: &Input, rest: &[&str]) -> Answered {
    let asked = match rest {
        [count] | ["platform", count] => count.parse().ok(),
        _ => input.number("bytes")?.or(Some(32)),
    };
    let count = asked.and_then(|count| usize::try_from(count).ok()).filter(|count| (1..=1024).contains(count));
    let count = count.ok_or_else(|| Reply::bad("from 1 to 1024 bytes can be drawn at a time"))?;
    let drawn = draw::<1024>()?;
    let drawn = &drawn[..count];
    let text = match input.text("format")? {
        None | Some("base64") => BASE64_STANDARD.encode(drawn),
        Some("hex") => drawn.iter().map(|byte| format!("{byte:02x}")).collect(),
        Some(_) => return Err(Reply::bad("field `format` must be base64 or hex")),
    };
    Ok(Reply::data(json!({"random_bytes": text})))
}

fn single(input: &Input) -> Result<Vec<u8>, Reply> {
    if input.body.contains_key("batch_input") {
        return Err(Reply::bad("field `batch_input`: this vault takes one input here"));
    }
    no_derivation(&input.body).map_err(Reply::bad)?;
    if input.boolean("prehashed")? == Some(true) {
        return Err(Reply::bad("field `prehashed`: this vault hashes the input itself"));
    }
    bytes(&input.body, "input").map_err(Reply::bad)?.ok_or_else(|| Reply::bad("missing input"))
}

/// Signatures are made in one way only; another that is asked for is refused.
fn only_way(ring: &Ring, input: &Input, algorithm: Option<&str>) -> Result<(), Reply> {
    let hash = algorithm.or(input.text("hash_algorithm")?).or(input.text("algorithm")?);
    if ring.kind == KeyKind::EcdsaP256 && hash.is_some_and(|hash| !hash.is_empty() && hash != "sha2-256") {
        return Err(Reply::bad("ecdsa-p256 signs with sha2-256 only in this vault"));
    }
    match input.text("marshaling_algorithm")? {
        None | Some("" | "asn1") => Ok(()),
        Some(_) => Err(Reply::bad("field `marshaling_algorithm` must be asn1 in this vault")),
    }
}

fn sign(ring: &Ring, input: &Input, algorithm: Option<&str>) -> Answered {
    only_way(ring, input, algorithm)?;
    let (version, signature) = ring.sign(key_version(&input.body).map_err(Reply::bad)?, &single(input)?)?;
    Ok(Reply::data(json!({"key_version": version, "signature": signature})))
}

fn hash(input: &Input, algorithm: Option<&str>) -> Result<hmac::Algorithm, Reply> {
    match algorithm.or(input.text("algorithm")?).filter(|name| !name.is_empty()) {
        None | Some("sha2-256") => Ok(hmac::HMAC_SHA256),
        Some("sha2-384") => Ok(hmac::HMAC_SHA384),
        Some("sha2-512") => Ok(hmac::HMAC_SHA512),
        Some(_) => Err(Reply::bad("the algorithm must be sha2-256, sha2-384 or sha2-512")),
    }
}

fn authenticate(ring: &Ring, input: &Input, algorithm: Option<&str>) -> Answered {
    let version = key_version(&input.body).map_err(Reply::bad)?;
    let (_, hmac) = ring.hmac(version, &single(input)?, hash(input, algorithm)?)?;
    Ok(Reply::data(json!({"hmac": hmac})))
}

fn verify(ring: &Ring, input: &Input, algorithm: Option<&str>) -> Answered {
    let clear = single(input)?;
    let valid = match (input::text(&input.body, "signature")?, input::text(&input.body, "hmac")?) {
        (Some(signature), None) => {
            only_way(ring, input, algorithm)?;
            ring.verify(&clear, signature)?
        }
        (None, Some(tag)) => ring.verify_hmac(&clear, tag, hash(input, algorithm)?)?,
        _ => return Err(Reply::bad("provide one of signature or hmac")),
    };
    Ok(Reply::data(json!({"valid": valid})))
}
