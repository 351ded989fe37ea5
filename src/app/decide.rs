//! What decides about an order before it is written: plan, tenant, visibility, parameters, policies,
//! budget, references, approvals. Orders and previews go through the same functions, so that a preview says what an order would
//! be told.
//!
//! Nothing is written here, but that an identity is not mapped. Invariant: what only a transaction can decide (that a tenant, a
//! platform or a broker still stands, quotas) is decided there, by `provision::Draft::place` and `update::Draft::place`.

use std::sync::Arc;

use osb::{Maybe, ProvisionRequest};
use serde_json::Value;

use super::approvals::Asked;
use super::laws::Deed;
use super::order::{self, Orderer};
use super::provision::attributes;
use super::references::Ids;
use super::resolve::{Claim, Found, IdentityClaims};
use super::{App, Error};
use crate::domain::approval::Cause;
use crate::domain::catalog::PlanEntry;
use crate::domain::instance::InstanceAttributes;
use crate::domain::operation::OperationKind;
use crate::domain::policy::{Action, Judged, warnings};
use crate::domain::tenant::Tenant;

/// What was found out about an order on the way, also where it was refused then.
#[derive(Debug, Default)]
pub(in crate::app) struct Notes {
    /// The plan, where the orderer can see it.
    pub(in crate::app) plan: Option<Arc<PlanEntry>>,
    /// Whom it is for.
    pub(in crate::app) tenant: Option<Tenant>,
    /// What policies say.
    pub(in crate::app) policies: Vec<Judged>,
    /// What asks for an approval.
    pub(in crate::app) causes: Vec<Cause>,
}

/// An order as it came, with what was read for it.
pub(in crate::app) struct Told<'a> {
    pub(in crate::app) request: &'a ProvisionRequest,
    pub(in crate::app) whose: Whose,
    /// Who that is, where it was looked up already.
    pub(in crate::app) found: Option<Found>,
    /// The count of changes of the rules that orders are decided by.
    pub(in crate::app) rules: i64,
    /// It is only asked what would become of it.
    pub(in crate::app) asks: bool,
}

/// An order that nothing speaks against.
pub(in crate::app) struct Checked {
    pub(in crate::app) plan: Arc<PlanEntry>,
    pub(in crate::app) tenant: Tenant,
    /// As they are sent.
    pub(in crate::app) parameters: Maybe<osb::Object>,
    /// The instances that its parameters refer to.
    pub(in crate::app) referred: Ids,
    /// What asks for an approval.
    pub(in crate::app) causes: Vec<Cause>,
    /// What policies warn of.
    pub(in crate::app) warnings: Option<String>,
    /// The count of changes of the rules.
    pub(in crate::app) rules: i64,
}

impl Checked {
    /// What is remembered of the order.
    pub(in crate::app) fn attributes(&self, request: &ProvisionRequest) -> InstanceAttributes {
        let told = attributes(request);
        let parameters = self.parameters.clone().into_option().unwrap_or_default();
        let ordered = (parameters != told.parameters).then(|| told.parameters.clone());
        InstanceAttributes { references: self.referred.clone(), parameters, ordered, ..told }
    }
}

/// Who an order is for, as far as it says so itself.
#[derive(Debug)]
pub(in crate::app) enum Whose {
    /// A person orders for this tenant.
    Known(Box<Tenant>),
    /// It follows from what a platform says.
    Claimed(Claim),
}

/// Who an order is for, as far as it says so itself.
pub(in crate::app) fn whose(orderer: &Orderer, request: &ProvisionRequest) -> Result<Whose, Error> {
    Ok(match (&orderer.tenant, &orderer.upstream) {
        (Some(tenant), _) => Whose::Known(Box::new(tenant.clone())),
        (None, Some(upstream)) => Whose::Claimed(Claim::of_stamp(&upstream.tenant)),
        (None, None) => {
            let claims = IdentityClaims {
                context: request.context.as_option(),
                organization_guid: &request.organization_guid,
                space_guid: &request.space_guid,
            };
            Whose::Claimed(Claim::of_order(&orderer.platform, &claims)?)
        }
    })
}

impl App {
    /// Decides about a new instance.
    ///
    /// # Errors
    /// The first reason why it is refused.
    pub(in crate::app) async fn decide_provision(
        &self,
        orderer: &Orderer,
        told: Told<'_>,
        notes: &mut Notes,
    ) -> Result<Checked, Error> {
        let Told { request, whose, found, rules, asks } = told;
        let plan = self.orderable_plan(orderer, &request.service_id, &request.plan_id).await?;
        notes.plan = Some(Arc::clone(&plan));
        order::check_maintenance(&request.maintenance_info, &plan)?;
        let tenant = match (whose, found) {
            (Whose::Known(tenant), _) => *tenant,
            (Whose::Claimed(claim), _) if asks => self.would_resolve(&orderer.platform, &claim).await?,
            (Whose::Claimed(claim), Some(found)) => self.decide(&orderer.platform, &claim, found).await?,
            (Whose::Claimed(claim), None) => self.resolve(&orderer.platform, &claim).await?,
        };
        notes.tenant = Some(tenant.clone());
        order::active(&tenant)?;
        if let Err(hidden) = self.may_order(&plan, &tenant, &orderer.platform, rules).await {
            notes.plan = None;
            return Err(hidden);
        }
        let laws = self.laws_at(rules).await?;
        let mut parameters = request.parameters.clone();
        if let Some(rules) = laws.parameters(&plan, &tenant.name) {
            let created = rules.create(&parameters.into_option().unwrap_or_default());
            let created = created.or_else(|problems| order::refuse(orderer, problems))?;
            parameters = Some(created).filter(|created| !created.is_empty()).into();
        }
        let checked = Value::Object(parameters.clone().into_option().unwrap_or_default());
        order::check_fit(orderer, plan.check_create(&checked))?;
        let given = parameters.clone().into_option().unwrap_or_default();
        let deed = Deed { action: Action::Order, tenant: &tenant, plan: &plan, from: None, parameters: &given };
        self.obey(&laws, orderer, deed, &mut notes.policies).await?;
        self.within_budget(&tenant).await?;
        let declared = plan.references_at_create();
        let sites = parameters.as_option().map(|given| declared.sites(given)).unwrap_or_default();
        let referred = self.referred(orderer, &tenant, None, sites).await?;
        let asked = Asked { kind: OperationKind::Provision, tenant: &tenant, plan: &plan, from: None, rules };
        let causes = self.approval_causes(&asked).await?;
        notes.causes.clone_from(&causes);
        if !causes.is_empty() && !request.accepts_incomplete {
            return Err(super::approvals::needs_time());
        }
        Ok(Checked { plan, tenant, parameters, referred, causes, warnings: warnings(&notes.policies), rules })
    }
}
