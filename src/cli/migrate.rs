//! `bourse migrate`: brings the database to this version, and does nothing else.

use super::{Error, Settings, block_on, settings};
use crate::store::Db;

/// Runs it.
pub(super) fn run(args: &Settings) -> Result<(), Error> {
    let config = settings::load(args)?;
    block_on(async {
        let db = Db::open(config.database.url.expose(), config.database.connections).await.map_err(Error::Open)?;
        db.migrate().await.map_err(Error::Migrate)?;
        tracing::info!("the database is at this version");
        db.close().await;
        Ok(())
    })
}
