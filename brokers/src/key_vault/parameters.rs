//! What users ask for, read from parameters: each refusal names the parameter and says what to do.
//!
//! Pure. It deliberately does not know what is there. Invariant: what is read here fits the plan, and every length, number
//! and list in it is bounded.

mod fields;

use ipnet::IpNet;
use osb::Object;
use osb::kit::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::fields::{Fields, invalid, is_name};
use super::plan::Plan;

const DAY: i64 = 24 * 60 * 60;
/// How many keys a vault may be ordered with.
const KEYS_MAX: usize = 64;
/// How many paths one binding may name.
const PATHS_MAX: usize = 32;
const PROVISION: [&str; 8] =
    ["name", "description", "network", "kv", "keys", "bound_cidrs", "rate_limit", "retention_days"];
const BIND: [&str; 6] = ["role", "auth", "paths", "bound_claims", "ttl", "wrap_ttl"];

/// A vault that is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Order {
    pub(super) network: Option<String>,
    pub(super) max_versions: u64,
    /// In seconds.
    pub(super) delete_version_after: Option<i64>,
    pub(super) keys: Vec<KeyOrder>,
    pub(super) bound_cidrs: Vec<IpNet>,
    /// Requests per second.
    pub(super) rps: u32,
    pub(super) retention_days: u32,
}

/// A key that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyOrder {
    pub(super) name: String,
    pub(super) kind: KeyKind,
    /// In seconds.
    pub(super) auto_rotate: Option<i64>,
}

/// What a key can do, under Vault's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum KeyKind {
    #[serde(rename = "aes256-gcm96")]
    Aes256Gcm,
    #[serde(rename = "chacha20-poly1305")]
    ChaCha20Poly1305,
    #[serde(rename = "ed25519")]
    Ed25519,
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
}

impl KeyKind {
    const ALL: [Self; 4] = [Self::Aes256Gcm, Self::ChaCha20Poly1305, Self::Ed25519, Self::EcdsaP256];

    /// Vault's name of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes256-gcm96",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
        }
    }

    /// The one of that name.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it encrypts; otherwise it signs.
    pub(super) fn encrypts(self) -> bool {
        matches!(self, Self::Aes256Gcm | Self::ChaCha20Poly1305)
    }
}

/// Access that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Access {
    pub(super) grant: Grant,
    pub(super) auth: Auth,
    pub(super) claims: Claims,
    /// Of tokens, in seconds.
    pub(super) ttl: i64,
    /// Of what a secret id is wrapped in, in seconds.
    pub(super) wrap_ttl: i64,
}

/// What a consumer may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) role: Role,
    /// Secrets that may be reached; all where empty. A `*` at the end stands for anything.
    pub(super) paths: Vec<String>,
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Reads secrets, decrypts and verifies.
    Read,
    /// Also writes and deletes secrets, and uses keys.
    Write,
    /// Uses keys, and sees no secrets.
    Encrypt,
    /// Also destroys secrets, makes and rotates keys, and configures.
    Admin,
}

/// How a consumer logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Auth {
    /// With a role id and a wrapped secret id.
    AppRole,
    /// Not at all: it gets a token.
    Token,
    /// With a token of its own issuer.
    Jwt,
}

/// Whose tokens are let in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Claims {
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) audience: Option<String>,
}

/// Reads the parameters of a vault, without those that are acts.
pub(super) fn order(parameters: &Object, plan: Plan) -> Result<Order, Refusal> {
    let mut known: Vec<_> = PROVISION.into();
    if !plan.has_keys() {
        no_keys(parameters, "keys")?;
        known.retain(|name| *name != "keys");
    }
    let fields = Fields::of("", parameters, &known)?;
    fields.text("name", 63)?;
    fields.text("description", 255)?;
    let (max_versions, delete_version_after) = match fields.object("kv")? {
        None => (10, None),
        Some(kv) => {
            let kv = Fields::of("kv.", kv, &["max_versions", "delete_version_after"])?;
            (
                kv.integer("max_versions", 1..=100)?.unwrap_or(10),
                kv.duration("delete_version_after", 60..=3650 * DAY, "P90D")?,
            )
        }
    };
    let rps = match fields.object("rate_limit")? {
        None => None,
        Some(limit) => Fields::of("rate_limit.", limit, &["rps"])?.integer("rps", 1..=100_000)?,
    };
    Ok(Order {
        network: fields.text("network", 255)?.map(str::to_owned),
        max_versions,
        delete_version_after,
        keys: keys(&fields)?,
        bound_cidrs: cidrs(&fields)?,
        rps: u32::try_from(rps.unwrap_or(1000)).unwrap_or(u32::MAX),
        retention_days: u32::try_from(fields.integer("retention_days", 7..=90)?.unwrap_or(30)).unwrap_or(90),
    })
}

fn no_keys(parameters: &Object, name: &str) -> Result<(), Refusal> {
    if parameters.contains_key(name) {
        return Err(invalid(format!("parameter `{name}`: plan kv has no keys: take plan kv-transit")));
    }
    Ok(())
}

/// Reads which keys an update rotates.
pub(super) fn rotation(asked: &Object, plan: Plan) -> Result<Vec<String>, Refusal> {
    if !plan.has_keys() {
        no_keys(asked, "rotate")?;
    }
    let names = Fields::any(asked).texts("rotate", KEYS_MAX)?;
    match names.iter().find(|name| !is_key_name(name)) {
        Some(name) => Err(invalid(format!("parameter `rotate`: `{name}` is no name of a key"))),
        None => Ok(names.into_iter().map(str::to_owned).collect()),
    }
}

/// Consumers may give the keys that they make names with more in them than orders can.
fn is_key_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn keys(fields: &Fields<'_>) -> Result<Vec<KeyOrder>, Refusal> {
    let mut keys: Vec<KeyOrder> = Vec::new();
    for (at, item) in fields.items("keys", KEYS_MAX)?.iter().enumerate() {
        let prefix = format!("keys[{at}].");
        let Value::Object(item) = item else {
            return Err(invalid(format!(
                "parameter `keys`, item {at}: it must be an object such as {{\"name\": \"orders\"}}"
            )));
        };
        let item = Fields::of(&prefix, item, &["name", "type", "exportable", "auto_rotate_period"])?;
        let Some(name) = item.text("name", 63)?.filter(|name| is_name(name)) else {
            return Err(invalid(format!("parameter `{prefix}name` must be 1 to 63 of a-z, 0-9 and -")));
        };
        if keys.iter().any(|key| key.name == name) {
            return Err(invalid(format!("parameter `keys`: `{name}` is named twice")));
        }
        let kind = match item.text("type", 63)? {
            None => KeyKind::Aes256Gcm,
            Some(kind) => KeyKind::by_name(kind).ok_or_else(|| {
                invalid(format!(
                    "parameter `{prefix}type` must be aes256-gcm96, chacha20-poly1305, ed25519 or ecdsa-p256"
                ))
            })?,
        };
        if item.boolean("exportable")? == Some(true) {
            return Err(invalid(format!("parameter `{prefix}exportable`: keys can't be exported: leave it out")));
        }
        let auto_rotate = item.duration("auto_rotate_period", 3600..=3650 * DAY, "P90D")?;
        keys.push(KeyOrder { name: name.to_owned(), kind, auto_rotate });
    }
    Ok(keys)
}

fn cidrs(fields: &Fields<'_>) -> Result<Vec<IpNet>, Refusal> {
    let read = |text: &str| {
        text.parse::<IpNet>().map_err(|_| {
            invalid(format!("parameter `bound_cidrs`: `{text}` is no network: write it as in 10.0.0.0/24"))
        })
    };
    fields.texts("bound_cidrs", 64)?.into_iter().map(read).collect()
}

/// Reads the parameters of a bind.
pub(super) fn access(parameters: &Object, plan: Plan) -> Result<Access, Refusal> {
    let fields = Fields::of("", parameters, &BIND)?;
    let role = match fields.text("role", 63)? {
        Some("read") => Role::Read,
        None | Some("write") => Role::Write,
        Some("encrypt") if !plan.has_keys() => {
            return Err(invalid("parameter `role`: plan kv has no keys to encrypt with: take plan kv-transit"));
        }
        Some("encrypt") => Role::Encrypt,
        Some("admin") => Role::Admin,
        Some(_) => return Err(invalid("parameter `role` must be read, write, encrypt or admin")),
    };
    let auth = match fields.text("auth", 63)? {
        None | Some("approle") => Auth::AppRole,
        Some("token") => Auth::Token,
        Some("jwt") => Auth::Jwt,
        Some(_) => return Err(invalid("parameter `auth` must be approle, token or jwt")),
    };
    let paths = fields.texts("paths", PATHS_MAX)?;
    if let Some(path) = paths.iter().find(|path| !is_path(path)) {
        return Err(invalid(format!(
            "parameter `paths`: `{path}` is no path: use 1 to 255 of letters, digits, _ - . / and * at the end only, as in app/*"
        )));
    }
    let claims = claims(&fields)?;
    match auth {
        Auth::Jwt if claims.subject.is_none() => {
            return Err(invalid(
                "parameter `bound_claims.sub` is needed for jwt: without it everyone whom the issuer knows gets in",
            ));
        }
        Auth::AppRole | Auth::Token if claims != Claims::default() => {
            return Err(invalid("parameter `bound_claims` is for `auth` jwt only: leave it out"));
        }
        _ => {}
    }
    Ok(Access {
        grant: Grant { role, paths: paths.into_iter().map(str::to_owned).collect() },
        auth,
        claims,
        ttl: fields.duration("ttl", 60..=30 * DAY, "PT1H")?.unwrap_or(3600),
        wrap_ttl: fields.duration("wrap_ttl", 60..=7 * DAY, "PT5M")?.unwrap_or(300),
    })
}

fn claims(fields: &Fields<'_>) -> Result<Claims, Refusal> {
    let Some(claims) = fields.object("bound_claims")? else { return Ok(Claims::default()) };
    let claims = Fields::of("bound_claims.", claims, &["iss", "sub", "aud"])?;
    let read = |name| Ok::<_, Refusal>(claims.text(name, 255)?.filter(|text| !text.is_empty()).map(str::to_owned));
    Ok(Claims { issuer: read("iss")?, subject: read("sub")?, audience: read("aud")? })
}

fn is_path(path: &str) -> bool {
    let body = path.strip_suffix('*').unwrap_or(path);
    (1..=255).contains(&path.len())
        && !body.starts_with('/')
        && !body.split('/').any(|part| part == "." || part == "..")
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
}

/// The parameters after an update: keys that are named are added to those that stand, and `rotate` is never kept.
pub(super) fn merge(current: &Object, asked: &Object) -> Object {
    let mut merged = current.clone();
    for (name, value) in asked.iter().filter(|(name, _)| *name != "rotate") {
        let merged_keys = match (name.as_str(), merged.get("keys"), value) {
            ("keys", Some(Value::Array(before)), Value::Array(asked)) => Some(union(before, asked)),
            _ => None,
        };
        merged.insert(name.clone(), merged_keys.unwrap_or_else(|| value.clone()));
    }
    merged
}

fn union(before: &[Value], asked: &[Value]) -> Value {
    let mut keys = before.to_vec();
    for key in asked {
        match keys.iter_mut().find(|other| other.get("name") == key.get("name")) {
            Some(other) => *other = key.clone(),
            None => keys.push(key.clone()),
        }
    }
    keys.into()
}

/// Whether a vault that was ordered as `before` may become `after`.
pub(super) fn check_change(before: &Order, after: &Order) -> Result<(), Refusal> {
    for key in &before.keys {
        match after.keys.iter().find(|other| other.name == key.name) {
            Some(other) if other.kind != key.kind => {
                return Err(Refusal::Unchangeable(format!(
                    "parameter `keys`: `{}` is of type {}, which can't be changed: add a key of another name",
                    key.name,
                    key.kind.name()
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
