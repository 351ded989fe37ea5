//! The pure half of verification: a stamp, a key set, the request as it came, and a time, to a verdict.
//!
//! It fetches nothing and reads no clock. The signature is checked before any claim is believed.

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;

use super::{
    ALGORITHM, Claims, Jwks, LIFE_SECONDS, MAX_BYTES, SKEW_SECONDS, Stamp, StampError, TYPE, from_base64url, sha256,
};
use crate::WireRequest;

/// What a stamp must be made for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The hub's public URL.
    pub issuer: &'a str,
    /// The broker's name at the hub; none where stamps for any broker of that hub are believed.
    pub audience: Option<&'a str>,
    /// What a reverse proxy cut off before `/v2`; empty where there is none.
    pub path_prefix: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    /// Extensions that must be understood: none is.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// The id of the key that a stamp says it is signed with; not to be believed before the signature is checked.
pub(super) fn kid(stamp: &str) -> Result<String, StampError> {
    if stamp.len() > MAX_BYTES {
        return Err(StampError::TooLarge);
    }
    let (header, _) = stamp.split_once('.').ok_or(StampError::Malformed)?;
    let header: Header = json(header)?;
    if header.alg != ALGORITHM || header.typ != TYPE || header.crit.is_some() {
        return Err(StampError::Kind);
    }
    Ok(header.kid)
}

/// Verifies a stamp against those keys for that request at that time (in seconds since 1970).
///
/// # Errors
/// The first thing that is wrong with it.
pub fn verify_with(
    keys: &Jwks,
    stamp: &str,
    request: &WireRequest,
    expected: Expected<'_>,
    now: u64,
) -> Result<Stamp, StampError> {
    let kid = kid(stamp)?;
    let (signed, signature) = stamp.rsplit_once('.').ok_or(StampError::Malformed)?;
    let (_, claims) = signed.split_once('.').ok_or(StampError::Malformed)?;
    let signature = from_base64url(signature).ok_or(StampError::Malformed)?;
    let public_key = keys.public_key(&kid).ok_or(StampError::UnknownKey)?;
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| StampError::Signature)?;
    let claims: Claims = json(claims)?;
    check(&claims, request, expected, now)?;
    Ok(Stamp::new(claims))
}

fn check(claims: &Claims, request: &WireRequest, expected: Expected<'_>, now: u64) -> Result<(), StampError> {
    if claims.iss.trim_end_matches('/') != expected.issuer.trim_end_matches('/') {
        return Err(StampError::Issuer);
    }
    if expected.audience.is_some_and(|audience| claims.aud != audience) {
        return Err(StampError::Audience);
    }
    if now > claims.exp.saturating_add(SKEW_SECONDS) {
        return Err(StampError::Expired);
    }
    let life = claims.exp.checked_sub(claims.iat);
    if claims.iat > now.saturating_add(SKEW_SECONDS) || life.is_none_or(|life| life > LIFE_SECONDS) {
        return Err(StampError::NotYetValid);
    }
    if claims.htm != request.method {
        return Err(StampError::Method);
    }
    if claims.htu.strip_prefix(expected.path_prefix) != Some(request.path_and_query.as_str()) {
        return Err(StampError::Target);
    }
    if claims.bh != sha256(&request.body) {
        return Err(StampError::Body);
    }
    Ok(())
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, StampError> {
    let bytes = from_base64url(part).ok_or(StampError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| StampError::Malformed)
}
