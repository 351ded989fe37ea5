//! Tenants, who is in them, and what platforms call them.

use actix_web::web::to;

use super::{Method, Permission, Route};
use crate::http::admin::{identities, import, members, offboarding, tenants};

use Method::{Delete, Get, Post, Put};
use Permission::{ManageMembers, ManageTenants, SeePlatforms, SeeTenants};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/api/v1/tenants", SeeTenants, "List tenants", || to(tenants::list))
        .pages::<tenants::TenantOut>(&[]),
    Route::new(Post, "/api/v1/tenants/import", ManageTenants, "Take tenants over from a list", || to(import::import))
        .takes::<import::ImportIn>()
        .gives::<import::ImportOut>()
        .asks(&["dry_run"]),
    Route::new(Get, "/api/v1/tenants/{name}", SeeTenants, "Show a tenant", || to(tenants::show))
        .gives::<tenants::TenantOut>(),
    Route::new(Put, "/api/v1/tenants/{name}", ManageTenants, "Create or replace a tenant", || to(tenants::put))
        .takes::<crate::domain::tenant::TenantDocument>()
        .gives::<tenants::TenantOut>()
        .with(&[200, 201]),
    Route::new(Delete, "/api/v1/tenants/{name}", ManageTenants, "Delete a tenant", || to(tenants::delete)).nothing(),
    Route::new(
        Put,
        "/api/v1/tenants/{name}/members/{kind}/{member}",
        ManageMembers,
        "Make a user or a group a member of a tenant, or its owner",
        || to(members::put),
    )
    .takes::<members::MembershipIn>()
    .gives::<members::MembershipOut>()
    .with(&[200, 201]),
    Route::new(
        Delete,
        "/api/v1/tenants/{name}/members/{kind}/{member}",
        ManageMembers,
        "Take a user or a group out of a tenant",
        || to(members::delete),
    )
    .nothing(),
    Route::new(Post, "/api/v1/tenants/{name}/suspend", ManageTenants, "Let a tenant order nothing more", || {
        to(offboarding::suspend)
    })
    .takes::<offboarding::SuspensionIn>()
    .gives::<tenants::TenantOut>(),
    Route::new(Post, "/api/v1/tenants/{name}/resume", ManageTenants, "Let a tenant order again", || {
        to(offboarding::resume)
    })
    .gives::<tenants::TenantOut>(),
    Route::new(Get, "/api/v1/tenants/{name}/offboard", ManageTenants, "Show how far a tenant is taken down", || {
        to(offboarding::show)
    })
    .gives::<offboarding::OffboardingOut>(),
    Route::new(
        Post,
        "/api/v1/tenants/{name}/offboard",
        ManageTenants,
        "Take a tenant down with all its instances",
        || to(offboarding::start),
    )
    .takes::<offboarding::OffboardingIn>()
    .gives::<offboarding::OffboardingOut>(),
    Route::new(Delete, "/api/v1/tenants/{name}/offboard", ManageTenants, "Call an off-boarding off", || {
        to(offboarding::cancel)
    })
    .nothing(),
    Route::new(Get, "/api/v1/identities/unmapped", SeePlatforms, "List identities that no tenant has", || {
        to(identities::unmapped)
    })
    .pages::<identities::UnmappedOut>(&[]),
];
