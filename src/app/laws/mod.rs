//! Laws: what operators say about orders besides quotas and approvals. Which parameters a plan takes ([`parameters`]), and policies
//! ([`policies`]); with what this process keeps of them in memory.
//!
//! A change bumps the counter that each order reads with what it reads anyway (as for rules of approval), so it holds at once in all
//! processes, and where nothing is said an order pays nothing.

mod parameters;
mod policies;
pub mod simulate;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{App, Error};
use crate::domain::catalog::PlanEntry;
use crate::domain::parameters::ParameterRules;
use crate::domain::policy::Book;
use crate::store::plan_parameters::ParametersRow;
use crate::store::{plan_parameters, policies as stored, versions};

pub use crate::store::plan_parameters::{Key, ParametersRow as ParametersView};
pub use crate::store::policies::PolicyRow as PolicyView;

pub(in crate::app) use policies::{Deed, enforced, principal};

/// Documents about parameters of one hub.
const PARAMETERS_MAX: i64 = 10_000;
/// Policies of one hub.
const POLICIES_MAX: i64 = 1000;

/// All laws, as they were at one count of their changes.
#[derive(Debug, Default)]
pub(in crate::app) struct Laws {
    /// By offering and plan: for all tenants, and by tenant.
    parameters: HashMap<(String, String), Vec<(String, ParameterRules)>>,
    /// Parsed.
    policies: Book,
}

/// What this process keeps of them.
#[derive(Debug, Default)]
pub(in crate::app) struct Cache(RwLock<(i64, Arc<Laws>)>);

impl Cache {
    fn at(&self, version: i64) -> Option<Arc<Laws>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (kept.0 == version).then(|| Arc::clone(&kept.1))
    }

    fn keep(&self, version: i64, laws: &Arc<Laws>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if version > kept.0 {
            *kept = (version, Arc::clone(laws));
        }
    }
}

impl Laws {
    fn new(rows: Vec<ParametersRow>, policies: &[PolicyView]) -> Self {
        let mut parameters: HashMap<_, Vec<_>> = HashMap::new();
        for ParametersRow { key, rules, .. } in rows {
            parameters.entry((key.offering, key.plan)).or_default().push((key.tenant, rules));
        }
        let policies = Book::new(policies.iter().map(|row| (row.name.as_str(), &row.document)));
        Self { parameters, policies }
    }

    /// Whether there is a policy at all.
    pub(in crate::app) fn judge(&self) -> bool {
        !self.policies.is_empty()
    }

    /// What is said of a plan's parameters for a tenant.
    pub(in crate::app) fn parameters(&self, plan: &PlanEntry, tenant: &str) -> Option<ParameterRules> {
        if self.parameters.is_empty() {
            return None;
        }
        let said = self.parameters.get(&(plan.offering_name.clone(), plan.plan_name.clone()))?;
        let of = |name: &str| said.iter().find(|(whose, _)| whose == name).map(|(_, rules)| rules);
        match (of(""), of(tenant)) {
            (Some(all), Some(own)) => Some(all.with(own)),
            (all, own) => own.or(all).cloned(),
        }
    }

    /// What is said for all tenants, by offering and plan.
    pub(in crate::app) fn shown(&self) -> HashMap<(String, String), ParameterRules> {
        let all = |said: &Vec<(String, ParameterRules)>| {
            said.iter().find(|(whose, _)| whose.is_empty()).map(|(_, rules)| rules.clone())
        };
        self.parameters.iter().filter_map(|(plan, said)| Some((plan.clone(), all(said)?))).collect()
    }
}

impl App {
    /// All laws; `version` is the count of changes that the caller has just read.
    pub(in crate::app) async fn laws_at(&self, version: i64) -> Result<Arc<Laws>, Error> {
        match self.inner.laws.at(version) {
            Some(laws) => Ok(laws),
            None => self.read_laws().await,
        }
    }

    /// All laws as they stand now.
    pub(in crate::app) async fn read_laws(&self) -> Result<Arc<Laws>, Error> {
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                // The counter first: a change in between is then read twice rather than never.
                let version = versions::read(tx, versions::APPROVAL_RULES).await?;
                let parameters = plan_parameters::all(tx, PARAMETERS_MAX).await?;
                Ok((version, parameters, stored::list(tx, "", POLICIES_MAX).await?))
            })
        });
        let (version, parameters, policies) = read.await?;
        // Policies are parsed here, once in each process.
        let laws = tokio::task::spawn_blocking(move || Arc::new(Laws::new(parameters, &policies)));
        let laws = laws.await.map_err(|_| Error::busy())?;
        self.inner.laws.keep(version, &laws);
        Ok(laws)
    }
}
