//! The stamp: who a call is for, signed by the hub, in the header `X-Bourse-Stamp`.
//!
//! A compact JWS with one algorithm (EdDSA over Ed25519) and one type; it binds method, path, query and body, so that it is
//! good for one request only. A broker verifies it in three lines:
//!
//! ```no_run
//! # async fn example(call: &osb::Call) -> Result<(), osb::Error> {
//! # use osb::stamp::Verifier;
//! let verifier = Verifier::from_jwks_url("https://bourse.example", "vnet-ipam");
//! let stamp = verifier.verify(call).await?;
//! println!("for {}", stamp.tenant.name);
//! # Ok(())
//! # }
//! ```
//!
//! It knows no tenants of its own and reads no clock but through [`crate::clock`]. Invariant: a stamp that can't be made or
//! verified is an error, never an unsigned call.

mod claims;
mod key;
mod keys;
mod verifier;
mod verify;

pub use claims::{Claims, Platform, Stamp, Tenant};
pub use key::{Jwk, Jwks, Signer};
pub use verifier::Verifier;
pub use verify::{Expected, verify_with};

use crate::Error;

/// The most that a stamp may hold, as it stands in the header.
pub const MAX_BYTES: usize = 6 * 1024;
/// How long a stamp is good for.
pub const LIFE_SECONDS: u64 = 300;
/// How far two clocks may be apart.
pub const SKEW_SECONDS: u64 = 60;

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "bourse-stamp+jwt";

/// What is wrong with a stamp, or why one can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The call carries none.
    #[error("the call carries no stamp")]
    Missing,
    /// The call didn't come through a server, so that there is nothing to compare with.
    #[error("the call does not hold the request as it came")]
    NoRequest,
    /// Larger than a header should be.
    #[error("the stamp is larger than 6 KiB")]
    TooLarge,
    /// Not three parts of base64url, or not the JSON that belongs there.
    #[error("the stamp is malformed")]
    Malformed,
    /// Another algorithm or another kind of token.
    #[error("the stamp is not of type bourse-stamp+jwt signed with EdDSA")]
    Kind,
    /// No published key has its key id.
    #[error("the stamp's key is not among the issuer's keys")]
    UnknownKey,
    /// The keys can't be fetched.
    #[error("the issuer's keys can't be fetched: {0}")]
    Keys(String),
    /// Altered, or signed by somebody else.
    #[error("the stamp's signature is not valid")]
    Signature,
    /// From another hub.
    #[error("the stamp is from another issuer")]
    Issuer,
    /// Meant for another broker.
    #[error("the stamp is meant for another service broker")]
    Audience,
    /// Too old.
    #[error("the stamp has expired")]
    Expired,
    /// From the future, or good for longer than a stamp may be.
    #[error("the stamp's times don't fit together")]
    NotYetValid,
    /// Made for another method.
    #[error("the stamp is for another method")]
    Method,
    /// Made for another path or query.
    #[error("the stamp is for another path or query")]
    Target,
    /// Made for another body.
    #[error("the stamp is for another body")]
    Body,
    /// The key that was to sign is not an Ed25519 key.
    #[error("the signing key is not an Ed25519 key in PKCS#8")]
    SigningKey,
}

impl From<StampError> for Error {
    fn from(error: StampError) -> Self {
        match error {
            // What went wrong while fetching may name hosts.
            StampError::Keys(_) => {
                Self::unauthorized("the stamp can't be verified: the issuer's keys can't be fetched")
            }
            other => Self::unauthorized(other.to_string()),
        }
    }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn from_base64url(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

fn sha256(bytes: &[u8]) -> String {
    base64url(ring::digest::digest(&ring::digest::SHA256, bytes))
}
