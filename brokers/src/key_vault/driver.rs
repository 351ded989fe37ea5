//! What makes vaults: the few things that the service needs of one, without anything of OSB.
//!
//! Invariant: each method may be called again after a crash and comes to the same end, and taking away what is not there is
//! success.

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Fault, Issued, Refusal};

use super::parameters::{Access, Order};

/// A vault that shall be there.
pub(super) struct Wanted<'a> {
    /// A name that no other vault ever has.
    pub(super) name: &'a str,
    pub(super) order: &'a Order,
    pub(super) has_keys: bool,
}

/// Access that shall be given.
pub(super) struct Grantee<'a> {
    /// The vault's name.
    pub(super) vault: &'a str,
    pub(super) has_keys: bool,
    pub(super) order: &'a Order,
    /// A name that no other grantee ever has.
    pub(super) name: &'a str,
    pub(super) access: &'a Access,
}

/// What is in a vault. No secrets.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Secrets with a version that can be read.
    pub(super) secrets: u64,
    pub(super) keys: Vec<Key>,
    /// Requests so far and, of these, uses of keys; `None` where nobody counts.
    pub(super) requests: Option<(u64, u64)>,
    /// How many bytes it holds; `None` where nobody counts.
    pub(super) bytes: Option<u64>,
}

/// A key, as it may be shown.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) latest_version: u64,
    /// How many versions there are.
    pub(super) versions: u64,
}

/// Makes vaults somewhere.
#[async_trait]
pub(super) trait Driver: Send + Sync + 'static {
    /// Its name, as the command line knows it.
    fn name(&self) -> &'static str;

    /// The catalog of what it can.
    fn catalog(&self) -> &'static str;

    /// Whether it can give that access.
    fn check(&self, access: &Access) -> Result<(), Refusal>;

    /// Makes the vault what is wanted. Returns what is shown of it: where it is and what its parts are called.
    async fn make(&self, wanted: &Wanted<'_>) -> Result<Object, Fault>;

    /// Makes one that was closed what is wanted, for new grantees.
    async fn reopen(&self, wanted: &Wanted<'_>) -> Result<Object, Fault>;

    /// What has to be done now and then.
    async fn tend(&self) -> Result<(), Fault>;

    /// Gives keys a new version.
    async fn rotate(&self, wanted: &Wanted<'_>, keys: &[String]) -> Result<(), Fault>;

    /// Ends all access. What is in it stays.
    async fn close(&self, vault: &str) -> Result<(), Fault>;

    /// Destroys it and all that is in it.
    async fn destroy(&self, vault: &str) -> Result<(), Fault>;

    /// Gives access.
    async fn grant(&self, grantee: &Grantee<'_>) -> Result<Issued, Fault>;

    /// Takes access away, with all tokens that came from it.
    async fn revoke(&self, vault: &str, grantee: &str) -> Result<(), Fault>;

    /// What is in it now.
    async fn look(&self, vault: &str, has_keys: bool) -> Result<Contents, Fault>;
}
