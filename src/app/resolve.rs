//! Whom a request is for: from a platform's claims, or a verified stamp, to the tenant. Read from the database each time,
//! so that a changed mapping holds at once in all processes. What nobody knows is counted, for people to map.

use super::{App, Error};
use crate::domain::identity::{Facts, Identity, MatchKey, Matched, most_specific};
use crate::domain::platform::Platform;
use crate::domain::tenant::Tenant;
use crate::store::{self, Tx, identities, tenants};

/// What an order says about whom it is for.
#[derive(Clone, Copy, Debug)]
pub struct IdentityClaims<'a> {
    /// The body's `context`; it decides.
    pub context: Option<&'a osb::Object>,
    /// Beside it: counts only where `context` lacks it. Empty where absent.
    pub organization_guid: &'a str,
    /// As `organization_guid`.
    pub space_guid: &'a str,
}

impl App {
    /// The tenant that a platform's order is for.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the claims contradict each other; [`Error::Refused`] where no tenant, or two, would be it;
    /// [`Error::Unauthorized`] where this platform's tenants come from its stamps only.
    pub async fn resolve_tenant(&self, platform: &Platform, claims: &IdentityClaims<'_>) -> Result<Tenant, Error> {
        if platform.trust.is_some() {
            return Err(Error::Unauthorized);
        }
        let (matched, facts) = self.matched(platform, claims).await?;
        self.decide(platform, matched, facts.primary()).await
    }

    /// The same for a question: what nobody knows is not counted.
    ///
    /// # Errors
    /// As [`App::resolve_tenant`].
    pub(in crate::app) async fn claimed_tenant(
        &self,
        platform: &Platform,
        claims: &IdentityClaims<'_>,
    ) -> Result<Tenant, Error> {
        let (matched, facts) = self.matched(platform, claims).await?;
        if matched == Matched::Nobody && platform.default_tenant_id.is_none() {
            return Err(nobody(platform, &facts.primary()));
        }
        self.decide(platform, matched, facts.primary()).await
    }

    async fn matched(&self, platform: &Platform, claims: &IdentityClaims<'_>) -> Result<(Matched, Facts), Error> {
        let facts = Facts::collect(claims.context, claims.organization_guid, claims.space_guid);
        let facts = facts.map_err(Error::Malformed)?;
        let platform_id = platform.id.clone();
        self.db()
            .read::<_, Error, _>(|tx| {
                Box::pin(async move {
                    let shapes = identities::shapes(tx, &platform_id).await?;
                    let candidates = facts.candidates(&shapes);
                    Ok((look_up(tx, &platform_id, &candidates).await?, facts))
                })
            })
            .await
    }

    /// The tenant that a verified stamp of a hub in front of this one names.
    ///
    /// # Errors
    /// As [`App::resolve_tenant`].
    pub async fn resolve_stamped_tenant(&self, platform: &Platform, tenant: &str) -> Result<Tenant, Error> {
        let key = MatchKey::Stamped(tenant.to_owned());
        let (platform_id, wanted) = (platform.id.clone(), key.clone());
        let read = self
            .db()
            .read::<_, Error, _>(|tx| Box::pin(async move { Ok(look_up(tx, &platform_id, &[wanted]).await?) }));
        let matched = read.await?;
        self.decide(platform, matched, key).await
    }

    async fn decide(&self, platform: &Platform, matched: Matched, claimed: MatchKey) -> Result<Tenant, Error> {
        match (matched, &platform.default_tenant_id) {
            (Matched::Tenant(id), _) => self.tenant(&id).await,
            (Matched::Nobody, Some(id)) => self.tenant(id).await,
            (Matched::Nobody, None) => Err(self.unmapped(platform, claimed).await?),
            (Matched::Tie(one, other), _) => {
                let (one, other) = (self.tenant(&one).await?, self.tenant(&other).await?);
                let mut names = [one.name, other.name];
                names.sort();
                let [one, other] = names;
                let message = format!(
                    "the order could be for tenant `{one}` or `{other}`: their identities on platform `{}` are equally specific",
                    platform.name
                );
                Err(Error::Refused { code: "tenant_ambiguous", message })
            }
        }
    }

    /// Counts what nobody knows, in a transaction of its own, and says so.
    async fn unmapped(&self, platform: &Platform, key: MatchKey) -> Result<Error, Error> {
        let error = nobody(platform, &key);
        let (platform_id, now) = (platform.id.clone(), self.clock().now());
        let counted = self.db().write::<_, store::Error, _>(move |tx| {
            let (platform_id, key) = (platform_id.clone(), key.clone());
            Box::pin(async move { identities::count_unmapped(tx, &platform_id, &key, now).await })
        });
        counted.await?;
        Ok(error)
    }

    /// The tenant of an id; also where it was deleted, because its instances stay its own.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn tenant(&self, id: &str) -> Result<Tenant, Error> {
        let wanted = id.to_owned();
        let found = self.db().read(|tx| Box::pin(async move { tenants::by_id(tx, &wanted).await })).await?;
        found.ok_or_else(|| Error::not_found("tenant", id))
    }

    /// The tenant of a name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn tenant_by_name(&self, name: &str) -> Result<Tenant, Error> {
        let wanted = name.to_owned();
        let found = self.db().read(|tx| Box::pin(async move { tenants::by_name(tx, &wanted).await })).await?;
        found.map(|row| row.tenant).ok_or_else(|| Error::not_found("tenant", name))
    }
}

fn nobody(platform: &Platform, key: &MatchKey) -> Error {
    let identity = serde_json::json!(Identity::from_key(platform.name.clone(), key.clone()));
    let message =
        format!("no tenant is mapped to {identity}: map it, or give platform `{}` a default tenant", platform.name);
    Error::Refused { code: "tenant_unmapped", message }
}

/// Looks for the most specific candidates first, and no further than the first that is somebody's.
async fn look_up(tx: &mut Tx<'_>, platform_id: &str, candidates: &[MatchKey]) -> Result<Matched, store::Error> {
    let mut matches: Vec<(usize, String)> = Vec::new();
    for key in candidates {
        if matches.first().is_some_and(|(keys, _)| *keys > key.weight()) {
            break;
        }
        matches.extend(identities::owner(tx, platform_id, key).await?.map(|tenant| (key.weight(), tenant)));
    }
    Ok(most_specific(&matches))
}
