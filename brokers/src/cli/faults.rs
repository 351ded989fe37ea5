//! `bourse-brokers faults`.

use std::sync::Arc;

use super::{Common, Error, serve};
use crate::faults::{Faults, wire};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(Args { common }: Args) -> Result<(), Error> {
    let broker = Faults::new();
    let door = common.door(Arc::new(broker.clone()), "faults")?;
    let running = wire::listen(door, &broker, common.listener()?);
    serve(running.map_err(|source| common.failed_to_listen(source))?).await
}
