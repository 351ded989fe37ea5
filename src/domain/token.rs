//! What a token of the identity provider says, once its signature was found to be right: for whom it was made, until when, who its
//! bearer is and in which groups. How signatures are checked is in `app::identity`.
//!
//! Invariant: what a token doesn't say is never taken for granted: without `exp`, `iss`, `aud` and a name it is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Time;

/// Characters of a name, and of a group.
const NAME_MAX: usize = 255;
/// Groups of one token.
pub const GROUPS_MAX: usize = 500;

/// What a token has to say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who made it.
    pub issuer: &'a str,
    /// For whom.
    pub audience: &'a str,
    /// How far the clocks may be apart.
    pub skew: Duration,
    /// The claim with the user's name.
    pub user_claim: &'a str,
    /// The claim with the groups: a name, or a JSON pointer.
    pub groups_claim: &'a str,
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The user's name.
    pub name: String,
    /// Their groups.
    pub groups: BTreeSet<String>,
}

/// Why a token is not accepted. For whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not three parts of base64url, or no JSON in them.
    #[error("the token is no signed JWT")]
    Malformed,
    /// `none`, a shared secret, or one that the settings leave out.
    #[error("the token's algorithm is not one of those that are accepted here")]
    Algorithm,
    /// A stamp, an ID of a logout, … .
    #[error("the token is of another kind than an access token")]
    Kind,
    /// Its key isn't published by the identity provider, any more or ever.
    #[error("the token is signed with a key that the identity provider does not publish")]
    Key,
    /// Its signature doesn't fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// Another `iss`.
    #[error("the token was made by another issuer than this hub believes")]
    Issuer,
    /// Another `aud`.
    #[error("the token was made for another audience than this hub")]
    Audience,
    /// It has no `exp`, or one that is none.
    #[error("the token does not say until when it is good")]
    Endless,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is yet to come.
    #[error("the token is not good yet: are the clocks right?")]
    Early,
    /// The claim of the user's name.
    #[error("the token has no claim `{0}` with the user's name")]
    Nameless(String),
    /// The claim of the groups.
    #[error("the token's claim `{0}` is no list of at most {GROUPS_MAX} groups")]
    Groups(String),
}

/// Whose token has these claims.
///
/// # Errors
/// [`Refusal`].
pub fn bearer(claims: &Map<String, Value>, expected: &Expected<'_>, now: Time) -> Result<Bearer, Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(Refusal::Issuer);
    }
    let meant = match claims.get("aud") {
        Some(Value::String(audience)) => audience == expected.audience,
        Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == expected.audience),
        _ => false,
    };
    if !meant {
        return Err(Refusal::Audience);
    }
    let at = |claim: &str| claims.get(claim).map(|value| seconds(value).ok_or(Refusal::Malformed)).transpose();
    let skew = i64::try_from(expected.skew.as_secs()).unwrap_or(0);
    let now = now.seconds();
    let expires = claims.get("exp").and_then(seconds).ok_or(Refusal::Endless)?;
    if now >= expires.saturating_add(skew) {
        return Err(Refusal::Expired);
    }
    if [at("nbf")?, at("iat")?].into_iter().flatten().any(|from| from > now.saturating_add(skew)) {
        return Err(Refusal::Early);
    }
    let name = claims.get(expected.user_claim).and_then(Value::as_str).filter(|name| is_plain(name));
    let name = name.ok_or_else(|| Refusal::Nameless(expected.user_claim.to_owned()))?;
    Ok(Bearer { name: name.to_owned(), groups: groups(claims, expected.groups_claim)? })
}

/// RFC 7519: a number of seconds, possibly with a fraction.
fn seconds(value: &Value) -> Option<i64> {
    let number = value.as_number()?.to_string();
    let whole = number.split_once('.').map_or(number.as_str(), |(whole, _)| whole);
    whole.parse().ok()
}

fn groups(claims: &Map<String, Value>, claim: &str) -> Result<BTreeSet<String>, Refusal> {
    let wrong = || Refusal::Groups(claim.to_owned());
    let found = if let Some(path) = claim.strip_prefix('/') {
        let mut parts = path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
        let first = parts.next().and_then(|part| claims.get(&part));
        parts.fold(first, |value, part| value?.get(&part))
    } else {
        claims.get(claim)
    };
    let listed = match found {
        None | Some(Value::Null) => return Ok(BTreeSet::new()),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(list)) if list.len() <= GROUPS_MAX => {
            list.iter().map(|group| group.as_str().ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong()),
    };
    if listed.iter().all(|group| is_plain(group)) {
        Ok(listed.into_iter().map(str::to_owned).collect())
    } else {
        Err(wrong())
    }
}

fn is_plain(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn read(change: impl Fn(&mut Map<String, Value>)) -> Result<Bearer, Refusal> {
        let claims = json!({
            "iss": "https://id.example", "aud": ["other", "bourse"], "sub": "ada",
            "exp": NOW + 300, "iat": NOW, "groups": ["b", "a"],
        });
        let Value::Object(mut claims) = claims else { panic!("an object") };
        change(&mut claims);
        let expected = Expected {
            issuer: "https://id.example",
            audience: "bourse",
            skew: Duration::from_secs(60),
            user_claim: "sub",
            groups_claim: "groups",
        };
        bearer(&claims, &expected, Time(NOW * 1_000_000))
    }

    fn with(claim: &str, value: Value) -> Result<Bearer, Refusal> {
        read(|claims| drop(claims.insert(claim.to_owned(), value.clone())))
    }

    fn without(claim: &str) -> Result<Bearer, Refusal> {
        read(|claims| drop(claims.remove(claim)))
    }

    #[test]
    fn a_token_says_who_and_in_which_groups() {
        let ada = Bearer { name: "ada".to_owned(), groups: ["a", "b"].map(str::to_owned).into() };
        assert_eq!(read(|_| {}), Ok(ada.clone()));
        assert_eq!(with("aud", json!("bourse")), Ok(ada.clone()));
        assert_eq!(with("exp", json!(1_800_000_000.5)), Ok(ada.clone()));
        assert_eq!(without("iat"), Ok(ada));
        assert_eq!(without("groups").unwrap().groups.len(), 0);
        assert_eq!(with("groups", json!("one")).unwrap().groups.len(), 1);
    }

    #[test]
    fn what_is_missing_or_meant_for_others_is_refused() {
        for (result, refusal) in [
            (without("iss"), Refusal::Issuer),
            (with("iss", json!("https://id.example/")), Refusal::Issuer),
            (without("aud"), Refusal::Audience),
            (with("aud", json!(["bourses"])), Refusal::Audience),
            (with("aud", json!({"bourse": 1})), Refusal::Audience),
            (without("exp"), Refusal::Endless),
            (with("exp", json!("soon")), Refusal::Endless),
            (with("nbf", json!("x")), Refusal::Malformed),
            (without("sub"), Refusal::Nameless("sub".to_owned())),
            (with("sub", json!("a\nb")), Refusal::Nameless("sub".to_owned())),
            (with("sub", json!(7)), Refusal::Nameless("sub".to_owned())),
            (with("groups", json!([1])), Refusal::Groups("groups".to_owned())),
            (with("groups", json!(vec!["g"; GROUPS_MAX + 1])), Refusal::Groups("groups".to_owned())),
        ] {
            assert_eq!(result, Err(refusal));
        }
    }

    #[test]
    fn clocks_may_be_apart_by_the_skew_and_no_more() {
        assert!(with("exp", json!(NOW - 59)).is_ok());
        assert_eq!(with("exp", json!(NOW - 60)), Err(Refusal::Expired));
        assert!(with("nbf", json!(NOW + 60)).is_ok());
        assert_eq!(with("nbf", json!(NOW + 61)), Err(Refusal::Early));
        assert_eq!(with("iat", json!(NOW + 61)), Err(Refusal::Early));
        assert_eq!(with("exp", json!(i64::MAX)).unwrap().name, "ada");
    }

    #[test]
    fn groups_may_stand_deeper() {
        let claims = json!({ "realm_access": { "roles": ["x"] } });
        assert_eq!(groups(claims.as_object().unwrap(), "/realm_access/roles").unwrap().len(), 1);
        assert_eq!(groups(claims.as_object().unwrap(), "/realm_access/none").unwrap().len(), 0);
        assert!(groups(claims.as_object().unwrap(), "/realm_access").is_err());
    }
}
