//! `/api/v1/keys`: which keys seal and sign, and rotating them. Ids only; a key is never shown.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::keys::{KeyStatus, Resealed, SealedValues, SigningKey};
use crate::clock::Time;
use crate::http::auth::Admin;
use crate::http::error::Failure;
use crate::http::input::Body;

/// Which keys there are, and what they seal.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = KeyStatus)]
pub struct StatusOut {
    /// Ids of the encryption keys of the process that answers: all of them open, the first one seals.
    keys: Vec<String>,
    /// What is sealed under which. A key that is not among these can be dropped.
    values: Vec<ValuesOut>,
    /// The keys of stamps.
    stamps: Vec<SigningKeyOut>,
    /// The keys of heads of the audit.
    audit: Vec<SigningKeyOut>,
}

/// Values of one column under one key.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SealedValues)]
pub struct ValuesOut {
    /// Such as `instances.attributes`.
    column: String,
    /// The key's id.
    key: String,
    /// How many.
    values: u64,
}

/// A key that signs, signed, or will sign.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SigningKey)]
pub struct SigningKeyOut {
    /// Its id.
    kid: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// From when on it signs.
    #[schema(value_type = String, format = DateTime)]
    signs_from: Time,
    /// Whether it signs now.
    signs: bool,
}

impl From<SigningKey> for SigningKeyOut {
    fn from(key: SigningKey) -> Self {
        let SigningKey { kid, created_at, signs_from, signs } = key;
        Self { kid, created_at, signs_from, signs }
    }
}

impl From<KeyStatus> for StatusOut {
    fn from(status: KeyStatus) -> Self {
        let KeyStatus { keys, values, stamps, audit } = status;
        let value = |SealedValues { column, key, values }| ValuesOut { column, key, values };
        Self {
            keys,
            values: values.into_iter().map(value).collect(),
            stamps: stamps.into_iter().map(SigningKeyOut::from).collect(),
            audit: audit.into_iter().map(SigningKeyOut::from).collect(),
        }
    }
}

/// A part of a pass.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Rotation)]
pub struct RotationIn {
    /// `next` of the part before; a pass begins where absent.
    after: Option<String>,
    /// Makes a new key first; only where a pass begins and the hub keeps its keys beside a SQLite database.
    new_key: bool,
}

/// What a part did.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Rotated)]
pub struct RotatedOut {
    /// Values that are under the newest key now and were not.
    resealed: u64,
    /// Values that somebody changed meanwhile: another pass finds them.
    changed: u64,
    /// Values that no key opens.
    unreadable: u64,
    /// Where to go on; null at the end of the pass.
    next: Option<String>,
}

/// `GET /keys`
///
/// # Errors
/// [`Failure`].
pub async fn status(_: Admin, app: Data<App>) -> Result<Json<StatusOut>, Failure> {
    Ok(Json(app.key_status().await?.into()))
}

/// `POST /keys/rotate`
///
/// # Errors
/// [`Failure`].
pub async fn rotate(admin: Admin, app: Data<App>, body: Body<RotationIn>) -> Result<Json<RotatedOut>, Failure> {
    let RotationIn { after, new_key } = body.0;
    let Resealed { resealed, changed, unreadable, next } = app.reseal(&admin.0, after.as_deref(), new_key).await?;
    Ok(Json(RotatedOut { resealed, changed, unreadable, next }))
}

/// Why the keys of stamps change.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = StampRotation)]
pub struct StampRotationIn {
    /// All that there are are withdrawn now, and the new one signs at once.
    compromised: bool,
}

/// The keys of stamps.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StampKeys)]
pub struct StampKeysOut {
    /// The one that signs first first.
    keys: Vec<SigningKeyOut>,
}

/// `POST /keys/stamps/rotate`
///
/// # Errors
/// [`Failure`].
pub async fn rotate_stamps(
    admin: Admin,
    app: Data<App>,
    body: Body<StampRotationIn>,
) -> Result<Json<StampKeysOut>, Failure> {
    let keys = app.rotate_stamp_keys(&admin.0, body.0.compromised).await?;
    Ok(Json(StampKeysOut { keys: keys.into_iter().map(SigningKeyOut::from).collect() }))
}

/// The key that signs heads from now on.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditKey)]
pub struct AuditKeyOut {
    /// Its id.
    kid: String,
}

/// `POST /keys/audit/rotate`
///
/// # Errors
/// [`Failure`].
pub async fn rotate_audit(admin: Admin, app: Data<App>) -> Result<Json<AuditKeyOut>, Failure> {
    Ok(Json(AuditKeyOut { kid: app.rotate_audit_key(&admin.0).await? }))
}
