//! Keys of transit in the file: each sealed as a whole, looked up without its name standing in clear.
//!
//! Invariant: a change reads and writes a key in one transaction, so no version is lost to another change.

use super::{Store, StoreError, Vault};
use crate::key_vault::embedded::key_ring::{CipherError, Ring};
use crate::key_vault::parameters::{KeyKind, KeyOrder};

/// How many keys a vault may hold.
const KEYS_MAX: i64 = 1000;

fn owner(vault: &Vault, name: &str) -> String {
    format!("key/{}/{name}", vault.name)
}

async fn find(vault: &Vault, from: impl sqlx::SqliteExecutor<'_>, name: &str) -> Result<Option<Ring>, StoreError> {
    const SELECT: &str = "select ring from vault_key where vault = $1 and name_mac = $2";
    let select = sqlx::query_scalar(SELECT).bind(&vault.name).bind(vault.key.mac("key", name));
    let sealed: Option<Vec<u8>> = select.fetch_optional(from).await?;
    let Some(sealed) = sealed else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&vault.key.unseal(&owner(vault, name), &sealed)?)?))
}

async fn keep(vault: &Vault, to: impl sqlx::SqliteExecutor<'_>, ring: &Ring) -> Result<(), StoreError> {
    const UPSERT: &str = "insert into vault_key (vault, name_mac, ring) values ($1, $2, $3)
        on conflict do update set ring = excluded.ring";
    let sealed = vault.key.seal(&owner(vault, &ring.name), &serde_json::to_vec(ring)?)?;
    let upsert = sqlx::query(UPSERT).bind(&vault.name).bind(vault.key.mac("key", &ring.name)).bind(sealed);
    upsert.execute(to).await?;
    Ok(())
}

impl Store {
    /// A key, with the new version that its time has come for.
    pub(in crate::key_vault::embedded) async fn ring(
        &self,
        vault: &Vault,
        name: &str,
    ) -> Result<Option<Ring>, StoreError> {
        let ring = find(vault, self.db.reader(), name).await?;
        if !ring.as_ref().is_some_and(|ring| ring.is_due(self.clock.seconds())) {
            return Ok(ring);
        }
        self.change_ring(vault, name, |ring, now| if ring.is_due(now) { ring.rotate(now) } else { Ok(()) }).await?;
        find(vault, self.db.reader(), name).await
    }

    /// All keys of a vault, in the order of their names.
    pub(in crate::key_vault::embedded) async fn rings(&self, vault: &str) -> Result<Vec<Ring>, StoreError> {
        let mut rings = Vec::new();
        let vault = self.open(vault).await?;
        for name in self.key_names(&vault).await? {
            rings.extend(self.ring(&vault, &name).await?);
        }
        Ok(rings)
    }

    /// The names of all keys of a vault, in order.
    pub(in crate::key_vault::embedded) async fn key_names(&self, vault: &Vault) -> Result<Vec<String>, StoreError> {
        const SELECT: &str = "select entry from vault_entry where vault = $1 and folder_mac = $2";
        let select = sqlx::query_scalar(SELECT).bind(&vault.name).bind(vault.key.mac("folder", "\0keys"));
        let sealed: Vec<Vec<u8>> = select.fetch_all(self.db.reader()).await?;
        let mut names = Vec::with_capacity(sealed.len());
        for name in sealed {
            names.push(String::from_utf8_lossy(&vault.key.unseal("key-name", &name)?).into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Makes a key where it is not there. Returns it as it stands, or `None` where there is no room for it.
    pub(in crate::key_vault::embedded) async fn make_ring(
        &self,
        vault: &Vault,
        name: &str,
        kind: KeyKind,
        auto_rotate: i64,
    ) -> Result<Option<Ring>, StoreError> {
        const COUNT: &str = "select count(*) from vault_key where vault = $1";
        const NAME: &str =
            "insert into vault_entry (vault, folder_mac, entry_mac, entry, secrets) values ($1, $2, $3, $4, 0)";
        let mut writer = self.db.writer().await?;
        self.prepare(writer.connection()?).await?;
        let mut tx = writer.begin().await?;
        if let Some(standing) = find(vault, &mut *tx, name).await? {
            return Ok(Some(standing));
        }
        let keys: i64 = sqlx::query_scalar(COUNT).bind(&vault.name).fetch_one(&mut *tx).await?;
        if keys >= KEYS_MAX {
            return Ok(None);
        }
        let ring = Ring::draw(name, kind, auto_rotate, self.clock.seconds())?;
        keep(vault, &mut *tx, &ring).await?;
        let entry = sqlx::query(NAME).bind(&vault.name).bind(vault.key.mac("folder", "\0keys"));
        let entry = entry.bind(vault.key.mac("key", name)).bind(vault.key.seal("key-name", name.as_bytes())?);
        entry.execute(&mut *tx).await?;
        self.check_room(&mut tx, &vault.name).await?;
        tx.commit().await?;
        Ok(Some(ring))
    }

    /// Makes the keys of an order that are not there, and sets how often the others rotate.
    pub(in crate::key_vault::embedded) async fn ensure_keys(
        &self,
        vault: &str,
        keys: &[KeyOrder],
    ) -> Result<(), StoreError> {
        let vault = self.open(vault).await?;
        for key in keys {
            let every = key.auto_rotate.unwrap_or(0);
            let made = self.make_ring(&vault, &key.name, key.kind, every).await?;
            let ring = made.ok_or(CipherError::Full)?;
            if ring.auto_rotate != every {
                self.change_ring(&vault, &key.name, |ring, _| {
                    ring.auto_rotate = every;
                    Ok(())
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Gives a key a new version; false where there is no such key.
    pub(in crate::key_vault::embedded) async fn rotate_key(&self, vault: &str, name: &str) -> Result<bool, StoreError> {
        let vault = self.open(vault).await?;
        Ok(self.change_ring(&vault, name, Ring::rotate).await?.is_some())
    }

    /// Changes a key. Returns it as it is then; `None` where there is no such key.
    pub(in crate::key_vault::embedded) async fn change_ring(
        &self,
        vault: &Vault,
        name: &str,
        change: impl FnOnce(&mut Ring, i64) -> Result<(), CipherError> + Send,
    ) -> Result<Option<Ring>, StoreError> {
        let mut writer = self.db.writer().await?;
        self.prepare(writer.connection()?).await?;
        let mut tx = writer.begin().await?;
        let Some(mut ring) = find(vault, &mut *tx, name).await? else { return Ok(None) };
        change(&mut ring, self.clock.seconds())?;
        keep(vault, &mut *tx, &ring).await?;
        tx.commit().await?;
        Ok(Some(ring))
    }

    /// Destroys a key: what it encrypted can't be read any more.
    pub(in crate::key_vault::embedded) async fn remove_ring(
        &self,
        vault: &Vault,
        name: &str,
    ) -> Result<(), StoreError> {
        const KEY: &str = "delete from vault_key where vault = $1 and name_mac = $2";
        const NAME: &str = "delete from vault_entry where vault = $1 and folder_mac = $3 and entry_mac = $2";
        let mac = vault.key.mac("key", name);
        let mut writer = self.db.writer().await?;
        self.prepare(writer.connection()?).await?;
        let mut tx = writer.begin().await?;
        sqlx::query(KEY).bind(&vault.name).bind(&mac).execute(&mut *tx).await?;
        let name = sqlx::query(NAME).bind(&vault.name).bind(&mac).bind(vault.key.mac("folder", "\0keys"));
        name.execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}
