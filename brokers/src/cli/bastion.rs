//! `bourse-brokers bastion`.

use std::sync::Arc;

use osb::kit::{Clock, Db, Sealer};

use super::{Common, Error, serve_kit};
use crate::bastion::{Bastion, Config, SCHEMA, http};

const NAME: &str = "bastion";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(Args { common }: Args) -> Result<(), Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Broker(NAME, source);
    common.make_data()?;
    let listener = common.listener()?;
    let db = Db::open(&common.data.join("bastion.db"), SCHEMA).await.map_err(|source| failed(source.into()))?;
    let sealer = Sealer::from_file(&common.data.join("bastion.key")).map_err(|source| failed(source.into()))?;
    let service = Arc::new(Bastion::new(Config {
        db: db.clone(),
        sealer: sealer.clone(),
        clock: Clock::System,
        data: common.data.clone(),
        public_url: common.public_url(&listener)?,
        gateway: None,
    }));
    let routes = http::configure(Arc::clone(&service));
    serve_kit(&common, NAME, listener, (service, db, sealer), routes).await
}
