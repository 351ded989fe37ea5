//! What folders hold, so that a list reads no more than what it shows although no path stands in clear.
//!
//! Invariant: an entry is there exactly while a secret lies at it or below it.

use sqlx::SqliteConnection;

use super::{Store, StoreError, Vault};

/// The folders on the way to a path, each with what it holds there: `a/b` gives ("", "a/") and ("a/", "b").
fn steps(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = path.get(from..).filter(|rest| !rest.is_empty())?;
        let length = rest.find('/').map_or(rest.len(), |at| at + 1);
        let step = (&path[..from], &rest[..length]);
        from += length;
        Some(step)
    })
}

fn owner(vault: &Vault) -> String {
    format!("entry/{}", vault.name)
}

impl Vault {
    fn folder_mac(&self, folder: &str) -> Vec<u8> {
        self.key.mac("folder", folder)
    }

    fn entry_mac(&self, folder: &str, entry: &str) -> Vec<u8> {
        self.key.mac("entry", &format!("{folder}\0{entry}"))
    }

    /// Enters a path that there was not.
    pub(in crate::key_vault::embedded) async fn enter(
        &self,
        tx: &mut SqliteConnection,
        path: &str,
    ) -> Result<(), StoreError> {
        const UPSERT: &str = "insert into vault_entry (vault, folder_mac, entry_mac, entry, secrets)
            values ($1, $2, $3, $4, 1) on conflict do update set secrets = secrets + 1";
        for (folder, entry) in steps(path) {
            let upsert = sqlx::query(UPSERT).bind(&self.name).bind(self.folder_mac(folder));
            let sealed = self.key.seal(&owner(self), entry.as_bytes())?;
            upsert.bind(self.entry_mac(folder, entry)).bind(sealed).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Strikes a path that there is no more.
    pub(in crate::key_vault::embedded) async fn strike(
        &self,
        tx: &mut SqliteConnection,
        path: &str,
    ) -> Result<(), StoreError> {
        const LESS: &str =
            "update vault_entry set secrets = secrets - 1 where vault = $1 and folder_mac = $2 and entry_mac = $3";
        const NONE: &str =
            "delete from vault_entry where vault = $1 and folder_mac = $2 and entry_mac = $3 and secrets <= 0";
        for (folder, entry) in steps(path) {
            let (folder_mac, entry_mac) = (self.folder_mac(folder), self.entry_mac(folder, entry));
            for statement in [LESS, NONE] {
                let statement = sqlx::query(statement).bind(&self.name).bind(&folder_mac).bind(&entry_mac);
                statement.execute(&mut *tx).await?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// What a folder holds, in order; `folder` is empty or ends with `/`.
    pub(in crate::key_vault::embedded) async fn list(
        &self,
        vault: &Vault,
        folder: &str,
    ) -> Result<Vec<String>, StoreError> {
        const SELECT: &str = "select entry from vault_entry where vault = $1 and folder_mac = $2";
        let select = sqlx::query_scalar(SELECT).bind(&vault.name).bind(vault.folder_mac(folder));
        let sealed: Vec<Vec<u8>> = select.fetch_all(self.db.reader()).await?;
        let mut entries = Vec::with_capacity(sealed.len());
        for entry in sealed {
            entries.push(String::from_utf8_lossy(&vault.key.unseal(&owner(vault), &entry)?).into_owned());
        }
        entries.sort_unstable();
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_path_leads_through_its_folders() {
        assert_eq!(steps("a").collect::<Vec<_>>(), [("", "a")]);
        assert_eq!(steps("a/b/c").collect::<Vec<_>>(), [("", "a/"), ("a/", "b/"), ("a/b/", "c")]);
        assert_eq!(steps("").count(), 0);
    }
}
