//! Where NetBox is and what may be taken from it.
//!
//! Invariant: the token shows in no `Debug`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::record::Mark;
use crate::vnet_ipam::prefix::Prefix;

/// Where NetBox is and what may be taken from it.
#[derive(Clone)]
pub struct Config {
    /// Its URL, without `/api`.
    pub url: String,
    /// An API token that may view, add, change and delete prefixes and addresses, of either version.
    pub token: String,
    /// By pool, or by `routing domain/pool` for domains other than `default`: the prefix whose free space it is.
    pub parents: BTreeMap<String, Parent>,
    /// Where the mark stands.
    pub mark: Mark,
    /// Whether the addresses of bindings are recorded, too.
    pub addresses: bool,
    /// How long one exchange may take.
    pub timeout: Duration,
    /// Roots that are trusted besides the system's, in PEM.
    pub ca_pem: Option<String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, parents, mark, addresses, timeout, token: _, ca_pem: _ } = self;
        f.debug_struct("Config")
            .field("url", url)
            .field("parents", parents)
            .field("mark", mark)
            .field("addresses", addresses)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

/// A prefix of NetBox that others are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// By its id.
    Id(u64),
    /// By itself: the only one of its VRF, or of the global table.
    Prefix {
        /// The prefix.
        prefix: Prefix,
        /// The id of its VRF.
        vrf: Option<u64>,
    },
}

impl FromStr for Parent {
    type Err = String;

    /// `17`, `10.0.0.0/8` or `10.0.0.0/8@3`, where 3 is the id of a VRF.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (prefix, vrf) = match text.split_once('@') {
            None => (text, Ok(None)),
            Some((prefix, vrf)) => (prefix, vrf.parse().map(Some)),
        };
        match (prefix.parse(), vrf) {
            (Ok(prefix), Ok(vrf)) => Ok(Self::Prefix { prefix, vrf }),
            _ => Err(format!("`{text}` is neither the id of a prefix nor PREFIX nor PREFIX@VRF-ID")),
        }
    }
}

/// Why NetBox can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The URL.
    #[error(
        "NetBox's URL must begin with http:// or https:// and hold a host, no credentials, no query and no fragment"
    )]
    Url,
    /// The token.
    #[error("NetBox's token is empty or holds what can't be sent in a header")]
    Token,
    /// The roots.
    #[error("the CA certificates are not PEM")]
    Ca,
    /// All else that the HTTP library refuses.
    #[error("the HTTP client can't be made: {0}")]
    Http(String),
    /// It is not there, or not as it must be.
    #[error("NetBox {0}")]
    NetBox(String),
}
