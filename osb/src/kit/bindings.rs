//! Orders about bindings: access given, rotated and taken away.

use serde_json::Value;
use uuid::Uuid;

use super::broker::{Core, answer, check_ids, check_tenant, refused};
use super::instances::object;
use super::rows::{BindingRow, InstanceRow, Phase};
use super::service::{Binding, Fault, Instance, Issued, Service};
use super::stamped::tenant_of;
use crate::{
    BindRequest, BindResponse, BindingOperationRequest, Bound, Call, Error, FetchBindingRequest, FetchBindingResponse,
    LastOperation, Maybe, Object, OperationState, UnbindRequest, Unbound,
};

/// The user that a platform's originating identity names: Kubernetes, Bourse and Cloud Foundry each have their own word.
pub(super) fn user_of(call: &Call) -> Option<String> {
    let value = call.originating_identity.as_ref()?.value()?;
    let named = ["username", "user_name", "user", "user_id"].iter().find_map(|name| value.get(*name)?.as_str());
    named.map(|user| user.chars().take(256).collect())
}

impl<S: Service> Core<S> {
    pub(super) async fn bind(&self, request: &BindRequest, user: Option<String>) -> Result<Bound, Error> {
        let row = self.made(&request.instance_id).await?;
        let instance = &row.instance;
        if row.phase == Phase::Retiring {
            return Err(Error::concurrency("this service instance is being deleted"));
        }
        let caller = tenant_of(&request.context);
        check_tenant(instance.tenant.as_ref(), caller.as_ref())?;
        let predecessor_id = request.predecessor_binding_id.as_option().cloned();
        // A rotation needs no ids; where they are given they must be right.
        let given = |id: &Maybe<String>, own: &str| match id.as_option() {
            Some(id) => id.clone(),
            None if predecessor_id.is_some() => own.to_owned(),
            None => String::new(),
        };
        let service_id = given(&request.service_id, &instance.service_id);
        let plan_id = given(&request.plan_id, &instance.plan_id);
        check_ids(instance, &service_id, &plan_id)?;
        if let Some(there) = self.rows.binding(self.db.reader(), &instance.resource, &request.binding_id).await? {
            return self.bind_again(instance, there, request).await;
        }
        let predecessor = match &predecessor_id {
            None => None,
            Some(id) => Some(self.predecessor(&row, id).await?),
        };
        let asked = object(&request.parameters);
        let parameters = match &predecessor {
            None => asked,
            Some(old) if asked.is_empty() || asked == old.parameters => old.parameters.clone(),
            Some(_) => {
                return Err(Error::bad_request("a rotation inherits the parameters of its predecessor: send none"));
            }
        };
        let binding = Binding {
            resource: Uuid::now_v7().to_string(),
            id: request.binding_id.clone(),
            parameters,
            user,
            tenant: caller.or_else(|| instance.tenant.clone()),
            created_at: self.clock.seconds(),
            issued: None,
        };
        self.service.check_binding(instance, &binding).map_err(|refusal| refused(refusal, false))?;
        let new = BindingRow { binding, predecessor: predecessor_id, revoking: false };
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let first = self.rows.intend_binding(&mut transaction, &instance.resource, &new).await?;
        transaction.commit().await?;
        drop(writer);
        if !first {
            return Err(Error::concurrency("another order for this service binding is under way"));
        }
        Ok(Bound::Created(self.issue(instance, new.binding, predecessor.as_ref()).await?))
    }

    /// The binding that is rotated: of the same instance, and not expired.
    async fn predecessor(&self, row: &InstanceRow, id: &str) -> Result<Binding, Error> {
        let (_, plan) = self.plan(&row.instance.service_id, &row.instance.plan_id)?;
        if plan.binding_rotatable.as_option() != Some(&true) {
            return Err(Error::bad_request("bindings of this plan can't be rotated"));
        }
        let found = self.rows.binding(self.db.reader(), &row.instance.resource, id).await?;
        let found = found.filter(|old| !old.revoking).map(|old| old.binding);
        let now = self.clock.seconds();
        let valid = |old: &Binding| {
            old.issued.as_ref().is_some_and(|issued| issued.expires_at.is_none_or(|expires_at| now < expires_at))
        };
        found.filter(valid).ok_or_else(|| {
            Error::bad_request("predecessor_binding_id must be that of a binding of this instance that has not expired")
        })
    }

    async fn bind_again(&self, instance: &Instance, there: BindingRow, request: &BindRequest) -> Result<Bound, Error> {
        let predecessor = request.predecessor_binding_id.as_option();
        let asked = object(&request.parameters);
        let inherits = predecessor.is_some() && asked.is_empty();
        let same = there.predecessor.as_ref() == predecessor && (inherits || there.binding.parameters == asked);
        if there.revoking {
            return Err(Error::concurrency("this service binding is being deleted"));
        }
        if !same {
            return Err(Error::conflict("a service binding with this id exists with other attributes"));
        }
        if let Some(issued) = &there.binding.issued {
            return Ok(Bound::Existed(response(issued)));
        }
        // The first try did not come to its end.
        let predecessor = match predecessor {
            None => None,
            Some(id) => self.rows.binding(self.db.reader(), &instance.resource, id).await?.map(|row| row.binding),
        };
        Ok(Bound::Created(self.issue(instance, there.binding, predecessor.as_ref()).await?))
    }

    async fn issue(
        &self,
        instance: &Instance,
        binding: Binding,
        predecessor: Option<&Binding>,
    ) -> Result<BindResponse, Error> {
        let issued = self.service.issue(instance, &binding, predecessor).await;
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        let issued = match issued {
            Ok(issued) => issued,
            Err(Fault::Refused(refusal)) => {
                self.rows.forget_binding(&mut transaction, &binding.resource).await?;
                transaction.commit().await?;
                return Err(refused(refusal, false));
            }
            Err(fault) => return Err(answer(fault, false)),
        };
        if !self.rows.settle_binding(&mut transaction, &binding.resource, &issued).await? {
            return Err(Error::concurrency("this service binding is being deleted"));
        }
        transaction.commit().await?;
        tracing::info!(instance.id = instance.id, binding.id = binding.id, "a service binding was made");
        Ok(response(&issued))
    }

    async fn binding(&self, instance_id: &str, id: &str) -> Result<BindingRow, Error> {
        let row = self.made(instance_id).await?;
        let found = self.rows.binding(self.db.reader(), &row.instance.resource, id).await?;
        let found = found.filter(|found| found.binding.issued.is_some());
        found.ok_or_else(|| Error::not_found("there is no service binding with this id"))
    }

    pub(super) async fn fetch_binding(&self, request: &FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        let found = self.binding(&request.instance_id, &request.binding_id).await?;
        let binding = found.binding.issued.as_ref().map(response).unwrap_or_default();
        Ok(FetchBindingResponse { parameters: Maybe::Present(found.binding.parameters), binding })
    }

    pub(super) async fn binding_operation(&self, request: &BindingOperationRequest) -> Result<LastOperation, Error> {
        self.binding(&request.instance_id, &request.binding_id).await?;
        Ok(LastOperation::new(OperationState::Succeeded, "every order here ends within its request"))
    }

    pub(super) async fn unbind(&self, request: &UnbindRequest) -> Result<Unbound, Error> {
        let row = self.found(&request.instance_id).await?.ok_or_else(Error::gone)?;
        let found = self.rows.binding(self.db.reader(), &row.instance.resource, &request.binding_id).await?;
        let found = found.ok_or_else(Error::gone)?;
        check_ids(&row.instance, &request.service_id, &request.plan_id)?;
        self.revoke(&row.instance, &found).await?;
        Ok(Unbound::Done(Object::new()))
    }

    /// Takes access away, and forgets the binding when it is gone.
    pub(super) async fn revoke(&self, instance: &Instance, row: &BindingRow) -> Result<(), Error> {
        let resource = &row.binding.resource;
        if !row.revoking {
            let mut writer = self.db.writer().await?;
            let mut transaction = writer.begin().await?;
            self.rows.set_revoking(&mut transaction, resource).await?;
            transaction.commit().await?;
        }
        self.service.revoke(instance, &row.binding).await.map_err(|fault| answer(fault, false))?;
        let mut writer = self.db.writer().await?;
        let mut transaction = writer.begin().await?;
        self.rows.forget_binding(&mut transaction, resource).await?;
        transaction.commit().await?;
        tracing::info!(instance.id = instance.id, binding.id = row.binding.id, "a service binding was taken away");
        Ok(())
    }
}

/// What a bind is answered.
fn response(issued: &Issued) -> BindResponse {
    let mut metadata = Object::new();
    for (name, at) in [("expires_at", issued.expires_at), ("renew_before", issued.renew_before)] {
        if let Some(at) = at.and_then(|at| jiff::Timestamp::from_second(at).ok()) {
            // OSB wants a fraction of a second ("Binding Metadata Object").
            metadata.insert(name.into(), Value::from(at.strftime("%Y-%m-%dT%H:%M:%S.0Z").to_string()));
        }
    }
    BindResponse {
        metadata: if metadata.is_empty() { Maybe::Absent } else { Maybe::Present(metadata) },
        credentials: Maybe::Present(issued.credentials.clone()),
        endpoints: if issued.endpoints.is_empty() { Maybe::Absent } else { Maybe::Present(issued.endpoints.clone()) },
        ..BindResponse::default()
    }
}
