//! The gateway's own secrets: drawn once, and the same after each start and in each process on the file.

use osb::kit::seal::random;
use osb::kit::{Db, Sealer};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::StoreError;

const SEED_BYTES: usize = 32;

/// What a gateway needs to start.
pub struct GatewayKeys {
    /// What users see.
    pub host_key: PrivateKey,
    /// The seed of the key that recordings are signed with.
    pub seal_seed: [u8; SEED_BYTES],
    /// What the gateway sees of the host to try it with.
    pub try_host_key: PrivateKey,
}

impl std::fmt::Debug for GatewayKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GatewayKeys")
    }
}

impl GatewayKeys {
    /// Those of the file; drawn where there are none yet.
    ///
    /// # Errors
    /// Where the file fails, or was sealed with another key.
    pub async fn open(db: &Db, sealer: &Sealer) -> Result<Self, StoreError> {
        let key = |seed| PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        Ok(Self {
            host_key: key(seed(db, sealer, "host").await?),
            seal_seed: seed(db, sealer, "recordings").await?,
            try_host_key: key(seed(db, sealer, "try-host").await?),
        })
    }

    /// The public half of the host key, an OpenSSH line.
    ///
    /// # Errors
    /// Never in practice: it can be encoded.
    pub fn host_line(&self) -> Result<String, StoreError> {
        line(&self.host_key)
    }

    /// The same of the host to try it with.
    ///
    /// # Errors
    /// Never in practice: it can be encoded.
    pub fn try_host_line(&self) -> Result<String, StoreError> {
        line(&self.try_host_key)
    }
}

fn line(key: &PrivateKey) -> Result<String, StoreError> {
    key.public_key().to_openssh().map_err(|_| StoreError::Corrupt("a public key"))
}

async fn seed(db: &Db, sealer: &Sealer, name: &str) -> Result<[u8; SEED_BYTES], StoreError> {
    let owner = format!("gateway/{name}");
    let drawn = sealer.seal(&owner, &random::<SEED_BYTES>()?)?;
    let mut writer = db.writer().await?;
    let mut transaction = writer.begin().await?;
    sqlx::query("insert into gateway_key (name, sealed) values ($1, $2) on conflict (name) do nothing")
        .bind(name)
        .bind(drawn)
        .execute(&mut *transaction)
        .await?;
    let sealed: Vec<u8> = sqlx::query_scalar("select sealed from gateway_key where name = $1")
        .bind(name)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let clear = sealer.open(&owner, &sealed)?;
    clear.try_into().map_err(|_| StoreError::Corrupt("a key of the gateway"))
}
