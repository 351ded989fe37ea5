//! `/api/v1/tenants/{name}/members`: who is in a tenant, one at a time. `GET /tenants/{name}` shows them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::tenants::Put;
use crate::app::{self, App};
use crate::domain::tenant::{MemberKind, Role};
use crate::http::error::Failure;
use crate::http::input::Body;
use crate::http::permits::{Can, ManageMembers};

/// What a member may do.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Membership)]
pub struct MembershipIn {
    /// `member` orders; `owner` also says who else may.
    role: Role,
}

/// A member.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TenantMember)]
pub struct MembershipOut {
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The group's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// What they may do.
    role: Role,
}

/// The word of a path: `users` or `groups`.
fn kind(word: &str) -> Result<MemberKind, Failure> {
    let found = MemberKind::parse(word);
    found.ok_or_else(|| app::Error::not_found("kind of member", word).into())
}

/// `PUT /tenants/{name}/members/{kind}/{member}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ManageMembers>,
    app: Data<App>,
    path: Path<(String, String, String)>,
    body: Body<MembershipIn>,
) -> Result<HttpResponse, Failure> {
    let (tenant, word, name) = path.into_inner();
    let (kind, role) = (kind(&word)?, body.0.role);
    let put = app.put_member(&who.caller, &who.sight, &tenant, (kind, &name), role).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    };
    let (user, group) = match kind {
        MemberKind::User => (Some(name), None),
        MemberKind::Group => (None, Some(name)),
    };
    Ok(HttpResponse::build(status).json(MembershipOut { user, group, role }))
}

/// `DELETE /tenants/{name}/members/{kind}/{member}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(
    who: Can<ManageMembers>,
    app: Data<App>,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, Failure> {
    let (tenant, word, name) = path.into_inner();
    app.delete_member(&who.caller, &who.sight, &tenant, (kind(&word)?, &name)).await?;
    Ok(HttpResponse::NoContent().finish())
}
