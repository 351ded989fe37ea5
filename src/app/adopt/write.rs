//! Writing an adoption down: instance, bindings, their operations, events and span in one transaction.

use std::sync::Arc;

use osb::{BindRequest, Maybe, ProvisionRequest};
use serde_json::json;

use super::{Candidate, Scope};
use crate::app::audit::standing;
use crate::app::bind::attributes as binding_attributes;
use crate::app::drive::{Names, tell};
use crate::app::order::{self, Intent, Orderer};
use crate::app::quotas::{self, Wants};
use crate::app::{App, Error, sealed};
use crate::domain::catalog::PlanEntry;
use crate::domain::event::EventKind;
use crate::domain::instance::BindingState;
use crate::domain::operation::{OperationKind, OperationState};
use crate::store::audit::{self, AuditRow};
use crate::store::bindings::{self, BindingRow};
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};
use crate::store::{Tx, platforms, spans, tenants};

/// All that is written.
#[derive(Clone)]
pub(super) struct Adopted {
    names: Names,
    instance: InstanceRow,
    provision: OperationRow,
    bindings: Vec<(BindingRow, OperationRow)>,
    audited: AuditRow,
    wants: Wants,
}

impl App {
    /// All rows that an adoption writes. Its operations hold the requests that would have made what is adopted, as
    /// those of an order do: a bind is repeated with them when its credentials are asked for again.
    pub(super) async fn adopted(
        &self,
        scope: &Scope<'_>,
        orderer: &Orderer,
        candidate: &Candidate,
        plan: &Arc<PlanEntry>,
        row: InstanceRow,
        request: &ProvisionRequest,
    ) -> Result<Adopted, Error> {
        let request_id = order::request_identity(scope.call);
        let mut sent = request.clone();
        sent.instance_id.clone_from(&row.id);
        sent.service_id.clone_from(&plan.offering_backend_id);
        sent.plan_id.clone_from(&plan.plan_backend_id);
        let provision = self.done(scope, orderer, plan, &row, None, &request_id, osb::WireRequest::from(&sent))?;
        let tenant = self.tenant(&row.tenant_id).await?;
        let mut bound = Vec::with_capacity(candidate.bindings.len());
        for binding in &candidate.bindings {
            let asked = BindRequest {
                instance_id: row.platform_instance_id.clone(),
                binding_id: binding.platform_binding_id.clone().unwrap_or(binding.backend_binding_id.clone()),
                context: request.context.clone(),
                service_id: Maybe::Present(row.offering_id.clone()),
                plan_id: Maybe::Present(row.plan_id.clone()),
                bind_resource: binding.bind_resource.clone().into(),
                parameters: binding.parameters.clone().into(),
                ..BindRequest::default()
            };
            let id = &binding.backend_binding_id;
            let sent = self.bind_for_backend(orderer, scope.call, &asked, &row, &tenant, plan, id, &request_id).await?;
            let wire = osb::WireRequest::from(&sent);
            let operation = self.done(scope, orderer, plan, &row, Some(id.clone()), &request_id, wire)?;
            let adopted = BindingRow {
                instance_id: row.id.clone(),
                platform_binding_id: asked.binding_id.clone(),
                state: BindingState::Ready,
                attributes: self.seal(&sealed::binding_attributes(id), &binding_attributes(&asked))?,
                answer: None,
                answer_until: None,
                operation_id: None,
                asked_until: None,
                version: 1,
                created_at: row.created_at,
                ready_at: Some(row.created_at),
                gone_at: None,
                late_until: None,
                id: id.clone(),
            };
            bound.push((adopted, operation));
        }
        let audited = self.audit_row(
            scope.caller,
            "instance.adopt",
            format!("instances/{}", row.id),
            json!({ "platform_instance_id": row.platform_instance_id, "bindings": bound.len() }),
        );
        let wants = Wants::new(plan, &request.parameters.clone().into_option().unwrap_or_default());
        let audited = audited.changed(None, Some(standing(&row, plan)));
        Ok(Adopted { names: self.names(plan), instance: row, provision, bindings: bound, audited, wants })
    }

    /// An operation that is over with success: nobody drives it.
    #[expect(clippy::too_many_arguments, reason = "an operation is made of just these")]
    fn done(
        &self,
        scope: &Scope<'_>,
        orderer: &Orderer,
        plan: &PlanEntry,
        row: &InstanceRow,
        binding_id: Option<String>,
        request_id: &str,
        request: osb::WireRequest,
    ) -> Result<OperationRow, Error> {
        let kind = if binding_id.is_some() { OperationKind::Bind } else { OperationKind::Provision };
        let operation = self.operation_for(Intent {
            kind,
            orderer,
            call: scope.call,
            correlation_id: request_id.to_owned(),
            plan,
            instance_id: row.id.clone(),
            binding_id,
            accepts_incomplete: false,
            request,
            now: row.created_at,
        })?;
        Ok(OperationRow {
            state: OperationState::Succeeded,
            finished_at: Some(row.created_at),
            description: Some("adopted".to_owned()),
            ..operation
        })
    }

    /// Writes it; false where an id is taken, and then nothing is written.
    pub(super) async fn write_adopted(&self, adopted: Adopted) -> Result<bool, Error> {
        let written = self.db().write(move |tx| {
            let adopted = adopted.clone();
            Box::pin(async move { write(tx, adopted).await })
        });
        match written.await {
            Err(Error::Conflict { code: TAKEN, .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }
}

const TAKEN: &str = "id_taken";

async fn write(tx: &mut Tx<'_>, adopted: Adopted) -> Result<(), Error> {
    let Adopted { names, mut instance, provision, bindings, audited, wants } = adopted;
    let (now, taken) = (instance.created_at, || Error::conflict(TAKEN, "the id is taken"));
    let tenant = tenants::hold_and_count(tx, &instance.tenant_id).await?;
    let stands = platforms::hold(tx, &instance.platform_id).await?;
    let Some((tenant, quotas)) = tenant.filter(|_| stands) else {
        let message = "the tenant or the platform was deleted".to_owned();
        return Err(Error::Refused { code: "deleted", message });
    };
    // It stands already, whatever quotas say: it is counted, and can't be refused.
    let counted = quotas::adopt(tx, &tenant, quotas, &wants).await?;
    instance.reserved = counted.any();
    if !instances::insert(tx, &instance).await? {
        return Err(taken());
    }
    counted.record(tx, &instance.id).await?;
    finished(tx, &provision).await?;
    spans::open(tx, &instance, spans::Opening::Going, &provision.id, now).await?;
    let (event, reason) = (EventKind::InstanceProvisioned, Some("adopted".to_owned()));
    tell(tx, &mut instance, &provision, None, event, reason, &names, now).await?;
    for (binding, bind) in bindings {
        if !bindings::insert(tx, &binding).await? {
            return Err(taken());
        }
        finished(tx, &bind).await?;
        bindings::save(tx, &binding, true).await?;
        let (event, reason) = (EventKind::BindingCreated, Some("adopted".to_owned()));
        tell(tx, &mut instance, &bind, Some(binding.id), event, reason, &names, now).await?;
    }
    instances::save(tx, &instance, true, now).await?;
    audit::append(tx, &audited).await?;
    Ok(())
}

/// An operation that is over from the first.
async fn finished(tx: &mut Tx<'_>, operation: &OperationRow) -> Result<(), Error> {
    operations::insert(tx, operation, "").await?;
    operations::save(tx, operation).await?;
    Ok(())
}
