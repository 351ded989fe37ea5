//! Rotation of bindings ("Binding Rotation"): a successor inherits what its predecessor was asked for with. A broker that
//! can't do that is sent an ordinary bind with the predecessor's fields, where its registration says so (`rotation`).

use osb::{BindRequest, Maybe};

use super::{App, Error, order, sealed};
use crate::domain::broker::Rotation;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::BindingState;
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;

/// Successors of successors, as far back as is looked for what the first one was asked for with.
const GENERATIONS_MAX: usize = 1000;

impl App {
    /// Puts the backend's words for the predecessor into a bind that is about to be sent, or makes an ordinary bind of it.
    ///
    /// # Errors
    /// 400 where the predecessor is no binding of the instance.
    pub(in crate::app) async fn with_predecessor(
        &self,
        instance: &InstanceRow,
        plan: &PlanEntry,
        sent: &mut BindRequest,
    ) -> Result<(), Error> {
        let Some(predecessor) = sent.predecessor_binding_id.as_option() else { return Ok(()) };
        let row = self.predecessor(instance, predecessor).await?;
        let backend = self.backends().get(&plan.broker_id);
        if backend.is_none_or(|backend| backend.settings().rotation != Some(Rotation::Emulated)) {
            sent.predecessor_binding_id = Maybe::Present(row.id);
            return Ok(());
        }
        let first = self.asked_for_with(&row).await?;
        sent.predecessor_binding_id = Maybe::Absent;
        sent.parameters = first.parameters;
        sent.bind_resource = first.bind_resource;
        sent.app_guid = first.app_guid;
        if sent.context.as_option().is_none() {
            sent.context = order::without_spoofs(first.context.into_option()).into();
        }
        Ok(())
    }

    /// What a successor is asked for with.
    ///
    /// # Errors
    /// 400 where the predecessor is no binding of the instance.
    pub(in crate::app) async fn inherited(
        &self,
        instance: &InstanceRow,
        predecessor: &str,
    ) -> Result<BindRequest, Error> {
        let row = self.predecessor(instance, predecessor).await?;
        self.asked_for_with(&row).await
    }

    async fn predecessor(&self, instance: &InstanceRow, id: &str) -> Result<BindingRow, Error> {
        let row = self.current_binding(instance, id).await?;
        let ready = row.filter(|row| row.state == BindingState::Ready);
        let missing =
            || osb::Error::bad_request("predecessor_binding_id names no service binding of this service instance");
        Ok(ready.ok_or_else(missing)?)
    }

    /// The request that a binding was made with; of a successor that the broker made, that of the first in the line.
    async fn asked_for_with(&self, binding: &BindingRow) -> Result<BindRequest, Error> {
        let mut id = binding.id.clone();
        for _ in 0..GENERATIONS_MAX {
            let operation = self.bind_operation(&id).await?;
            let stored: sealed::StoredRequest =
                self.open(&sealed::operation_request(&operation.id), &operation.request)?;
            let body = stored.wire()?.body;
            let request: BindRequest = serde_json::from_slice(&body)
                .map_err(|_| crate::secret::Error::Open(sealed::operation_request(&operation.id)))?;
            match request.predecessor_binding_id.as_option() {
                Some(before) => id.clone_from(before),
                None => return Ok(request),
            }
        }
        Err(osb::Error::bad_request("the service binding was rotated too often: bind anew").into())
    }
}
