//! What a policy would refuse if what stands were ordered today: to be asked before it is switched on. It changes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::instances::{InstanceFilter, InstanceView};
use super::super::{App, Error, Page, sealed};
use super::policies::{Deed, principal, unreadable};
use crate::domain::instance::InstanceAttributes;
use crate::domain::permission::Sight;
use crate::domain::policy::{Action, Book, Judged, Mode, Policy, PolicyDocument, Principal};
use crate::domain::tenant::Tenant;
use crate::store::operations;

/// An instance that a policy would refuse.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The instance.
    pub instance: InstanceView,
    /// What the policies of the text say.
    pub judged: Vec<Judged>,
}

/// What a page of instances came to.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// Those that would be refused.
    pub refused: Vec<Refused>,
    /// How many were looked at.
    pub looked_at: usize,
    /// The last one that was, where there are more.
    pub next: Option<String>,
}

/// The name that a text has that nobody has put yet.
const NAME: &str = "simulated";

impl App {
    /// Holds a page of the instances that stand against a policy's text, as if each were ordered now.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong with the text, and where.
    pub async fn simulate_policy(&self, text: &str, tenant: Option<String>, page: &Page) -> Result<Simulated, Error> {
        Policy::read(text).map_err(unreadable)?;
        let document = PolicyDocument { text: text.to_owned(), mode: Mode::Enforce };
        let book = Book::new([(NAME, &document)]);
        let filter = InstanceFilter { tenant, ..InstanceFilter::default() };
        // Whoever may change policies sees everything.
        let listed = self.instances(&Sight::everything(), filter, page).await?;
        let mut tenants: HashMap<String, Arc<Tenant>> = HashMap::new();
        let mut refused = Vec::new();
        let looked_at = listed.items.len();
        for instance in listed.items {
            let row = &instance.row;
            let tenant = match tenants.get(&row.tenant_id) {
                Some(tenant) => Arc::clone(tenant),
                None => {
                    let tenant = Arc::new(self.tenant(&row.tenant_id).await?);
                    tenants.insert(row.tenant_id.clone(), Arc::clone(&tenant));
                    tenant
                }
            };
            // What has left the catalog could not be ordered at all.
            let Some(plan) = self.catalog().plan_by_id(&row.plan_id).cloned() else { continue };
            let attributes: InstanceAttributes = self.open(&sealed::instance_attributes(&row.id), &row.attributes)?;
            let by = self.by(&instance).await?;
            let (tenant, parameters) = (&*tenant, &attributes.parameters);
            let deed = Deed { action: Action::Order, tenant, plan: &plan, from: None, parameters };
            let judged = self.judge_by(&book, &by, deed).await?;
            if !judged.is_empty() {
                refused.push(Refused { instance, judged });
            }
        }
        Ok(Simulated { refused, looked_at, next: listed.next })
    }

    /// Who ordered an instance, as policies see them.
    async fn by(&self, instance: &InstanceView) -> Result<Principal, Error> {
        let platform = self.platform(&instance.row.platform_id).await?;
        let id = instance.row.id.clone();
        let actor = self.db().read(move |tx| Box::pin(async move { operations::first_actor(tx, &id).await })).await?;
        Ok(principal(&actor.unwrap_or_default(), &platform))
    }
}
