//! `POST /api/v1/orders/preview`: what would become of an order.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::policies::JudgedOut;
use super::prices::PriceOut;
use crate::app::people::PersonalOrder;
use crate::app::preview::{By, Preview, PreviewOf, Sent};
use crate::app::quotas::Outlook;
use crate::app::{self, App};
use crate::domain::approval::Why;

use crate::http::error::Failure;
use crate::http::input::Body;
use crate::http::observe;
use crate::http::permits::{Can, Order};

/// What would be ordered, by a platform or for a tenant.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PreviewOf)]
pub struct PreviewIn {
    /// The platform that would order; this or `tenant`.
    platform: Option<String>,
    /// Whom a person would order for; this or `platform`.
    tenant: Option<String>,
    /// What the platform would say of where the order comes from.
    #[schema(value_type = Option<Object>)]
    context: Option<osb::Object>,
    /// What it is called: a name, or the platform's id. One that stands would be changed.
    instance: Option<String>,
    /// The service offering's name.
    offering: String,
    /// The service plan's name.
    plan: String,
    /// What the plan's schema describes.
    #[schema(value_type = Option<Object>)]
    parameters: Option<osb::Object>,
}

/// What would become of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Preview)]
pub struct PreviewOut {
    /// Whether the plan can be seen and ordered.
    visible: bool,
    /// Whether the order would be placed; it may wait for an approval then.
    allowed: bool,
    /// Why it would be refused: the first reason.
    refused: Option<RefusalOut>,
    /// Whom it would be for.
    tenant: Option<String>,
    /// What policies say.
    policies: Vec<JudgedOut>,
    /// The quotas that it would take from.
    quota: Vec<OutlookOut>,
    /// Who would have to agree; `null` where nobody.
    approval: Option<ApprovalNeeded>,
    /// What the plan costs by the price book in force; `null` where none says.
    price: Option<PriceOut>,
    /// What the broker would get; `null` where the order would be refused, or would change nothing.
    request: Option<SentOut>,
}

/// Why an order would be refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusalOut {
    /// A word for programs.
    code: String,
    /// As whoever orders would be told.
    reason: String,
}

/// What a quota would come to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaOutlook)]
pub struct OutlookOut {
    /// The quota.
    name: String,
    /// How much there may be.
    limit: String,
    /// What is used without the order.
    used: String,
    /// How much more the order needs.
    needs: String,
    /// Whether too little is left.
    exceeded: bool,
    /// The same in one sentence.
    words: String,
}

/// Who would have to agree.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalNeeded {
    /// What asks for it.
    causes: Vec<Why>,
    /// How long the order would wait, in seconds.
    expires_after_seconds: u64,
}

/// The request that the broker would get.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviewedRequest)]
pub struct SentOut {
    /// `PUT` or `PATCH`.
    method: String,
    /// Path and query behind the broker's URL. The id is another one when it is ordered.
    path: String,
    /// Without credentials.
    headers: BTreeMap<String, String>,
    /// What the stamp would say, unsigned; `null` where the broker gets none.
    #[schema(value_type = Option<Object>)]
    stamp: Option<Value>,
    /// The body.
    #[schema(value_type = Object)]
    body: Value,
}

impl From<Sent> for SentOut {
    fn from(sent: Sent) -> Self {
        let Sent { method, path, headers, stamp, body } = sent;
        Self { method, path, headers, stamp: stamp.map(|claims| serde_json::json!(claims)), body }
    }
}

impl From<Outlook> for OutlookOut {
    fn from(outlook: Outlook) -> Self {
        let Outlook { name, limit, used, needs, exceeded } = outlook;
        let (limit, used, needs) = (limit.to_string(), used.to_string(), needs.to_string());
        let words = format!("{name}: {used} of {limit} are used, and the order needs {needs} more");
        Self { name, limit, used, needs, exceeded, words }
    }
}

impl From<Preview> for PreviewOut {
    fn from(preview: Preview) -> Self {
        let approval = preview.waits().map(|waits| ApprovalNeeded {
            causes: preview.causes.iter().map(|cause| cause.why.clone()).collect(),
            expires_after_seconds: waits.as_secs(),
        });
        Self {
            visible: preview.visible,
            allowed: preview.refused.is_none(),
            refused: preview.refused.map(|refusal| RefusalOut { code: refusal.code, reason: refusal.reason }),
            tenant: preview.tenant,
            policies: preview.policies.into_iter().map(JudgedOut::from).collect(),
            quota: preview.quotas.into_iter().map(OutlookOut::from).collect(),
            approval,
            price: preview.price.map(PriceOut::from),
            request: preview.request.map(SentOut::from),
        }
    }
}

/// `POST /orders/preview`
///
/// # Errors
/// [`Failure`].
pub async fn preview(
    who: Can<Order>,
    app: Data<App>,
    request: HttpRequest,
    body: Body<PreviewIn>,
) -> Result<Json<PreviewOut>, Failure> {
    let PreviewIn { platform, tenant, context, instance, offering, plan, parameters } = body.0;
    let by = match (platform, tenant) {
        (Some(platform), None) => By::Platform(platform, context),
        (None, Some(_)) if context.is_some() => {
            return Err(app::Error::invalid("/context", "a person's order has none: leave it out").into());
        }
        (None, Some(tenant)) => By::Tenant(tenant),
        _ => return Err(app::Error::invalid("", "give `platform` or `tenant`, and not both").into()),
    };
    let what = PreviewOf { by, instance, order: PersonalOrder { offering, plan, parameters } };
    Ok(Json(app.preview(&who.caller, &observe::call(&request), what).await?.into()))
}
