//! Where a prefix comes from: the next free one of a pool's parent, or a given one, if it is free.
//!
//! NetBox takes the next free one under a lock of its own; a given one it takes even where it overlaps another. Therefore what
//! was added is looked at once more before anybody is told of it: whoever sees another one there gives its own back. Of two
//! that come at the same time at least one sees the other. Invariant: what is told overlapped nothing when it was told.

use serde_json::{Map, Value};

use super::api::ApiError;
use super::config::Parent;
use super::record::{RESERVED, Record};
use super::{NetBox, PREFIXES, failed, lost, object, prefix_mark};
use crate::vnet_ipam::driver::{AllocationRequest, DriverError, PREFIXES_MAX};
use crate::vnet_ipam::prefix::Prefix;

/// The routing domain of networks that name none.
const DEFAULT_DOMAIN: &str = "default";
/// How long NetBox lets a description be.
const MARK_MAX: usize = 200;
/// How much of what somebody typed is written beside it.
const TEXT_MAX: usize = 1_000;

impl NetBox {
    /// The prefix of a request: the one that is held for it, or a new one.
    pub(super) async fn placed(&self, request: &AllocationRequest, domain: &str) -> Result<Prefix, DriverError> {
        let mark = prefix_mark(&request.resource, request.number);
        if mark.len() > MARK_MAX || request.number >= PREFIXES_MAX {
            return Err(DriverError::Failed { what: "the prefix can't be marked".to_owned(), detail: Some(mark) });
        }
        let mut held = self.settled(PREFIXES, &mark).await?.first;
        if let Some(other) = held.take_if(|held| held.status() == RESERVED && !is_asked_for(held, request)) {
            // Of an order that came to nothing: nobody has confirmed it.
            self.api.delete(&object(PREFIXES, other.id)).await.map_err(failed)?;
        }
        let parent = self.find_parent(self.parent(domain, &request.pool)?).await.map_err(failed)?;
        if held.is_none() {
            self.take(request, &parent, &mark).await?;
            held = self.settled(PREFIXES, &mark).await?.first;
        }
        // Not asked again here: the first order may still be under way, and the caller's next one will find it.
        let held = held.ok_or_else(lost)?;
        if !is_asked_for(&held, request) {
            let what = "NetBox holds a prefix of another size or version for this network".to_owned();
            return Err(DriverError::Failed { what, detail: Some(held.range) });
        }
        if held.status() == RESERVED && self.is_overlapped(&held, &parent, &mark).await? {
            self.api.delete(&object(PREFIXES, held.id)).await.map_err(failed)?;
            return Err(match request.wanted {
                Some(wanted) => not_free(wanted),
                None => lost(),
            });
        }
        prefix_of(&held)
    }

    fn parent(&self, domain: &str, pool: &str) -> Result<&Parent, DriverError> {
        let parents = &self.config.parents;
        let of_domain = parents.get(&format!("{domain}/{pool}"));
        let parent = of_domain.or_else(|| parents.get(pool).filter(|_| domain == DEFAULT_DOMAIN));
        parent.ok_or_else(|| {
            let known = parents.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            DriverError::Refused(format!("there is no pool `{pool}` in routing domain `{domain}`: use one of {known}"))
        })
    }

    /// The prefix that a pool's prefixes are taken from.
    pub(super) async fn find_parent(&self, parent: &Parent) -> Result<Record, ApiError> {
        let (prefix, vrf) = match parent {
            Parent::Id(id) => {
                let found = self.api.get(&object(PREFIXES, *id), &[]).await?;
                return serde_json::from_value(found).map_err(|error| ApiError::Unknown(error.to_string()));
            }
            Parent::Prefix { prefix, vrf } => (prefix.to_string(), *vrf),
        };
        let found = self.list(PREFIXES, &[("prefix", &prefix), ("vrf_id", &vrf_filter(vrf))]).await?;
        let mut found = found.into_iter().filter(|one| one.is(&prefix) && one.vrf() == vrf);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(ApiError::Refused(200, format!("there is no prefix {prefix} there"))),
            _ => Err(ApiError::Refused(200, format!("there are several prefixes {prefix}: name one by its id"))),
        }
    }

    async fn take(&self, request: &AllocationRequest, parent: &Record, mark: &str) -> Result<(), DriverError> {
        let mut body = Map::new();
        body.insert("status".to_owned(), RESERVED.into());
        self.config.mark.put(&mut body, mark, &text(request));
        let available = format!("{PREFIXES}{}/available-prefixes/", parent.id);
        let path = match request.wanted {
            None => {
                body.insert("prefix_length".to_owned(), request.length.into());
                available.as_str()
            }
            Some(wanted) => {
                let free = self.api.get(&available, &[]).await.map_err(failed)?;
                let is_free = |block: &Value| {
                    let block: Option<Prefix> = block["prefix"].as_str().and_then(|prefix| prefix.parse().ok());
                    block.is_some_and(|block| block.contains(wanted))
                };
                if !free.as_array().is_some_and(|free| free.iter().any(is_free)) {
                    return Err(not_free(wanted));
                }
                body.insert("prefix".to_owned(), wanted.to_string().into());
                body.insert("vrf".to_owned(), parent.vrf().into());
                PREFIXES
            }
        };
        match self.api.add(path, &body.into()).await {
            // Whether it is there, and whether it is the one that counts, shows by looking.
            Ok(_) | Err(ApiError::Unknown(_)) => Ok(()),
            Err(ApiError::Full) => Err(DriverError::Refused(format!(
                "no free /{} in pool `{}`: ask for a longer prefix_length or another pool",
                request.length, request.pool
            ))),
            // With a unique custom field: it is there since a moment ago. Or in a VRF that takes no prefix twice.
            Err(ApiError::Refused(400, detail)) if detail.contains("unique value") => Ok(()),
            Err(ApiError::Refused(400, detail)) if detail.contains("Duplicate") => {
                Err(request.wanted.map_or_else(lost, not_free))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether another prefix lies in one, or around it within the parent.
    async fn is_overlapped(&self, held: &Record, parent: &Record, mark: &str) -> Result<bool, DriverError> {
        let vrf = vrf_filter(held.vrf());
        let (own, around) = (prefix_of(held)?, prefix_of(parent)?);
        for filter in ["within_include", "contains"] {
            let found = self.list(PREFIXES, &[(filter, &held.range), ("vrf_id", &vrf)]).await.map_err(failed)?;
            for other in found.iter().filter(|other| other.vrf() == held.vrf() && !self.config.mark.is_on(other, mark))
            {
                let other = prefix_of(other)?;
                if other.intersection(own).is_some() && !other.contains(around) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

fn is_asked_for(held: &Record, request: &AllocationRequest) -> bool {
    prefix_of(held).is_ok_and(|prefix| {
        (prefix.version(), prefix.length()) == (request.version, request.length)
            && request.wanted.is_none_or(|wanted| wanted == prefix)
    })
}

fn not_free(wanted: Prefix) -> DriverError {
    DriverError::Refused(format!("{wanted} is not free in this pool: ask for another prefix, or let one be chosen"))
}

fn vrf_filter(vrf: Option<u64>) -> String {
    vrf.map_or_else(|| "null".to_owned(), |vrf| vrf.to_string())
}

fn prefix_of(record: &Record) -> Result<Prefix, DriverError> {
    record.range.parse().map_err(|_| DriverError::Failed {
        what: "NetBox holds what is no prefix".to_owned(),
        detail: Some(record.range.clone()),
    })
}

/// What people read beside it.
fn text(request: &AllocationRequest) -> String {
    let tenant = request.tenant.as_ref().map(|tenant| format!("Tenant {} ({}). ", tenant.name, tenant.id));
    let text = format!("{}{}", tenant.unwrap_or_default(), request.description);
    text.chars().take(TEXT_MAX).collect()
}
