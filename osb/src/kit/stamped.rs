//! Whom a call is for: hands a broker the tenant of a verified stamp, and nothing that a caller made up.
//!
//! It deliberately knows no offering. Invariant: behind it, `context.bourse` is there only where a stamp was verified, and
//! holds what the stamp says.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::stamp::{StampError, Verifier};
use crate::{
    BindRequest, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest, Deprovisioned, Error,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, Maybe, Object, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, Unbound, UpdateRequest,
    Updated,
};

/// Who a resource is for, as a verified stamp said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The tenant's id, which never changes.
    pub id: String,
    /// The tenant's name.
    pub name: String,
    /// Groups of people that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// The tenant of a request behind [`Stamped`].
pub fn tenant_of(context: &Maybe<Object>) -> Option<Tenant> {
    let tenant = context.as_option()?.get("bourse")?.get("tenant")?;
    let text = |name: &str| tenant.get(name)?.as_str().map(str::to_owned);
    let id = text("id").filter(|id| !id.is_empty())?;
    let groups = tenant.get("groups").and_then(Value::as_array);
    let groups = groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Some(Tenant { id, name: text("name").unwrap_or_default(), groups })
}

/// What is done with stamps.
#[derive(Clone)]
pub enum Stamps {
    /// Nothing: there is no tenant.
    Ignored,
    /// One that is there must be valid.
    Verified(Verifier),
    /// There must be one, on every call.
    Required(Verifier),
}

/// A broker that learns its tenants from stamps only.
pub struct Stamped {
    broker: Arc<dyn ServiceBroker>,
    stamps: Stamps,
}

impl Stamped {
    /// That broker, with stamps treated like that.
    pub fn new(broker: Arc<dyn ServiceBroker>, stamps: Stamps) -> Self {
        Self { broker, stamps }
    }

    /// What the stamp of a call says, as `context.bourse` holds it.
    async fn admit(&self, call: &Call) -> Result<Option<Value>, Error> {
        let (verifier, required) = match &self.stamps {
            Stamps::Ignored => return Ok(None),
            Stamps::Verified(verifier) => (verifier, false),
            Stamps::Required(verifier) => (verifier, true),
        };
        match verifier.verify(call).await {
            Ok(stamp) => Ok(Some(json!({"version": 1, "tenant": stamp.tenant, "platform": stamp.platform}))),
            Err(StampError::Missing) if !required => Ok(None),
            Err(error) => {
                tracing::warn!(error = %error, "a call was refused for its stamp");
                Err(error.into())
            }
        }
    }

    /// Puts what the stamp says in the place of whatever stands there.
    async fn stamp(&self, call: &Call, context: &mut Maybe<Object>) -> Result<(), Error> {
        let stamp = self.admit(call).await?;
        if let Maybe::Present(context) = context {
            context.shift_remove("bourse");
        }
        if let Some(stamp) = stamp {
            let mut stamped = std::mem::take(context).into_option().unwrap_or_default();
            stamped.insert("bourse".into(), stamp);
            *context = Maybe::Present(stamped);
        }
        Ok(())
    }
}

#[async_trait]
impl ServiceBroker for Stamped {
    async fn catalog(&self, call: &Call) -> Result<CatalogDocument, Error> {
        self.admit(call).await?;
        self.broker.catalog(call).await
    }

    async fn provision(&self, call: &Call, mut request: ProvisionRequest) -> Result<Provisioned, Error> {
        self.stamp(call, &mut request.context).await?;
        self.broker.provision(call, request).await
    }

    async fn fetch_instance(&self, call: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        self.admit(call).await?;
        self.broker.fetch_instance(call, request).await
    }

    async fn instance_operation(&self, call: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error> {
        self.admit(call).await?;
        self.broker.instance_operation(call, request).await
    }

    async fn update(&self, call: &Call, mut request: UpdateRequest) -> Result<Updated, Error> {
        self.stamp(call, &mut request.context).await?;
        self.broker.update(call, request).await
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        self.admit(call).await?;
        self.broker.deprovision(call, request).await
    }

    async fn bind(&self, call: &Call, mut request: BindRequest) -> Result<Bound, Error> {
        self.stamp(call, &mut request.context).await?;
        self.broker.bind(call, request).await
    }

    async fn fetch_binding(&self, call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        self.admit(call).await?;
        self.broker.fetch_binding(call, request).await
    }

    async fn binding_operation(&self, call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        self.admit(call).await?;
        self.broker.binding_operation(call, request).await
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        self.admit(call).await?;
        self.broker.unbind(call, request).await
    }
}
