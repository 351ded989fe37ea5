//! Orders about instances: written down, done, and settled.

use serde_json::json;
use uuid::Uuid;

use super::broker::{Core, answer, check_ids, check_maintenance, check_tenant, refused};
use super::janitor::LOOK_AGAIN;
use super::meter::Kind;
use super::rows::{InstanceRow, Phase};
use super::service::{Fault, Instance, Secret, Service};
use super::stamped::tenant_of;
use crate::instance::{
    Deprovisioned, FetchInstanceResponse, ProvisionRequest, ProvisionResponse, Provisioned, UpdateRequest,
    UpdateResponse, Updated,
};
use crate::{DeprovisionRequest, Error, LastOperation, Maybe, Object, OperationState};

impl<S: Service> Core<S> {
    pub(super) async fn found(&self, id: &str) -> Result<Option<InstanceRow>, Error> {
        Ok(self.rows.instance(self.db.reader(), id).await?)
    }

    /// One that has been made; what is still being made is not there yet.
    pub(super) async fn made(&self, id: &str) -> Result<InstanceRow, Error> {
        let found = self.found(id).await?.filter(|row| row.phase != Phase::Creating);
        found.ok_or_else(|| Error::not_found("there is no service instance with this id"))
    }

    pub(super) async fn provision(&self, request: &ProvisionRequest) -> Result<Provisioned, Error> {
        if let Some(row) = self.found(&request.instance_id).await? {
            return self.provision_again(row, request).await;
        }
        let (_, plan) = self.plan(&request.service_id, &request.plan_id)?;
        check_maintenance(plan, &request.maintenance_info)?;
        let row = self.row_of(request);
        self.service.check(&row.instance, None).map_err(|refusal| refused(refusal, false))?;
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let first = self.rows.intend(&mut transaction, &row).await?;
        transaction.commit().await?;
        drop(writer);
        if first {
            return Ok(Provisioned::Created(self.create(row).await?));
        }
        // Another process was quicker.
        let row = self.found(&request.instance_id).await?;
        let row = row.ok_or_else(|| Error::concurrency("this service instance is being deleted"))?;
        self.provision_again(row, request).await
    }

    fn row_of(&self, request: &ProvisionRequest) -> InstanceRow {
        let now = self.clock.seconds();
        InstanceRow {
            instance: Instance {
                resource: Uuid::now_v7().to_string(),
                id: request.instance_id.clone(),
                service_id: request.service_id.clone(),
                plan_id: request.plan_id.clone(),
                parameters: object(&request.parameters),
                tenant: tenant_of(&request.context),
                state: Secret::default(),
                created_at: now,
            },
            organization_guid: request.organization_guid.clone(),
            space_guid: request.space_guid.clone(),
            phase: Phase::Creating,
            measured_at: now,
            measured: 0,
        }
    }

    /// What a repeat is answered: the same order is fine, and finished where it was not; another one is a conflict.
    async fn provision_again(&self, row: InstanceRow, request: &ProvisionRequest) -> Result<Provisioned, Error> {
        let there = &row.instance;
        let same = there.service_id == request.service_id
            && there.plan_id == request.plan_id
            && row.organization_guid == request.organization_guid
            && row.space_guid == request.space_guid
            && there.parameters == object(&request.parameters);
        check_tenant(there.tenant.as_ref(), tenant_of(&request.context).as_ref())?;
        match row.phase {
            Phase::Retiring => Err(Error::concurrency("this service instance is being deleted")),
            _ if !same => Err(Error::conflict("a service instance with this id exists with other attributes")),
            Phase::Creating => Ok(Provisioned::Created(self.create(row).await?)),
            Phase::Ready | Phase::Changing => Ok(Provisioned::Existed(self.provisioned(&row.instance).await)),
        }
    }

    async fn create(&self, mut row: InstanceRow) -> Result<ProvisionResponse, Error> {
        match self.service.create(&row.instance).await {
            Ok(state) => row.instance.state = Secret(state),
            Err(Fault::Refused(refusal)) => {
                let mut writer = self.db.writer().await?;
                let mut transaction = writer.begin().await?;
                self.rows.forget(&mut transaction, &row.instance.resource).await?;
                transaction.commit().await?;
                return Err(refused(refusal, false));
            }
            Err(fault) => return Err(answer(fault, false)),
        }
        self.settle(&row).await?;
        tracing::info!(instance.id = row.instance.id, "a service instance was made");
        Ok(self.provisioned(&row.instance).await)
    }

    /// The instance is as it is here, with a first reading of its meters in the same transaction.
    async fn settle(&self, row: &InstanceRow) -> Result<(), Error> {
        let now = self.clock.seconds();
        let events = self.readings(row, now, Kind::ALL).await;
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        if !self.rows.settle(&mut transaction, &row.instance).await? {
            return Err(Error::concurrency("this service instance is being deleted"));
        }
        if let Some(events) = events {
            // Another reading that came between has covered the window.
            let until = (now, self.next_look(now));
            self.rows.measured(&mut transaction, (&row.instance.resource, row.measured), until, &events).await?;
        }
        Ok(transaction.commit().await?)
    }

    pub(super) async fn provisioned(&self, instance: &Instance) -> ProvisionResponse {
        let metadata = self.metadata(instance).await;
        ProvisionResponse { metadata, ..ProvisionResponse::default() }
    }

    /// What the platform shows. A service that can't tell is no reason to keep the rest back.
    async fn metadata(&self, instance: &Instance) -> Maybe<Object> {
        let mut attributes = match self.service.show(instance).await {
            Ok(attributes) => attributes,
            Err(fault) => {
                tracing::warn!(instance.id = instance.id, error = ?fault, "a service can't tell how an instance is");
                Object::new()
            }
        };
        if let Some(tenant) = &instance.tenant {
            attributes.insert("tenant".into(), json!({"id": tenant.id, "name": tenant.name}));
        }
        Maybe::Present(Object::from_iter([("attributes".to_owned(), attributes.into())]))
    }

    pub(super) async fn fetch_instance(&self, id: &str) -> Result<FetchInstanceResponse, Error> {
        let row = self.made(id).await?;
        let metadata = self.metadata(&row.instance).await;
        let Instance { service_id, plan_id, parameters, .. } = row.instance;
        Ok(FetchInstanceResponse {
            service_id: Maybe::Present(service_id),
            plan_id: Maybe::Present(plan_id),
            parameters: Maybe::Present(parameters),
            metadata,
            ..FetchInstanceResponse::default()
        })
    }

    pub(super) async fn instance_operation(&self, id: &str) -> Result<LastOperation, Error> {
        self.made(id).await?;
        Ok(LastOperation::new(OperationState::Succeeded, "every order here ends within its request"))
    }

    pub(super) async fn update(&self, request: &UpdateRequest) -> Result<Updated, Error> {
        let mut row = self.made(&request.instance_id).await?;
        if row.phase == Phase::Retiring {
            return Err(Error::concurrency("this service instance is being deleted"));
        }
        let before = row.instance.clone();
        if request.service_id != before.service_id {
            return Err(Error::bad_request("service_id must be that of the service instance"));
        }
        let caller = tenant_of(&request.context);
        check_tenant(before.tenant.as_ref(), caller.as_ref())?;
        let wanted_plan = request.plan_id.as_option().unwrap_or(&before.plan_id);
        let (offering, current) = self.plan(&before.service_id, &before.plan_id)?;
        let (_, plan) = self.plan(&before.service_id, wanted_plan)?;
        if *wanted_plan != before.plan_id && !offering.plan_updateable(current) {
            let refusal = super::Refusal::Unchangeable("the plan can't be changed: order another instance".to_owned());
            return Err(refused(refusal, true));
        }
        check_maintenance(plan, &request.maintenance_info)?;
        let asked = object(&request.parameters);
        let mut after = before.clone();
        wanted_plan.clone_into(&mut after.plan_id);
        after.parameters = self.service.merge(&before.parameters, &asked);
        after.tenant = caller.or_else(|| before.tenant.clone());
        self.service.check(&after, Some(&before)).map_err(|refusal| refused(refusal, true))?;
        self.enter(&before.resource, Phase::Changing).await?;
        match self.service.change(&before, &after, &asked).await {
            Ok(state) => after.state = Secret(state),
            Err(Fault::Refused(refusal)) => {
                self.enter(&before.resource, Phase::Ready).await?;
                return Err(refused(refusal, true));
            }
            Err(fault) => return Err(answer(fault, true)),
        }
        row.instance = after;
        self.settle(&row).await?;
        tracing::info!(instance.id = row.instance.id, "a service instance was changed");
        let metadata = self.metadata(&row.instance).await;
        Ok(Updated::Done(UpdateResponse { metadata, ..UpdateResponse::default() }))
    }

    async fn enter(&self, resource: &str, phase: Phase) -> Result<(), Error> {
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let look_at = self.clock.seconds().saturating_add(LOOK_AGAIN);
        if !self.rows.set_phase(&mut transaction, resource, phase, look_at).await? {
            return Err(Error::concurrency("this service instance is being deleted"));
        }
        Ok(transaction.commit().await?)
    }

    pub(super) async fn deprovision(&self, request: &DeprovisionRequest) -> Result<Deprovisioned, Error> {
        let row = self.found(&request.instance_id).await?.ok_or_else(Error::gone)?;
        check_ids(&row.instance, &request.service_id, &request.plan_id)?;
        self.take_away(&row).await?;
        Ok(Deprovisioned::Done(Object::new()))
    }

    /// Takes an instance out of use: meters, bindings, the service; then its data, now or when its time has come.
    pub(super) async fn take_away(&self, row: &InstanceRow) -> Result<(), Error> {
        let (instance, now) = (&row.instance, self.clock.seconds());
        if matches!(row.phase, Phase::Ready | Phase::Changing) {
            self.measure(row, now, Kind::AT_THE_END).await?;
        }
        let was_made = row.phase != Phase::Creating;
        self.enter(&instance.resource, Phase::Retiring).await?;
        for binding in self.rows.bindings(self.db.reader(), &instance.resource).await? {
            self.revoke(instance, &binding).await?;
        }
        self.service.retire(instance).await.map_err(|fault| answer(fault, false))?;
        let retention = self.service.retention(instance).filter(|_| was_made);
        if retention.is_none() {
            self.service.purge(instance).await.map_err(|fault| answer(fault, false))?;
        }
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        match retention {
            Some(kept) => {
                let until = now.saturating_add(i64::try_from(kept.as_secs()).unwrap_or(i64::MAX));
                self.rows.retain(&mut transaction, &instance.resource, (now, until)).await?;
            }
            None => self.rows.forget(&mut transaction, &instance.resource).await?,
        }
        transaction.commit().await?;
        tracing::info!(instance.id = instance.id, "a service instance was taken out of use");
        Ok(())
    }
}

/// Parameters, where absent and `null` are the same as none.
pub(super) fn object(parameters: &Maybe<Object>) -> Object {
    parameters.as_option().cloned().unwrap_or_default()
}
