//! The part of the table of pages where operators say what holds: platforms that come and go, policies, quotas, rules of approval,
//! offerings; what is taken over; and where owners say who else may see a service.

use actix_web::web::to;

use crate::domain::permission::Permission::{
    ManageApprovalRules, ManageBrokers, ManageInstances, ManagePlatforms, ManagePolicies, ManageQuotas, ManageTenants,
    SeeApprovalRules, SeeQuotas, ShareInstances,
};
use crate::http::portal::operate::{adopt, approval_rules, offerings, platforms, policies, quotas, tenants};
use crate::http::portal::services::grants;
use crate::http::route::Method::{Get, Post};
use crate::http::route::Route;

/// Its rows.
pub(super) const TABLE: &[Route] = &[
    // Platforms.
    Route::new(Get, "/operator/add-platform", ManagePlatforms, "A form for a new platform", || {
        to(platforms::add::begin)
    }),
    Route::new(Post, "/operator/add-platform", ManagePlatforms, "Register a platform", || to(platforms::add::add)),
    Route::new(
        Get,
        "/operator/platforms/{name}/remove",
        ManagePlatforms,
        "Whether to remove a pair of credentials",
        || to(platforms::remove::ask_pair),
    )
    .asks(platforms::remove::QUERY),
    Route::new(Post, "/operator/platforms/{name}/remove", ManagePlatforms, "Remove a pair of credentials", || {
        to(platforms::remove::remove_pair)
    })
    .with(&[303]),
    Route::new(Get, "/operator/platforms/{name}/delete", ManagePlatforms, "Whether to delete a platform", || {
        to(platforms::remove::ask_platform)
    }),
    Route::new(Post, "/operator/platforms/{name}/delete", ManagePlatforms, "Delete a platform", || {
        to(platforms::remove::delete_platform)
    })
    .with(&[303]),
    // Tenants.
    Route::new(Get, "/operator/add-tenant", ManageTenants, "A form for a new tenant", || to(tenants::write::begin)),
    Route::new(Post, "/operator/add-tenant", ManageTenants, "Make a tenant", || to(tenants::write::add)).with(&[303]),
    Route::new(Get, "/operator/tenants/{name}/change", ManageTenants, "A form of what is said of a tenant", || {
        to(tenants::write::show)
    }),
    Route::new(Post, "/operator/tenants/{name}/change", ManageTenants, "Change what is said of a tenant", || {
        to(tenants::write::change)
    })
    .with(&[303]),
    Route::new(Get, "/operator/tenants/{name}/delete", ManageTenants, "Whether to delete a tenant", || {
        to(tenants::delete::sure)
    }),
    Route::new(Post, "/operator/tenants/{name}/delete", ManageTenants, "Delete a tenant", || {
        to(tenants::delete::delete)
    })
    .with(&[303]),
    // Policies.
    Route::new(Get, "/operator/add-policy", ManagePolicies, "A form for a new policy", || to(policies::write::begin)),
    Route::new(Post, "/operator/add-policy", ManagePolicies, "Write a policy, or try it", || to(policies::write::add))
        .with(&[200, 303]),
    Route::new(Get, "/operator/policies/{name}/delete", ManagePolicies, "Whether to delete a policy", || {
        to(policies::delete::sure)
    }),
    Route::new(Post, "/operator/policies/{name}/delete", ManagePolicies, "Delete a policy", || {
        to(policies::delete::delete)
    })
    .with(&[303]),
    // Quotas.
    Route::new(Get, "/operator/quotas", SeeQuotas, "Quotas, and what is used of them", || to(quotas::list))
        .asks(quotas::QUERY),
    Route::new(Get, "/operator/quotas/{name}", SeeQuotas, "A quota", || to(quotas::show)),
    Route::new(Post, "/operator/quotas/{name}", ManageQuotas, "Change a quota", || to(quotas::write::change))
        .with(&[303]),
    Route::new(Get, "/operator/quotas/{name}/delete", ManageQuotas, "Whether to delete a quota", || {
        to(quotas::delete::sure)
    }),
    Route::new(Post, "/operator/quotas/{name}/delete", ManageQuotas, "Delete a quota", || to(quotas::delete::delete))
        .with(&[303]),
    Route::new(Get, "/operator/add-quota", ManageQuotas, "A form for a new quota", || to(quotas::write::begin))
        .asks(quotas::write::QUERY),
    Route::new(Post, "/operator/add-quota", ManageQuotas, "Set a quota", || to(quotas::write::add)).with(&[303]),
    // Rules of approval.
    Route::new(Get, "/operator/approval-rules", SeeApprovalRules, "Which orders wait for a yes", || {
        to(approval_rules::list)
    })
    .asks(&["cursor"]),
    Route::new(Get, "/operator/approval-rules/{name}", SeeApprovalRules, "A rule of approval", || {
        to(approval_rules::show)
    }),
    Route::new(Post, "/operator/approval-rules/{name}", ManageApprovalRules, "Change a rule of approval", || {
        to(approval_rules::write::change)
    })
    .with(&[303]),
    Route::new(
        Get,
        "/operator/approval-rules/{name}/delete",
        ManageApprovalRules,
        "Whether to delete a rule of approval",
        || to(approval_rules::delete::sure),
    ),
    Route::new(
        Post,
        "/operator/approval-rules/{name}/delete",
        ManageApprovalRules,
        "Delete a rule of approval",
        || to(approval_rules::delete::delete),
    )
    .with(&[303]),
    Route::new(Get, "/operator/add-approval-rule", ManageApprovalRules, "A form for a new rule of approval", || {
        to(approval_rules::write::begin)
    }),
    Route::new(Post, "/operator/add-approval-rule", ManageApprovalRules, "Write a rule of approval", || {
        to(approval_rules::write::add)
    })
    .with(&[303]),
    // What is said of offerings.
    Route::new(Get, "/operator/offerings", ManageBrokers, "Offerings, and how far they have come", || {
        to(offerings::list)
    })
    .asks(&["cursor"]),
    Route::new(Get, "/operator/offerings/{offering}", ManageBrokers, "What is said of an offering", || {
        to(offerings::show)
    }),
    Route::new(Post, "/operator/offerings/{offering}", ManageBrokers, "Say how far an offering has come", || {
        to(offerings::lifecycle::change)
    })
    .with(&[200, 303]),
    Route::new(
        Get,
        "/operator/offerings/{offering}/plans/{plan}/visibility",
        ManageBrokers,
        "Who may order a plan",
        || to(offerings::visibility::show),
    ),
    Route::new(
        Post,
        "/operator/offerings/{offering}/plans/{plan}/visibility",
        ManageBrokers,
        "Say who may order a plan",
        || to(offerings::visibility::change),
    )
    .with(&[303]),
    Route::new(
        Get,
        "/operator/offerings/{offering}/plans/{plan}/parameters",
        ManagePolicies,
        "What is said of a plan's parameters",
        || to(offerings::parameters::show),
    )
    .asks(offerings::parameters::QUERY),
    Route::new(
        Post,
        "/operator/offerings/{offering}/plans/{plan}/parameters",
        ManagePolicies,
        "Say what a plan's parameters are",
        || to(offerings::parameters::change),
    )
    .asks(offerings::parameters::QUERY)
    .with(&[303]),
    Route::new(
        Get,
        "/operator/offerings/{offering}/plans/{plan}/parameters/delete",
        ManagePolicies,
        "Whether to take back what is said of a plan's parameters",
        || to(offerings::parameters::sure),
    )
    .asks(offerings::parameters::QUERY),
    Route::new(
        Post,
        "/operator/offerings/{offering}/plans/{plan}/parameters/delete",
        ManagePolicies,
        "Take back what is said of a plan's parameters",
        || to(offerings::parameters::delete),
    )
    .with(&[303]),
    // What brokers have already.
    Route::new(Get, "/operator/adopt", ManageInstances, "A form for taking over what a broker has", || {
        to(adopt::begin)
    })
    .asks(adopt::QUERY),
    Route::new(
        Post,
        "/operator/adopt",
        ManageInstances,
        "Take over what a broker has, or say what that would do",
        || to(adopt::adopt),
    ),
    // Who else may see a service.
    Route::new(Get, "/services/{tenant}/{name}/grants", ShareInstances, "Who else may see a service", || {
        to(grants::show)
    })
    .asks(&["cursor"]),
    Route::new(
        Post,
        "/services/{tenant}/{name}/grants",
        ShareInstances,
        "Grant a service to a colleague, or take it back",
        || to(grants::change),
    )
    .with(&[303]),
];
