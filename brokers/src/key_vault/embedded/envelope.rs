//! A vault's own keys: one that seals what is in it, one under which names are looked up without standing in clear.
//!
//! They lie beside the data, sealed with the broker's key. Invariant: without that row nothing of the vault can be read
//! again, which is what destroying it means.

use osb::kit::seal::{Broken, KeyError, Sealer, random};
use ring::hmac;

const KEY_LEN: usize = 32;

/// An opened vault key.
#[derive(Clone)]
pub(super) struct DataKey {
    sealer: Sealer,
    names: hmac::Key,
}

impl DataKey {
    /// Draws one. Returns it as it is kept.
    pub(super) fn draw(sealer: &Sealer, vault: &str) -> Result<Vec<u8>, KeyError> {
        sealer.seal(&owner(vault), &random::<{ 2 * KEY_LEN }>()?)
    }

    /// Opens one that is kept.
    pub(super) fn open(sealer: &Sealer, vault: &str, sealed: &[u8]) -> Result<Self, Broken> {
        let clear = sealer.open(&owner(vault), sealed)?;
        let (seal, names) = clear.split_at_checked(KEY_LEN).ok_or(Broken)?;
        let seal: &[u8; KEY_LEN] = seal.try_into().map_err(|_| Broken)?;
        let sealer = Sealer::new(seal).map_err(|_| Broken)?;
        Ok(Self { sealer, names: hmac::Key::new(hmac::HMAC_SHA256, names) })
    }

    /// Seals for an owner within the vault.
    pub(super) fn seal(&self, owner: &str, clear: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.sealer.seal(owner, clear)
    }

    /// Opens what was sealed for that owner.
    pub(super) fn unseal(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        self.sealer.open(owner, sealed)
    }

    /// Where a name is looked up. `kind` keeps names of different things apart.
    pub(super) fn mac(&self, kind: &str, name: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.names);
        context.update(kind.as_bytes());
        context.update(&[0]);
        context.update(name.as_bytes());
        context.sign().as_ref().to_vec()
    }
}

fn owner(vault: &str) -> String {
    format!("vault/{vault}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vaults_key_opens_for_that_vault_only_and_names_of_different_kinds_differ() {
        let broker = Sealer::new(&[7; KEY_LEN]).unwrap();
        let kept = DataKey::draw(&broker, "a").unwrap();
        assert!(DataKey::open(&broker, "b", &kept).is_err());
        let key = DataKey::open(&broker, "a", &kept).unwrap();
        let sealed = key.seal("x", b"secret").unwrap();
        assert_eq!(key.unseal("x", &sealed), Ok(b"secret".to_vec()));
        assert_eq!(key.unseal("y", &sealed), Err(Broken));
        assert_eq!(key.mac("secret", "a"), key.mac("secret", "a"));
        assert_ne!(key.mac("secret", "a"), key.mac("key", "a"));
    }
}
