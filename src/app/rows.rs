//! Rows by their own ids, for use cases that know that they exist.

use super::{App, Error};
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};

impl App {
    /// The instance with Bourse's own id.
    pub(in crate::app) async fn instance_row(&self, id: &str) -> Result<InstanceRow, Error> {
        let key = id.to_owned();
        let row = self
            .db()
            .read(move |tx| Box::pin(async move { Ok::<_, Error>(instances::by_id(tx, &key).await?) }))
            .await?;
        row.ok_or_else(|| Error::not_found("instance", id))
    }

    /// The operation that made a binding.
    pub(in crate::app) async fn bind_operation(&self, binding_id: &str) -> Result<OperationRow, Error> {
        let key = binding_id.to_owned();
        let row = self
            .db()
            .read(move |tx| Box::pin(async move { Ok::<_, Error>(operations::bind_of(tx, &key).await?) }))
            .await?;
        row.ok_or_else(|| Error::not_found("binding", binding_id))
    }
}
