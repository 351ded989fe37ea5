//! Whom a request is for: from a platform's claims, or a verified stamp, to the tenant. Mappings are read from the
//! database each time, so that a changed one holds at once in all processes. What nobody knows is counted, for people to map.

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

/// What an order says about whom it is for, read.
#[derive(Clone, Debug)]
pub(in crate::app) enum Claim {
    /// A platform's words.
    Facts(Facts),
    /// A verified stamp's tenant.
    Stamped(MatchKey),
}

/// Who that is, as the database knows it.
#[derive(Debug)]
pub(in crate::app) struct Found {
    matched: Matched,
    /// The tenant, where it is one, or the platform's default.
    tenant: Option<Tenant>,
}

impl Claim {
    /// What a platform's order says.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the claims contradict each other; [`Error::Unauthorized`] where this platform's tenants come
    /// from its stamps only.
    pub(in crate::app) fn of_order(platform: &Platform, claims: &IdentityClaims<'_>) -> Result<Self, Error> {
        if platform.trust.is_some() {
            return Err(Error::Unauthorized);
        }
        Self::facts(claims)
    }

    /// What a verified stamp of a hub in front of this one says.
    pub(in crate::app) fn of_stamp(tenant: &str) -> Self {
        Self::Stamped(MatchKey::Stamped(tenant.to_owned()))
    }

    fn facts(claims: &IdentityClaims<'_>) -> Result<Self, Error> {
        let facts = Facts::collect(claims.context, claims.organization_guid, claims.space_guid);
        Ok(Self::Facts(facts.map_err(Error::Malformed)?))
    }

    pub(in crate::app) fn primary(&self) -> MatchKey {
        match self {
            Self::Facts(facts) => facts.primary(),
            Self::Stamped(key) => key.clone(),
        }
    }

    /// Who it is.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn find(&self, tx: &mut Tx<'_>, platform: &Platform) -> Result<Found, store::Error> {
        let matched = match self {
            Self::Facts(facts) => {
                let shapes = identities::shapes(tx, &platform.id).await?;
                look_up(tx, &platform.id, &facts.candidates(&shapes)).await?
            }
            Self::Stamped(key) => look_up(tx, &platform.id, std::slice::from_ref(key)).await?,
        };
        let id = match &matched {
            Matched::Tenant(id) => Some(id),
            Matched::Nobody => platform.default_tenant_id.as_ref(),
            Matched::Tie(..) => None,
        };
        let tenant = match id {
            Some(id) => tenants::by_id(tx, id).await?,
            None => None,
        };
        Ok(Found { matched, tenant })
    }
}

impl App {
    /// The tenant that a platform's order is for.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the claims contradict each other; [`Error::Refused`] where no tenant, or two, would be it;
    /// [`Error::Unauthorized`] where this platform's tenants come from its stamps only.
    pub async fn resolve_tenant(&self, platform: &Platform, claims: &IdentityClaims<'_>) -> Result<Tenant, Error> {
        self.resolve(platform, &Claim::of_order(platform, claims)?).await
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
        self.would_resolve(platform, &Claim::facts(claims)?).await
    }

    /// As [`App::resolve`] for a question: what nobody knows is not counted.
    ///
    /// # Errors
    /// As [`App::resolve_tenant`].
    pub(in crate::app) async fn would_resolve(&self, platform: &Platform, claim: &Claim) -> Result<Tenant, Error> {
        let found = self.find_tenant(platform, claim).await?;
        if found.matched == Matched::Nobody && platform.default_tenant_id.is_none() {
            if self.would_look_up(platform, claim) {
                return Err(not_asked(platform, &claim.primary()));
            }
            return Err(nobody(platform, &claim.primary()));
        }
        self.decide(platform, claim, found).await
    }

    /// The tenant that a verified stamp of a hub in front of this one names.
    ///
    /// # Errors
    /// As [`App::resolve_tenant`].
    pub async fn resolve_stamped_tenant(&self, platform: &Platform, tenant: &str) -> Result<Tenant, Error> {
        self.resolve(platform, &Claim::of_stamp(tenant)).await
    }

    /// The tenant that a claim leads to.
    ///
    /// # Errors
    /// As [`App::resolve_tenant`].
    pub(in crate::app) async fn resolve(&self, platform: &Platform, claim: &Claim) -> Result<Tenant, Error> {
        let found = self.find_tenant(platform, claim).await?;
        self.decide(platform, claim, found).await
    }

    /// The tenant that a claim leads to by identities alone, where it is one.
    pub(in crate::app) async fn mapped_tenant(
        &self,
        platform: &Platform,
        claim: &Claim,
    ) -> Result<Option<Tenant>, Error> {
        Ok(self.find_tenant(platform, claim).await?.tenant)
    }

    async fn find_tenant(&self, platform: &Platform, claim: &Claim) -> Result<Found, Error> {
        let (platform, claim) = (platform.clone(), claim.clone());
        Ok(self.db().read(|tx| Box::pin(async move { claim.find(tx, &platform).await })).await?)
    }

    /// The tenant of what was found.
    ///
    /// # Errors
    /// As [`App::resolve_tenant`].
    pub(in crate::app) async fn decide(
        &self,
        platform: &Platform,
        claim: &Claim,
        found: Found,
    ) -> Result<Tenant, Error> {
        match (found.matched, found.tenant) {
            (Matched::Tenant(_) | Matched::Nobody, Some(tenant)) => Ok(tenant),
            (Matched::Tenant(id), None) => Err(Error::not_found("tenant", &id)),
            (Matched::Nobody, None) => match &platform.default_tenant_id {
                Some(id) => Err(Error::not_found("tenant", id)),
                None => match Box::pin(self.tenant_looked_up(platform, claim)).await? {
                    Some(tenant) => Ok(tenant),
                    None => Err(self.unmapped(platform, claim.primary()).await?),
                },
            },
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

/// What a question is told where an order would be looked up: that would change something.
fn not_asked(platform: &Platform, key: &MatchKey) -> Error {
    let identity = serde_json::json!(Identity::from_key(platform.name.clone(), key.clone()));
    let message = format!(
        "no tenant is mapped to {identity} yet: an order would be looked up in the organisation's tenant database, which is not asked here"
    );
    Error::Refused { code: "tenant_not_looked_up", message }
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
