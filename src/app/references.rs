//! References between instances: which instance an order's parameters mean by a name, that it can be referred to, and that it
//! stays for as long as somebody refers to it. Names are looked up before an order's transaction, since the bytes to send hold the
//! ids; the transaction locks what was found and looks whether it is still so.
//!
//! Invariant: what an instance refers to is locked when the reference is recorded, and when it is deleted, so that one of the two
//! sees the other.

use std::collections::{BTreeMap, BTreeSet};

use super::order::Orderer;
use super::{App, Error, Issue};
use crate::domain::instance::{InstanceAttributes, InstanceState};
use crate::domain::permission::{Access, Sight, Thing};
use crate::domain::platform::BUILTIN;
use crate::domain::reference::{References, SITES_MAX, Site, parameter_of};
use crate::domain::tenant::Tenant;
use crate::store::instances::{self, InstanceRow};
use crate::store::references::{self, ReferenceRow};
use crate::store::{Tx, platforms, tenants};

/// Dependents that a refusal names.
const NAMED_MAX: i64 = 3;
/// Dependents that are shown of an instance.
const SHOWN_MAX: i64 = 1000;
/// What is longer is nobody's name or id.
const NAME_BYTES_MAX: usize = 1024;
/// Characters of a name that a refusal repeats.
const REPEATED_MAX: usize = 100;

pub use crate::store::references::Other;

/// Ids by where they stand in the parameters.
pub(in crate::app) type Ids = BTreeMap<String, String>;

/// What an instance refers to, and who refers to it.
#[derive(Clone, Debug, Default)]
pub struct Relations {
    /// Where in the parameters, and which instance.
    pub references: Vec<(String, Other)>,
    /// The first 1000 by their ids.
    pub dependents: Vec<Other>,
}

impl Relations {
    /// Those of them that are in sight: nobody else's are named.
    pub(in crate::app) fn in_sight(mut self, sight: &Sight) -> Self {
        let seen = |other: &Other| {
            let thing = Thing { tenant: Some(&other.tenant_id), broker: Some(&other.broker_id), names: &[] };
            sight.of(&thing) != Access::Hidden
        };
        self.references.retain(|(_, other)| seen(other));
        self.dependents.retain(seen);
        self
    }
}

/// What an update makes of an instance's references.
#[derive(Clone, Debug)]
pub(in crate::app) struct Rereferred {
    /// The parameters that it replaces, with whatever they referred to.
    parameters: BTreeSet<String>,
    /// The references in them from then on.
    pub(in crate::app) now: Ids,
    /// Those of them that were not there before.
    added: Ids,
}

impl App {
    /// The instances that are meant at those places. An instance of the tenant is called by the name that it was ordered by, by
    /// Bourse's id, or by the id that the ordering platform itself gave it; Bourse's id comes first, and what means two is
    /// refused.
    ///
    /// # Errors
    /// [`Error::Invalid`] with each place where none, or none that can be referred to, is named.
    pub(in crate::app) async fn referred(
        &self,
        orderer: &Orderer,
        tenant: &Tenant,
        own: Option<&str>,
        sites: Vec<Site<'_>>,
    ) -> Result<Ids, Error> {
        if sites.is_empty() {
            return Ok(Ids::new());
        }
        bounded(&sites)?;
        // Boxed, so that orders without references are no larger for it.
        Box::pin(self.found(orderer, tenant, own, sites)).await
    }

    async fn found(
        &self,
        orderer: &Orderer,
        tenant: &Tenant,
        own: Option<&str>,
        sites: Vec<Site<'_>>,
    ) -> Result<Ids, Error> {
        let names = sites.iter().filter_map(|site| site.value.as_str());
        let candidates = self.candidates(orderer, tenant, names.map(str::to_owned).collect()).await?;
        let (mut ids, mut issues) = (Ids::new(), Vec::new());
        for site in sites {
            match self.meant_by(&site, own, &candidates).await? {
                Ok(id) => drop(ids.insert(site.pointer, id)),
                Err(message) => issues.push(Issue { pointer: format!("/parameters{}", site.pointer), message }),
            }
        }
        if issues.is_empty() { Ok(ids) } else { Err(Error::Invalid(issues)) }
    }

    /// All that each name may mean to this orderer.
    async fn candidates(
        &self,
        orderer: &Orderer,
        tenant: &Tenant,
        names: BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<InstanceRow>>, Error> {
        let (tenant, platform) = (tenant.clone(), orderer.platform.clone());
        self.db()
            .read(|tx| {
                Box::pin(async move {
                    let builtin = platforms::by_name(tx, BUILTIN).await?.map(|row| row.platform.id);
                    let mut candidates = BTreeMap::new();
                    for name in names.into_iter().filter(|name| name.len() <= NAME_BYTES_MAX && !name.contains('\0')) {
                        let mut rows = Vec::new();
                        rows.extend(instances::by_id(tx, &name).await?);
                        rows.extend(instances::current(tx, &platform.id, &name).await?);
                        if let Some(builtin) = &builtin {
                            let id = super::people::instance_id(&tenant.name, &name);
                            rows.extend(instances::current(tx, builtin, &id).await?);
                        }
                        rows.retain(|row| row.tenant_id == tenant.id && row.gone_at.is_none());
                        candidates.insert(name, rows);
                    }
                    Ok(candidates)
                })
            })
            .await
    }

    /// The id of the instance that is meant at a place, or what is wrong with what stands there.
    async fn meant_by(
        &self,
        site: &Site<'_>,
        own: Option<&str>,
        candidates: &BTreeMap<String, Vec<InstanceRow>>,
    ) -> Result<Result<String, String>, Error> {
        let Some(name) = site.value.as_str() else {
            return Ok(Err("must be the name of an instance of this tenant".to_owned()));
        };
        let row = match meant(name, candidates.get(name).map(Vec::as_slice).unwrap_or_default()) {
            Ok(row) => row,
            Err(message) => return Ok(Err(message)),
        };
        let name = shortened(name);
        if own == Some(row.id.as_str()) {
            return Ok(Err("an instance cannot refer to itself".to_owned()));
        }
        let plan = self.plan_of(row).await?;
        if !site.wanted.fits(&plan) {
            let (offering, wanted) = (&plan.offering_name, site.wanted.words());
            return Ok(Err(format!("instance `{name}` is of the offering `{offering}`; it must be {wanted}")));
        }
        if row.state != InstanceState::Ready {
            let state = row.state.as_str();
            return Ok(Err(format!("instance `{name}` is not ready but `{state}`; order again when it is ready")));
        }
        Ok(Ok(row.id.clone()))
    }

    /// What an update's parameters do to the references of an instance. One that stays as it is is not looked at again.
    ///
    /// # Errors
    /// As [`App::referred`].
    pub(in crate::app) async fn rereferred(
        &self,
        orderer: &Orderer,
        tenant: &Tenant,
        row: &InstanceRow,
        declared: &References,
        before: &InstanceAttributes,
        parameters: &osb::Object,
    ) -> Result<Rereferred, Error> {
        let known = serde_json::Value::Object(before.parameters.clone());
        let mut now = Ids::new();
        let (mut new, sites) = (Vec::new(), declared.sites(parameters));
        bounded(&sites)?;
        for site in sites {
            match before.references.get(&site.pointer) {
                Some(id) if known.pointer(&site.pointer) == Some(site.value) => {
                    now.insert(site.pointer, id.clone());
                }
                _ => new.push(site),
            }
        }
        let added = self.referred(orderer, tenant, Some(&row.id), new).await?;
        now.extend(added.clone());
        Ok(Rereferred { parameters: parameters.keys().cloned().collect(), now, added })
    }

    /// What an instance refers to and who refers to it, for being shown.
    pub(in crate::app) async fn relations(&self, id: &str) -> Result<Relations, Error> {
        let id = id.to_owned();
        self.db().read(|tx| Box::pin(async move { relations(tx, &id).await })).await
    }
}

/// The same within a transaction or read.
pub(in crate::app) async fn relations(tx: &mut Tx<'_>, id: &str) -> Result<Relations, Error> {
    let references = references::of(tx, id).await?.into_iter().map(|(row, other)| (row.parameter, other));
    let references = references.collect();
    Ok(Relations { references, dependents: references::dependents(tx, id, SHOWN_MAX).await?.first })
}

fn bounded(sites: &[Site<'_>]) -> Result<(), Error> {
    if sites.len() > SITES_MAX {
        return Err(Error::invalid("/parameters", format!("refer to more than {SITES_MAX} instances")));
    }
    Ok(())
}

/// The one that a name means.
fn meant<'a>(name: &str, rows: &'a [InstanceRow]) -> Result<&'a InstanceRow, String> {
    if let Some(row) = rows.iter().find(|row| row.id == name) {
        return Ok(row);
    }
    match rows {
        [] => Err(format!("there is no instance `{}` of this tenant", shortened(name))),
        [row] => Ok(row),
        [row, others @ ..] => match others.iter().find(|other| other.id != row.id) {
            None => Ok(row),
            Some(other) => Err(format!(
                "`{}` is the name of one instance of this tenant and the platform's id of another; give the id `{}` or `{}`",
                shortened(name),
                row.id,
                other.id
            )),
        },
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(REPEATED_MAX).collect()
}

/// Locks what an order refers to, in the order of ids, and says whether all of it still stands as it was found.
pub(in crate::app) async fn lock(tx: &mut Tx<'_>, ids: &Ids, tenant_id: &str) -> Result<bool, Error> {
    for id in ids.values().collect::<BTreeSet<_>>() {
        let row = instances::lock(tx, id).await?;
        if !row.is_some_and(|row| stands(&row, tenant_id)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn stands(row: &InstanceRow, tenant_id: &str) -> bool {
    row.state == InstanceState::Ready && row.tenant_id == tenant_id
}

/// Records what a new instance refers to.
pub(in crate::app) async fn record(tx: &mut Tx<'_>, instance_id: &str, ids: &Ids) -> Result<(), Error> {
    for (parameter, id) in ids {
        let row = ReferenceRow { parameter: parameter.clone(), target_id: id.clone() };
        references::record(tx, instance_id, &row, None).await?;
    }
    Ok(())
}

/// Refuses where somebody depends on the instance, which this transaction has locked.
///
/// # Errors
/// [`Error::InUse`] with the names of some.
pub(in crate::app) async fn free(tx: &mut Tx<'_>, instance_id: &str) -> Result<(), Error> {
    let dependents = references::dependents(tx, instance_id, NAMED_MAX).await?;
    if dependents.count == 0 {
        return Ok(());
    }
    let called = |other: &Other| match &other.name {
        Some(name) => format!("`{}` ({})", shortened(name), other.id),
        None => format!("`{}`", other.id),
    };
    let mut named = dependents.first.iter().map(called).collect::<Vec<_>>().join(", ");
    let more = dependents.count.saturating_sub(i64::try_from(dependents.first.len()).unwrap_or(i64::MAX));
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    let message =
        format!("other instances depend on it: {named}; delete them, or let them refer to another one, first");
    Err(Error::InUse(message))
}

impl Rereferred {
    /// Whether [`Rereferred::lock`] locks the tenant.
    pub(in crate::app) fn locks_tenant(&self) -> bool {
        !self.added.is_empty()
    }

    /// Locks the instance that is updated and what it refers to newly, in the order of ids. Where something new comes, the tenant
    /// is locked before: two updates could else each close one half of a circle.
    ///
    /// # Errors
    /// Where what was found has changed meanwhile, or depends on the instance itself.
    pub(in crate::app) async fn lock(
        &self,
        tx: &mut Tx<'_>,
        instance_id: &str,
        tenant: &Tenant,
    ) -> Result<Option<InstanceRow>, Error> {
        if self.added.is_empty() {
            return Ok(instances::lock(tx, instance_id).await?);
        }
        tenants::lock(tx, &tenant.name).await?;
        let mut own = None;
        let ids: BTreeSet<&str> = self.added.values().map(String::as_str).chain([instance_id]).collect();
        for id in ids {
            let row = instances::lock(tx, id).await?;
            if id == instance_id {
                own = row;
            } else if !row.is_some_and(|row| stands(&row, &tenant.id)) {
                return Err(osb::Error::concurrency("an instance that it refers to has just changed; try again").into());
            }
        }
        for (pointer, id) in &self.added {
            if references::reaches(tx, id, instance_id).await? {
                let message = "that instance depends on this one, so this one cannot depend on it";
                return Err(Error::invalid(format!("/parameters{pointer}"), message));
            }
        }
        Ok(own)
    }

    /// Records what the update brings and takes away; both count until it is known how it ended.
    pub(in crate::app) async fn record(
        &self,
        tx: &mut Tx<'_>,
        instance_id: &str,
        operation_id: &str,
    ) -> Result<(), Error> {
        let live: Vec<_> = references::of(tx, instance_id).await?.into_iter().map(|(row, _)| row).collect();
        for row in live.iter().filter(|row| self.parameters.contains(&parameter_of(&row.parameter))) {
            let stays = self.now.get(&row.parameter) == Some(&row.target_id);
            references::end(tx, instance_id, row, (!stays).then_some(operation_id)).await?;
        }
        for (parameter, target_id) in &self.now {
            let row = ReferenceRow { parameter: parameter.clone(), target_id: target_id.clone() };
            if !live.contains(&row) {
                references::record(tx, instance_id, &row, Some(operation_id)).await?;
            }
        }
        Ok(())
    }
}
