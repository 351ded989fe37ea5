//! What would become of an order: the decisions of an order ([`super::decide`]), then its transaction, which is always rolled back. So
//! what a preview says and what an order is told can't differ; and nothing is changed, sent or told.

use std::collections::BTreeMap;

use osb::stamp::Claims;
use osb::{Call, Maybe, Object, ProvisionRequest, UpdateRequest};
use serde_json::Value;

use super::decide::{Notes, Told, whose};
use super::error::to_osb;
use super::order::{Meant, Orderer};
use super::people::{PersonalOrder, instance_id, provision, signed};
use super::prices::PlanPrice;
use super::quotas::{self, Outlook};
use super::sealed;
use super::{App, Error, Issue};
use crate::clock::fresh_id;
use crate::domain::approval::{Cause, groups};
use crate::domain::caller::Caller;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::{InstanceAttributes, Presence, presence};
use crate::domain::permission::Permission;
use crate::domain::policy::Judged;
use crate::domain::stamp::StampFacts;
use crate::domain::tenant::Tenant;
use crate::store::{self, Tx, versions};

/// Who would order.
#[derive(Clone, Debug)]
pub enum By {
    /// A platform, by name, with the context that it would send.
    Platform(String, Option<Object>),
    /// A person for that tenant.
    Tenant(String),
}

/// What would be ordered.
#[derive(Clone, Debug)]
pub struct PreviewOf {
    /// Who would order.
    pub by: By,
    /// What the instance is called: its name, or the platform's id. One that stands would be changed.
    pub instance: Option<String>,
    /// What of which plan with which parameters.
    pub order: PersonalOrder,
}

/// Why an order would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A word for programs.
    pub code: String,
    /// As whoever orders would be told.
    pub reason: String,
    /// What is wrong where, as pointers into the order, where that is why.
    pub issues: Vec<Issue>,
}

/// The request that a broker would get. Ids and times are another order's when it is sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `PUT` or `PATCH`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Without credentials.
    pub headers: BTreeMap<String, String>,
    /// What the stamp would say, where the broker gets one. It is not signed.
    pub stamp: Option<Claims>,
    /// The body.
    pub body: Value,
}

/// What would become of an order.
#[derive(Debug, Default)]
pub struct Preview {
    /// Whether whoever orders can see the plan, and order it.
    pub visible: bool,
    /// Why it would be refused.
    pub refused: Option<Refusal>,
    /// Whom it would be for.
    pub tenant: Option<String>,
    /// What policies say.
    pub policies: Vec<Judged>,
    /// Quotas that it would take from.
    pub quotas: Vec<Outlook>,
    /// What would ask for an approval.
    pub causes: Vec<Cause>,
    /// What the plan costs.
    pub price: Option<PlanPrice>,
    /// What would be sent; nothing where it would be refused, or would change nothing.
    pub request: Option<Sent>,
}

impl Preview {
    /// How long the order would wait for an approval, where it would.
    pub fn waits(&self) -> Option<std::time::Duration> {
        (!self.causes.is_empty()).then(|| groups(self.causes.clone()).1)
    }
}

/// A first transaction, looked at and rolled back.
enum Back {
    Seen(Result<Vec<Outlook>, Error>),
    Failed(store::Error),
}

impl From<store::Error> for Back {
    fn from(error: store::Error) -> Self {
        Self::Failed(error)
    }
}

/// The first transaction of either kind of order.
#[derive(Clone)]
enum Draft {
    Provision(Box<super::provision::Draft>),
    Update(Box<super::update::Draft>),
}

impl Draft {
    async fn place(self, tx: &mut Tx<'_>, tenant_id: &str) -> Result<Vec<Outlook>, Error> {
        let placed = match self {
            Self::Provision(draft) => draft.place(tx).await?,
            Self::Update(draft) => Some(draft.place(tx).await?),
        };
        let changed = || osb::Error::concurrency("what it refers to is just being changed; try again");
        let placed = placed.ok_or_else(changed)?;
        quotas::outlook(tx, tenant_id, &placed.operation.instance_id).await
    }
}

impl App {
    /// Says what would become of an order, and of a change of an instance that stands.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a name means nothing; where the hub itself can't say. A refusal is no error.
    pub async fn preview(&self, caller: &Caller, call: &Call, what: PreviewOf) -> Result<Preview, Error> {
        let plan = self.plan_called(&what.order.offering, &what.order.plan)?;
        let (orderer, call, context) = match &what.by {
            By::Tenant(tenant) => (self.person(caller, Permission::Order, tenant).await?, signed(call, caller), None),
            By::Platform(platform, context) => {
                // Whom a platform orders for is nobody's business but an administrator's.
                if !caller.is_administrator() {
                    return Err(Error::Forbidden(
                        "only administrators see what a platform's order would come to".into(),
                    ));
                }
                let unknown = |_| Error::invalid("/platform", format!("there is no platform `{platform}`"));
                let platform = self.platform_by_name(platform).await.map_err(unknown)?.row.platform;
                let actor = format!("platforms/{}", platform.name);
                (Orderer { platform, broker: None, tenant: None, upstream: None, actor }, call.clone(), context.clone())
            }
        };
        let mut preview = Preview { price: self.plan_price(&plan.plan_id).await?, ..Preview::default() };
        let id = match (&what.by, &what.instance) {
            (By::Tenant(tenant), Some(name)) => instance_id(tenant, name),
            (By::Tenant(tenant), None) => instance_id(tenant, "preview"),
            (By::Platform(..), Some(id)) => id.clone(),
            (By::Platform(..), None) => fresh_id(),
        };
        let mut notes = Notes::default();
        let meant = match &what.instance {
            Some(_) => self.meant(&orderer, &id, None).await?,
            None => None,
        };
        let live = |meant: &Meant| presence(meant.instance.state, meant.instance.operation_id.is_some());
        let looked = match meant.filter(|meant| live(meant) == Presence::Live) {
            Some(meant) => self.try_update(&orderer, &call, meant, &plan, what.order, &mut notes, &mut preview).await,
            None => {
                let name = what.instance.as_deref().unwrap_or("preview");
                let request = match &what.by {
                    By::Tenant(_) => provision(&orderer, id, name, &plan, what.order),
                    By::Platform(..) => ordered(id, &plan, what.order, context),
                };
                self.try_provision(&orderer, &call, &request, &mut notes, &mut preview).await
            }
        };
        preview.visible = notes.plan.is_some();
        preview.tenant = notes.tenant.map(|tenant| tenant.name);
        preview.causes = notes.causes;
        preview.policies = notes.policies;
        match looked {
            Ok(()) => {}
            Err(error) if is_own(&error) => return Err(error),
            Err(error) => {
                if let Error::OverQuota(exceeded) = &error {
                    preview.quotas.push(Outlook::from(&**exceeded));
                }
                preview.request = None;
                preview.refused = Some(refusal(error));
            }
        }
        Ok(preview)
    }

    async fn try_provision(
        &self,
        orderer: &Orderer,
        call: &Call,
        request: &ProvisionRequest,
        notes: &mut Notes,
        preview: &mut Preview,
    ) -> Result<(), Error> {
        let rules = self.db().read(|tx| Box::pin(versions::read(tx, versions::APPROVAL_RULES))).await?;
        let told = Told { request, whose: whose(orderer, request)?, found: None, rules, asks: true };
        let checked = self.decide_provision(orderer, told, notes).await?;
        let draft = self.draft_provision(orderer, call, request, &checked).await?;
        let (plan, wire, via) = (std::sync::Arc::clone(&checked.plan), draft.wire.clone(), orderer.via());
        preview.quotas = self.placed_and_undone(Draft::Provision(Box::new(draft)), &checked.tenant).await?;
        preview.request = Some(self.would_send(orderer, call, &checked.tenant, &plan, &wire, via));
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a change is made of just these")]
    async fn try_update(
        &self,
        orderer: &Orderer,
        call: &Call,
        meant: Meant,
        plan: &PlanEntry,
        order: PersonalOrder,
        notes: &mut Notes,
        preview: &mut Preview,
    ) -> Result<(), Error> {
        let Meant { instance: row, tenant, rules, .. } = meant;
        if row.offering_id != plan.offering_id {
            let message = format!("instance `{}` is of another service offering", row.platform_instance_id);
            return Err(Error::conflict("name_taken", message));
        }
        let known: InstanceAttributes = self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
        let plan_id = if row.plan_id == plan.plan_id { Maybe::Absent } else { Maybe::Present(plan.plan_id.clone()) };
        let mut request = UpdateRequest {
            instance_id: row.platform_instance_id.clone(),
            accepts_incomplete: true,
            context: known.context.map_or(Maybe::Absent, Maybe::Present),
            service_id: row.offering_id.clone(),
            plan_id,
            parameters: order.parameters.into(),
            ..UpdateRequest::default()
        };
        let mut change = self.change(orderer, &tenant, &row, &mut request, rules).await?;
        self.weigh(orderer, &tenant, &row, &request, &mut change, rules, notes).await?;
        if request.plan_id.as_option().is_none() && request.parameters.as_option().is_none() {
            return Ok(());
        }
        let at = change.plan();
        let draft = self.draft_update(orderer, call, &request, &row, change, &tenant).await?;
        let (wire, via) = (draft.wire.clone(), orderer.via());
        preview.quotas = self.placed_and_undone(Draft::Update(Box::new(draft)), &tenant).await?;
        preview.request = Some(self.would_send(orderer, call, &tenant, &at, &wire, via));
        Ok(())
    }

    /// Runs an order's first transaction as far as its commit, and rolls it back.
    async fn placed_and_undone(&self, draft: Draft, tenant: &Tenant) -> Result<Vec<Outlook>, Error> {
        let tenant_id = tenant.id.clone();
        let seen = self.db().write::<(), Back, _>(move |tx| {
            let (draft, tenant_id) = (draft.clone(), tenant_id.clone());
            Box::pin(async move { Err(Back::Seen(draft.place(tx, &tenant_id).await)) })
        });
        match seen.await {
            Ok(()) => Ok(Vec::new()),
            Err(Back::Seen(seen)) => seen,
            Err(Back::Failed(error)) => Err(error.into()),
        }
    }

    /// What the broker would get.
    fn would_send(
        &self,
        orderer: &Orderer,
        call: &Call,
        tenant: &Tenant,
        plan: &PlanEntry,
        wire: &osb::WireRequest,
        via: Vec<String>,
    ) -> Sent {
        let mut facts = StampFacts::of(tenant, &orderer.platform);
        facts.via = self.via(via);
        facts.svc = Some(plan.offering_backend_id.clone());
        facts.plan = Some(plan.plan_backend_id.clone());
        facts.inst = wire.path_and_query.split(['/', '?']).nth(3).map(str::to_owned);
        let backend = self.backends().get(&plan.broker_id);
        let stamp = backend.filter(|backend| backend.stamp_settings().header).map(|backend| {
            let mut facts = facts.narrowed(backend.stamp_settings());
            facts.path_prefix = backend.path_prefix().to_owned();
            self.stamp_claims(backend.name(), wire, &facts, self.clock().now())
        });
        let mut headers = BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
        if let Some(identity) = &call.originating_identity {
            headers.insert("X-Broker-API-Originating-Identity".to_owned(), identity.0.clone());
        }
        Sent {
            method: wire.method.clone(),
            path: wire.path_and_query.clone(),
            headers,
            stamp,
            body: serde_json::from_slice(&wire.body).unwrap_or_default(),
        }
    }
}

/// What a platform would send.
fn ordered(id: String, plan: &PlanEntry, order: PersonalOrder, context: Option<Object>) -> ProvisionRequest {
    let guid = |key: &str| {
        let found = context.as_ref().and_then(|context| context.get(key)).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    ProvisionRequest {
        instance_id: id,
        accepts_incomplete: true,
        service_id: plan.offering_id.clone(),
        plan_id: plan.plan_id.clone(),
        organization_guid: guid("organization_guid"),
        space_guid: guid("space_guid"),
        context: context.into(),
        parameters: order.parameters.into(),
        ..ProvisionRequest::default()
    }
}

/// Whether the hub itself can't say, instead of saying no.
fn is_own(error: &Error) -> bool {
    match error {
        Error::Store(_) | Error::Secret(_) | Error::Unavailable(_) | Error::Stopped | Error::LeaseLost => true,
        Error::Answer(answer) | Error::Broker(answer) => answer.status >= 500,
        _ => false,
    }
}

fn refusal(error: Error) -> Refusal {
    let code = match &error {
        Error::Refused { code, .. } | Error::Conflict { code, .. } | Error::Unprocessable { code, .. } => *code,
        Error::OverQuota(_) => "quota_exceeded",
        Error::Invalid(_) => "invalid",
        Error::Unauthorized => "unauthorized",
        Error::Answer(answer) | Error::Broker(answer) => answer.code().unwrap_or("refused"),
        _ => "refused",
    };
    let code = code.to_owned();
    let issues = if let Error::Invalid(issues) = &error { issues.clone() } else { Vec::new() };
    Refusal { code, issues, reason: to_osb(error).description().unwrap_or("it would be refused").to_owned() }
}
