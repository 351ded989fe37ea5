//! What every command that asks a hub shares: who asks, the runtime, and the options that several have.

use std::num::NonZeroUsize;

use super::client::{Client, Connection};
use super::{Error, block_on};

/// A command with the connection that it needs.
#[derive(Debug, clap::Args)]
pub(super) struct Remote<A: clap::Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    connection: Connection,
}

/// `--limit` of a list.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Limit {
    /// Entries at most; pages are followed up to it.
    #[arg(long, value_name = "N", default_value = "1000")]
    limit: NonZeroUsize,
}

impl Limit {
    /// As a number.
    pub(super) fn get(self) -> usize {
        self.limit.get()
    }
}

impl<A: clap::Args> Remote<A> {
    /// Runs a command to its end.
    pub(super) fn run(self, work: impl AsyncFnOnce(&Client, A) -> Result<(), Error>) -> Result<(), Error> {
        // An error means that there is one already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut client = self.connection.client()?;
        block_on(async {
            client.renew().await?;
            work(&client, self.args).await
        })
    }

    /// Runs a command that shows the hub no credentials.
    pub(super) fn run_as_nobody(self, work: impl AsyncFnOnce(&Client, A) -> Result<(), Error>) -> Result<(), Error> {
        // As above.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = self.connection.nobody()?;
        block_on(work(&client, self.args))
    }
}
