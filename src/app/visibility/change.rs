//! Says who may order a plan, and how far an offering has come; and shows what was said.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::super::{App, Error, Issue};
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::catalog::{Merged, Offering, State};
use crate::domain::visibility::{Audience, LIST_MAX, Lifecycle, Stage};
use crate::store::visibility::Who;
use crate::store::{Tx, audit, brokers, platforms, tenants, visibility};

/// Whether everybody may order a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody.
    Public,
    /// Whom the lists name: both must match where neither is empty, nobody where both are.
    Restricted,
}

/// Who may order a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Visibility)]
pub struct VisibilityDocument {
    /// Whether everybody.
    pub access: Access,
    /// Names of tenants, at most 1000; any tenant where empty and there are platforms.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Names of platforms, at most 1000; any platform where empty and there are tenants. People order through `bourse`.
    #[serde(default)]
    pub platforms: Vec<String>,
}

/// How far an offering is to have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Lifecycle)]
pub struct LifecycleDocument {
    /// `draft`, `published`, `deprecated` or `retired`.
    pub state: Stage,
    /// Of a deprecated one: when it is retired by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sunset: Option<Time>,
    /// Of a deprecated or retired one: the name of the offering that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// Of a draft: names of tenants that may order it already.
    #[serde(default)]
    pub pilots: Vec<String>,
}

/// How far an offering has come.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ShownLifecycle)]
pub struct LifecycleView {
    /// What was said.
    #[serde(flatten)]
    pub said: LifecycleDocument,
    /// What it comes to now: past its sunset an offering is retired.
    pub now: Stage,
}

impl App {
    /// Who may order a plan.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn plan_visibility(&self, offering: &str, plan: &str) -> Result<VisibilityDocument, Error> {
        let plan_id = self.plan_named(offering, plan).await?;
        self.db().read(|tx| Box::pin(async move { shown(tx, &plan_id).await })).await
    }

    /// Says who may order a plan, from now on and in all processes. Instances stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`].
    pub async fn put_plan_visibility(
        &self,
        caller: &Caller,
        offering: &str,
        plan: &str,
        wanted: VisibilityDocument,
    ) -> Result<VisibilityDocument, Error> {
        let plan_id = self.plan_named(offering, plan).await?;
        if wanted.access == Access::Public && !(wanted.tenants.is_empty() && wanted.platforms.is_empty()) {
            return Err(Error::invalid("/access", "a plan that is public is for everybody: leave both lists empty"));
        }
        let subject = format!("offerings/{offering}/plans/{plan}");
        let audited = self.audit_row(caller, "plan.visibility", subject, json!({}));
        let now = self.clock().now();
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (plan_id, wanted, audited) = (plan_id.clone(), wanted.clone(), audited.clone());
            Box::pin(async move {
                visibility::changed(tx).await?;
                let before = shown(tx, &plan_id).await?;
                let audience = Audience {
                    tenants: ids(tx, Who::Tenant, "/tenants", &wanted.tenants).await?,
                    platforms: ids(tx, Who::Platform, "/platforms", &wanted.platforms).await?,
                };
                let audience = (wanted.access == Access::Restricted).then_some(audience);
                visibility::put(tx, &plan_id, audience.as_ref(), now).await?;
                let after = shown(tx, &plan_id).await?;
                let audited = audited.changed(Some(json!(before)), Some(json!(after)));
                audit::append(tx, &audited).await?;
                Ok(after)
            })
        });
        let after = written.await?;
        self.show_change().await;
        Ok(after)
    }

    /// How far an offering has come.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn lifecycle(&self, offering: &str) -> Result<LifecycleView, Error> {
        let id = self.offering_named(offering).await?;
        let now = self.clock().now();
        self.db().read(|tx| Box::pin(async move { staged(tx, &id, now).await })).await
    }

    /// Says how far an offering has come, from now on and in all processes. Instances stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`]; [`Error::Conflict`] where it takes a review.
    pub async fn put_lifecycle(
        &self,
        caller: &Caller,
        offering: &str,
        wanted: LifecycleDocument,
    ) -> Result<LifecycleView, Error> {
        let id = self.offering_named(offering).await?;
        let problems = problems(&wanted, offering);
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        let successor_id = match &wanted.successor {
            Some(name) => {
                let catalog = self.catalog();
                let found = find(&catalog, name).map(|offering| offering.id.clone());
                let missing = || Error::invalid("/successor", format!("there is no service offering `{name}`"));
                Some(found.ok_or_else(missing)?)
            }
            None => None,
        };
        let audited = self.audit_row(caller, "offering.lifecycle", format!("offerings/{offering}"), json!({}));
        let now = self.clock().now();
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (id, wanted, audited) = (id.clone(), wanted.clone(), audited.clone());
            let successor_id = successor_id.clone();
            Box::pin(async move {
                visibility::changed(tx).await?;
                let before = staged(tx, &id, now).await?;
                if opens(before.said.state, wanted.state) && brokers::is_provided(tx, &id).await? {
                    return Err(needs_review());
                }
                let lifecycle = Lifecycle {
                    stage: wanted.state,
                    sunset: wanted.sunset,
                    successor: wanted.successor.clone(),
                    pilots: ids(tx, Who::Pilot, "/pilots", &wanted.pilots).await?,
                };
                visibility::put_lifecycle(tx, &id, &lifecycle, successor_id.as_deref(), now).await?;
                let after = staged(tx, &id, now).await?;
                let audited = audited.changed(Some(json!(before.said)), Some(json!(after.said)));
                audit::append(tx, &audited).await?;
                Ok(after)
            })
        });
        let after = written.await?;
        self.show_change().await;
        Ok(after)
    }

    async fn offering_named(&self, name: &str) -> Result<String, Error> {
        self.reload_catalog().await?;
        let catalog = self.catalog();
        let found = find(&catalog, name).map(|offering| offering.id.clone());
        found.ok_or_else(|| Error::not_found("offering", name))
    }

    async fn plan_named(&self, offering: &str, plan: &str) -> Result<String, Error> {
        self.reload_catalog().await?;
        let catalog = self.catalog();
        let found = find(&catalog, offering).ok_or_else(|| Error::not_found("offering", offering))?;
        let called = found.plans.iter().filter(|own| own.name == plan);
        let found = called.max_by_key(|own| own.state == State::Available);
        found.map(|plan| plan.id.clone()).ok_or_else(|| Error::not_found("plan", plan))
    }

    /// In this process's catalog at once; others notice by themselves.
    async fn show_change(&self) {
        if let Err(error) = self.reload_catalog().await {
            tracing::warn!(%error, "the catalog could not be read again after a change of who may order what");
        }
    }
}

/// The offering of a name: the one that can be ordered, else one that could be once.
fn find<'a>(catalog: &'a Merged, name: &str) -> Option<&'a Offering> {
    let standing = catalog.parts().iter().filter(|part| !part.deleted);
    let called = standing.flat_map(|part| &part.offerings).filter(|offering| offering.name == name);
    called.max_by_key(|offering| match offering.state {
        State::Available => 2,
        State::Quarantined => 1,
        State::Removed => 0,
    })
}

fn problems(wanted: &LifecycleDocument, offering: &str) -> Vec<Issue> {
    let goes = matches!(wanted.state, Stage::Deprecated | Stage::Retired);
    let wrong = [
        (
            "/sunset",
            wanted.sunset.is_some() && wanted.state != Stage::Deprecated,
            "only what is deprecated has a sunset",
        ),
        ("/successor", wanted.successor.is_some() && !goes, "only what is deprecated or retired has a successor"),
        ("/successor", wanted.successor.as_deref() == Some(offering), "must be another offering"),
        ("/pilots", !wanted.pilots.is_empty() && wanted.state != Stage::Draft, "only a draft has pilots"),
    ];
    let issue = |(pointer, _, message): (&str, bool, &str)| Issue { pointer: pointer.into(), message: message.into() };
    wrong.into_iter().filter(|(_, wrong, _)| *wrong).map(issue).collect()
}

/// Whether that lets people order what they could not.
fn opens(before: Stage, after: Stage) -> bool {
    matches!(before, Stage::Draft | Stage::Retired) && matches!(after, Stage::Published | Stage::Deprecated)
}

fn needs_review() -> Error {
    let message =
        "its broker was registered by its provider: it is published by a review; have it submitted, then publish it";
    Error::conflict("needs_review", message)
}

async fn shown(tx: &mut Tx<'_>, plan_id: &str) -> Result<VisibilityDocument, Error> {
    if !visibility::restricted(tx, plan_id).await? {
        return Ok(VisibilityDocument { access: Access::Public, tenants: Vec::new(), platforms: Vec::new() });
    }
    Ok(VisibilityDocument {
        access: Access::Restricted,
        tenants: visibility::names(tx, plan_id, Who::Tenant).await?,
        platforms: visibility::names(tx, plan_id, Who::Platform).await?,
    })
}

async fn staged(tx: &mut Tx<'_>, offering_id: &str, now: Time) -> Result<LifecycleView, Error> {
    let lifecycle = visibility::lifecycle(tx, offering_id).await?;
    let pilots = visibility::names(tx, offering_id, Who::Pilot).await?;
    let stage = lifecycle.at(now);
    let Lifecycle { stage: state, sunset, successor, pilots: _ } = lifecycle;
    Ok(LifecycleView { said: LifecycleDocument { state, sunset, successor, pilots }, now: stage })
}

/// The ids of what names name.
async fn ids(tx: &mut Tx<'_>, who: Who, pointer: &str, names: &[String]) -> Result<BTreeSet<String>, Error> {
    if names.len() > LIST_MAX {
        return Err(Error::invalid(pointer, format!("must have at most {LIST_MAX} entries")));
    }
    let mut ids = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let (what, id) = match who {
            Who::Platform => ("platform", platforms::by_name(tx, name).await?.map(|row| row.platform.id)),
            Who::Tenant | Who::Pilot => ("tenant", tenants::by_name(tx, name).await?.map(|row| row.tenant.id)),
        };
        let missing = || Error::invalid(format!("{pointer}/{index}"), format!("{what} `{name}` does not exist"));
        ids.insert(id.ok_or_else(missing)?);
    }
    Ok(ids)
}
