//! Who asks: HTTP Basic with a deploy token, or with a token of a build.
//!
//! It deliberately gives no reason why somebody is not let in. Invariant: a token is looked at again at each request, so that
//! one that has expired or was taken away is of no use from then on.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use osb::kit::seal::{KeyError, random};
use ring::{digest, hmac};

use super::parameters::Role;
use super::store::Store;

/// What every deploy token begins with, so that one that leaks can be found.
const PREFIX: &str = "bdt_";
/// What the user name of every build begins with.
const BUILD_USER: &str = "build-";

/// Somebody who was let in, to one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guest {
    /// The repository's resource.
    pub(super) repository: String,
    pub(super) username: String,
    pub(super) role: Role,
}

/// A new token of 256 bits, and its hash.
pub(super) fn new_token() -> Result<(String, Vec<u8>), KeyError> {
    let token = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random::<32>()?));
    let hash = hash(&token);
    Ok((token, hash))
}

fn hash(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

/// User name and password of an `Authorization` header.
pub(super) fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.to_owned()))
}

/// The key that this broker and its CI server share: a build proves with it which build it is.
#[derive(Clone)]
pub struct BuildKey(hmac::Key);

impl std::fmt::Debug for BuildKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BuildKey")
    }
}

impl BuildKey {
    /// The key of those bytes; spaces and line ends around them don't count.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes.trim_ascii()))
    }

    /// The password of a build: both sides can make it, so it is never sent but to fetch with.
    fn password_is(&self, username: &str, password: &str) -> bool {
        let mut given = [0; 32];
        unhex(password, &mut given) && hmac::verify(&self.0, username.as_bytes(), &given).is_ok()
    }
}

fn unhex(text: &str, into: &mut [u8; 32]) -> bool {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.len() == into.len()
        && rest.is_empty()
        && pairs.iter().zip(into).all(|([high, low], byte)| match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        })
}

/// The user name of a build.
pub(super) fn build_user(number: i64) -> String {
    format!("{BUILD_USER}{number}")
}

/// Lets somebody in, or not.
pub(super) async fn admit(
    store: &Store,
    key: Option<&BuildKey>,
    (username, password): (&str, &str),
    now: i64,
) -> Result<Option<Guest>, sqlx::Error> {
    if let (Some(number), Some(key)) = (username.strip_prefix(BUILD_USER), key) {
        let Some(number) = number.parse::<i64>().ok().filter(|_| key.password_is(username, password)) else {
            return Ok(None);
        };
        // Only while it runs.
        let build = store.build(number).await?.filter(|build| matches!(build.state.as_str(), "pending" | "running"));
        let guest = |repository| Guest { repository, username: username.to_owned(), role: Role::Read };
        return Ok(build.map(|build| guest(build.repository)));
    }
    let Some(token) = store.token(username).await? else { return Ok(None) };
    let difference = token.hash.iter().zip(hash(password)).fold(0, |sum, (a, b)| sum | (a ^ b));
    if token.hash.len() != digest::SHA256_OUTPUT_LEN || difference != 0 || now >= token.expires_at {
        return Ok(None);
    }
    Ok(Some(Guest { repository: token.repository, username: token.username, role: token.role }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_known_by_their_hash_only() {
        let (token, stored) = new_token().unwrap();
        assert!(token.starts_with(PREFIX) && token.len() == PREFIX.len() + 43);
        assert_ne!(token, new_token().unwrap().0);
        assert_eq!((stored.len(), &stored), (32, &hash(&token)));
    }

    #[test]
    fn basic_credentials_are_split_at_the_first_colon() {
        let encoded = BASE64_STANDARD.encode("a:b:c");
        assert_eq!(basic(&format!("bAsIc {encoded}")), Some(("a".into(), "b:c".into())));
        assert_eq!(basic(&format!("Bearer {encoded}")), None);
        assert_eq!(basic("Basic ???"), None);
    }

    #[test]
    fn a_build_proves_its_own_number_only() {
        let key = BuildKey::new(b"shared\n");
        let password: String = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"shared"), b"build-7")
            .as_ref()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert!(key.password_is("build-7", &password));
        assert!(!key.password_is("build-8", &password));
        assert!(!key.password_is("build-7", &password[2..]));
        assert!(!BuildKey::new(b"other").password_is("build-7", &password));
    }
}
