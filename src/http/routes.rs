//! The table of what is served besides OSB: method, path, who may, what it is, handler, and what goes in and out. It registers
//! the routes, makes `openapi/bourse.json`, and is what the tests walk. Brokers with what they offer, and tenants, have files of their
//! own. To add a route, add an entry, then run
//! `bourse openapi > openapi/bourse.json`.

mod brokers;
mod tenants;

use actix_web::middleware::from_fn;
use actix_web::web::to;
use actix_web::{Resource, web};

use super::admin::{
    adoption, approval_rules, approvals, audit, budgets, cases, costs, estimates, events, exports, grants, instances,
    keys, orders, parameters, platforms, policies, preview, prices, quotas, service_accounts, statements, usage, users,
};
use super::{auth, error, health, jwks, login, metrics, portal::pages::PAGES};

/// What a route takes: the handler's signature enforces it, and a test compares the two.
pub use crate::domain::permission::Permission;

pub use super::route::{Answer, Method, Route};

/// What every path of the management API begins with.
pub const API: &str = "/api/v1";

use Method::{Delete, Get, Patch, Post, Put};
use Permission::{
    Admin, Broker, DecideApprovals, ManageApprovalRules, ManageBudgets, ManageEvents, ManageInstances, ManagePeople,
    ManagePlatforms, ManagePolicies, ManagePrices, ManageQuotas, Open, Order, ReadBinding, ReadInstances, ReadOrder,
    SeeApprovalRules, SeeApprovals, SeeAudit, SeeBooks, SeeBudgets, SeeCosts, SeeDeadLetters, SeeEvents, SeeInstances,
    SeeOfferings, SeeOrders, SeePeople, SeePlatforms, SeePolicies, SeeQuotas, SeeStatements, ShareInstances, SignedIn,
};

/// All routes.
pub const ROUTES: &[Route] =
    &joined::<{ OPEN.len() + brokers::TABLE.len() + tenants::ROUTES.len() + ORDERED.len() }>(&[
        OPEN,
        brokers::TABLE,
        tenants::ROUTES,
        ORDERED,
    ]);

/// The parts of the table in one piece.
pub(in crate::http) const fn joined<const N: usize>(parts: &[&[Route]]) -> [Route; N] {
    let mut all = [parts[0][0]; N];
    let (mut part, mut next) = (0, 0);
    while part < parts.len() {
        let mut row = 0;
        while row < parts[part].len() {
            all[next] = parts[part][row];
            next += 1;
            row += 1;
        }
        part += 1;
    }
    all
}

/// What stands before brokers.
const OPEN: &[Route] = &[
    Route::new(Get, "/healthz", Open, "Whether the process lives", || to(health::live)),
    Route::new(Get, "/readyz", Open, "Whether the process can do its work", || to(health::ready))
        .gives::<health::Readiness>()
        .with(&[200, 503]),
    Route::new(Get, "/.well-known/jwks.json", Open, "The keys that stamps are verified with", || to(jwks::show)),
    Route::new(Get, "/.well-known/bourse-login", Open, "Where `bourse login` gets a token", || to(login::show))
        .gives::<login::LoginOut>(),
    Route::new(Get, "/metrics", Open, "Metrics; for administrators only where the settings say so", || {
        to(metrics::show)
    }),
    // Platforms.
    Route::new(Get, "/api/v1/platforms", SeePlatforms, "List platforms", || to(platforms::list))
        .pages::<platforms::PlatformOut>(&[]),
    Route::new(Post, "/api/v1/platforms", ManagePlatforms, "Register a platform", || to(platforms::create))
        .takes::<platforms::NewPlatformIn>()
        .gives::<platforms::CreatedPlatform>()
        .with(&[201]),
    Route::new(Get, "/api/v1/platforms/{name}", SeePlatforms, "Show a platform", || to(platforms::show))
        .gives::<platforms::PlatformOut>(),
    Route::new(Patch, "/api/v1/platforms/{name}", ManagePlatforms, "Change a platform", || to(platforms::change))
        .takes::<platforms::PlatformChangeIn>()
        .gives::<platforms::PlatformOut>(),
    Route::new(Delete, "/api/v1/platforms/{name}", ManagePlatforms, "Delete a platform", || to(platforms::delete))
        .nothing(),
    Route::new(
        Post,
        "/api/v1/platforms/{name}/credentials",
        ManagePlatforms,
        "Give a platform one more pair of credentials",
        || to(platforms::add_credentials),
    )
    .gives::<platforms::PairOut>()
    .with(&[201]),
    Route::new(
        Delete,
        "/api/v1/platforms/{name}/credentials/{username}",
        ManagePlatforms,
        "Delete one pair of credentials",
        || to(platforms::delete_credentials),
    )
    .nothing(),
];

/// What comes after them.
const ORDERED: &[Route] = &[
    // Orders by people.
    Route::new(Get, "/api/v1/tenants/{tenant}/instances", SeeOrders, "List a tenant's instances", || to(orders::list))
        .pages::<instances::InstanceOut>(&[]),
    Route::new(Put, "/api/v1/tenants/{tenant}/instances/{name}", Order, "Order or change an instance", || {
        to(orders::put)
    })
    .takes::<orders::OrderIn>()
    .gives::<orders::OrderedOut>()
    .with(&[200, 201, 202]),
    Route::new(Get, "/api/v1/tenants/{tenant}/instances/{name}", ReadOrder, "Show an instance by name", || {
        to(orders::show)
    })
    .gives::<orders::OrderedOut>(),
    Route::new(Delete, "/api/v1/tenants/{tenant}/instances/{name}", Order, "Delete an instance by name", || {
        to(orders::delete)
    })
    .gives::<orders::OrderedOut>()
    .with(&[202, 204]),
    Route::new(
        Put,
        "/api/v1/tenants/{tenant}/instances/{name}/bindings/{binding}",
        Order,
        "Bind to an instance",
        || to(orders::bind),
    )
    .takes::<orders::BindIn>()
    .gives::<orders::OrderedBindingOut>()
    .with(&[201, 202]),
    Route::new(
        Get,
        "/api/v1/tenants/{tenant}/instances/{name}/bindings/{binding}",
        ReadBinding,
        "Show a binding",
        || to(orders::binding),
    )
    .gives::<orders::OrderedBindingOut>(),
    Route::new(
        Delete,
        "/api/v1/tenants/{tenant}/instances/{name}/bindings/{binding}",
        Order,
        "Delete a binding",
        || to(orders::unbind),
    )
    .gives::<orders::OrderedBindingOut>()
    .with(&[202, 204]),
    // What stands and what is under way.
    Route::new(Get, "/api/v1/instances", ReadInstances, "List instances", || to(instances::list))
        .pages::<instances::InstanceOut>(&[
            "tenant",
            "platform",
            "platform_instance_id",
            "broker",
            "offering",
            "state",
        ]),
    Route::new(Post, "/api/v1/instances/adopt", ManageInstances, "Take over what a backend has already", || {
        to(adoption::adopt)
    })
    .takes::<adoption::AdoptionIn>()
    .gives::<adoption::AdoptionOut>(),
    Route::new(Get, "/api/v1/instances/{id}", ReadInstances, "Show an instance", || to(instances::show))
        .gives::<instances::DetailOut>(),
    Route::new(
        Post,
        "/api/v1/instances/{id}/purge",
        ManageInstances,
        "Forget an instance whose backend is gone",
        || to(instances::purge),
    )
    .takes::<instances::PurgeIn>()
    .gives::<instances::DetailOut>(),
    Route::new(
        Get,
        "/api/v1/instances/{id}/grants",
        ShareInstances,
        "List who was granted access to an instance",
        || to(grants::list),
    )
    .pages::<grants::GrantOut>(&[]),
    Route::new(
        Put,
        "/api/v1/instances/{id}/grants/{user}",
        ShareInstances,
        "Grant somebody access to an instance",
        || to(grants::put),
    )
    .takes::<grants::GrantIn>()
    .gives::<grants::GrantOut>(),
    Route::new(Delete, "/api/v1/instances/{id}/grants/{user}", ShareInstances, "Take access back", || {
        to(grants::delete)
    })
    .nothing(),
    Route::new(
        Get,
        "/api/v1/context-updates",
        ManageInstances,
        "List instances whose brokers are still to be told of a change of their tenant",
        || to(grants::context_updates),
    )
    .pages::<grants::ContextUpdateOut>(&["tenant"]),
    Route::new(Get, "/api/v1/operations", SeeInstances, "List operations", || to(instances::operations))
        .pages::<instances::OperationOut>(&["state", "kind", "instance"]),
    Route::new(Get, "/api/v1/operations/{id}", SeeInstances, "Show an operation", || to(instances::operation))
        .gives::<instances::OperationOut>(),
    Route::new(Post, "/api/v1/operations/{id}/cancel", ManageInstances, "Call an operation off", || {
        to(instances::cancel)
    })
    .gives::<instances::OperationOut>(),
    // Prices.
    Route::new(Get, "/api/v1/price-books", SeeOfferings, "List price books", || to(prices::list))
        .pages::<prices::PriceBookOut>(&[]),
    Route::new(Post, "/api/v1/price-books", ManagePrices, "Add a price book", || to(prices::create))
        .takes::<crate::domain::price::BookDocument>()
        .gives::<prices::PriceBookOut>()
        .with(&[201]),
    Route::new(
        Post,
        "/api/v1/price-books/simulate",
        ManagePrices,
        "What a month would have cost by a book that is not added",
        || to(prices::simulate),
    )
    .takes::<prices::SimulationIn>()
    .gives::<prices::SimulationOut>(),
    Route::new(Get, "/api/v1/price-books/{id}", SeeOfferings, "Show a price book", || to(prices::show))
        .gives::<prices::PriceBookOut>(),
    Route::new(Post, "/api/v1/estimates", SeeOfferings, "Estimate what a month of an order would cost", || {
        to(estimates::create)
    })
    .takes::<estimates::EstimateIn>()
    .gives::<estimates::EstimateOut>(),
    // Costs.
    Route::new(Get, "/api/v1/costs", SeeCosts, "What was used in a time, and what it costs", || to(costs::show))
        .gives::<costs::CostsOut>()
        .asks(&["from", "to", "group_by", "granularity", "tenant", "instance", "offering", "cost_center"]),
    // Statements.
    Route::new(Get, "/api/v1/statements", SeeStatements, "A tenant's month as JSON, CSV or a page to print", || {
        to(statements::show)
    })
    .gives::<crate::domain::statement::Statement>()
    .asks(&["tenant", "period"]),
    Route::new(Get, "/api/v1/statements/closed", SeeStatements, "List the months that are closed", || {
        to(statements::closed)
    })
    .pages::<statements::ClosedOut>(&["tenant", "period"]),
    Route::new(Post, "/api/v1/statements/verify", SeeBooks, "Compute a closed month again and compare", || {
        to(statements::verify)
    })
    .takes::<statements::VerifyIn>()
    .gives::<statements::VerifiedOut>(),
    Route::new(
        Get,
        "/api/v1/billing-cases",
        SeeBooks,
        "List where what is charged for and what is there are not the same",
        || to(cases::list),
    )
    .pages::<cases::CaseOut>(&["kind", "instance", "state"]),
    // Budgets.
    Route::new(Get, "/api/v1/budgets", SeeBudgets, "List budgets", || to(budgets::list))
        .pages::<budgets::BudgetOut>(&[]),
    Route::new(Get, "/api/v1/budgets/{name}", SeeBudgets, "Show a budget and what was spent of it", || {
        to(budgets::show)
    })
    .gives::<budgets::BudgetOut>(),
    Route::new(Put, "/api/v1/budgets/{name}", ManageBudgets, "Create or replace a budget", || to(budgets::put))
        .takes::<crate::domain::budget::BudgetDocument>()
        .gives::<budgets::BudgetOut>()
        .with(&[200, 201]),
    Route::new(Delete, "/api/v1/budgets/{name}", ManageBudgets, "Delete a budget", || to(budgets::delete)).nothing(),
    // Quotas.
    Route::new(Get, "/api/v1/quotas", SeeQuotas, "List quotas and what is used of them", || to(quotas::list))
        .pages::<quotas::QuotaOut>(&["tenant"]),
    Route::new(Get, "/api/v1/quotas/{name}", SeeQuotas, "Show a quota and what is used of it", || to(quotas::show))
        .gives::<quotas::QuotaOut>(),
    Route::new(Put, "/api/v1/quotas/{name}", ManageQuotas, "Create or replace a quota, and count what exists", || {
        to(quotas::put)
    })
    .takes::<crate::domain::quota::QuotaDocument>()
    .gives::<quotas::QuotaOut>()
    .with(&[200, 201]),
    Route::new(Delete, "/api/v1/quotas/{name}", ManageQuotas, "Delete a quota", || to(quotas::delete)).nothing(),
    // What is said about plans' parameters.
    Route::new(Get, "/api/v1/parameters", SeePolicies, "List what is said about plans' parameters", || {
        to(parameters::list)
    })
    .pages::<parameters::ParametersOut>(&[]),
    Route::new(
        Get,
        "/api/v1/offerings/{offering}/plans/{plan}/parameters",
        SeePolicies,
        "Show which parameters of a plan have another default, are forced, or may not be given",
        || to(parameters::show),
    )
    .gives::<parameters::ParametersOut>()
    .asks(&["tenant"]),
    Route::new(
        Put,
        "/api/v1/offerings/{offering}/plans/{plan}/parameters",
        ManagePolicies,
        "Say which parameters of a plan have another default, are forced, or may not be given",
        || to(parameters::put),
    )
    .takes::<crate::domain::parameters::ParameterRules>()
    .gives::<parameters::ParametersOut>()
    .asks(&["tenant"])
    .with(&[200, 201]),
    Route::new(
        Delete,
        "/api/v1/offerings/{offering}/plans/{plan}/parameters",
        ManagePolicies,
        "Say nothing about the parameters of a plan any more",
        || to(parameters::delete),
    )
    .asks(&["tenant"])
    .nothing(),
    // Policies. The one path that is no name comes first.
    Route::new(
        Post,
        "/api/v1/policies/simulate",
        ManagePolicies,
        "Say what of all that stands a policy would refuse",
        || to(policies::simulate),
    )
    .takes::<policies::SimulationIn>()
    .gives::<policies::SimulatedOut>()
    .asks(&["limit", "cursor"]),
    Route::new(Get, "/api/v1/policies", SeePolicies, "List policies", || to(policies::list))
        .pages::<policies::PolicyOut>(&[]),
    Route::new(Get, "/api/v1/policies/{name}", SeePolicies, "Show a policy", || to(policies::show))
        .gives::<policies::PolicyOut>(),
    Route::new(Put, "/api/v1/policies/{name}", ManagePolicies, "Create or replace a policy", || to(policies::put))
        .takes::<crate::domain::policy::PolicyDocument>()
        .gives::<policies::PolicyOut>()
        .with(&[200, 201]),
    Route::new(Delete, "/api/v1/policies/{name}", ManagePolicies, "Delete a policy", || to(policies::delete)).nothing(),
    // What would become of an order.
    Route::new(Post, "/api/v1/orders/preview", Order, "Say what would become of an order, and change nothing", || {
        to(preview::preview)
    })
    .takes::<preview::PreviewIn>()
    .gives::<preview::PreviewOut>(),
    // Exports.
    Route::new(Get, "/api/v1/exports/focus", SeeBooks, "Every tenant's month as CSV by FOCUS 1.0 or 1.2", || {
        to(exports::focus)
    })
    .asks(&["period", "version", "strict", "tenant"]),
    // Orders that wait for somebody's yes.
    Route::new(Get, "/api/v1/approval-rules", SeeApprovalRules, "List rules of approval", || to(approval_rules::list))
        .pages::<approval_rules::RuleOut>(&[]),
    Route::new(Get, "/api/v1/approval-rules/{name}", SeeApprovalRules, "Show a rule of approval", || {
        to(approval_rules::show)
    })
    .gives::<approval_rules::RuleOut>(),
    Route::new(
        Put,
        "/api/v1/approval-rules/{name}",
        ManageApprovalRules,
        "Create or replace a rule of approval",
        || to(approval_rules::put),
    )
    .takes::<crate::domain::approval::ApprovalRule>()
    .gives::<approval_rules::RuleOut>()
    .with(&[200, 201]),
    Route::new(Delete, "/api/v1/approval-rules/{name}", ManageApprovalRules, "Delete a rule of approval", || {
        to(approval_rules::delete)
    })
    .nothing(),
    Route::new(Get, "/api/v1/approvals", SeeApprovals, "List approvals", || to(approvals::list))
        .pages::<approvals::ApprovalOut>(&["state", "tenant"]),
    Route::new(Get, "/api/v1/approvals/{id}", SeeApprovals, "Show an approval", || to(approvals::show))
        .gives::<approvals::ApprovalOut>(),
    Route::new(Post, "/api/v1/approvals/{id}/approve", DecideApprovals, "Agree to an order", || to(approvals::approve))
        .takes::<approvals::DecisionIn>()
        .gives::<approvals::ApprovalOut>(),
    Route::new(Post, "/api/v1/approvals/{id}/deny", DecideApprovals, "Refuse an order", || to(approvals::deny))
        .takes::<approvals::DecisionIn>()
        .gives::<approvals::ApprovalOut>(),
    // Who calls, and who may.
    Route::new(Get, "/api/v1/me", SignedIn, "Who calls, and what they are", || to(users::me)).gives::<users::MeOut>(),
    Route::new(Get, "/api/v1/users", SeePeople, "List users that are known here", || to(users::list))
        .pages::<users::UserOut>(&[]),
    Route::new(Get, "/api/v1/users/{name}", SeePeople, "Show what is known of a user", || to(users::show))
        .gives::<users::UserOut>(),
    Route::new(Put, "/api/v1/users/{name}", ManagePeople, "Say what platforms call a user, and groups", || {
        to(users::put)
    })
    .takes::<crate::app::identity::UserDocument>()
    .gives::<users::UserOut>()
    .with(&[200, 201]),
    Route::new(Delete, "/api/v1/users/{name}", ManagePeople, "Forget what is known of a user", || to(users::delete))
        .nothing(),
    Route::new(Get, "/api/v1/service-accounts", SeePeople, "List service accounts", || to(service_accounts::list))
        .pages::<service_accounts::AccountOut>(&[]),
    Route::new(Post, "/api/v1/service-accounts", ManagePeople, "Make a service account", || {
        to(service_accounts::create)
    })
    .takes::<service_accounts::AccountIn>()
    .gives::<service_accounts::MadeOut>()
    .with(&[201]),
    Route::new(Get, "/api/v1/service-accounts/{name}", SeePeople, "Show a service account", || {
        to(service_accounts::show)
    })
    .gives::<service_accounts::AccountOut>(),
    Route::new(Post, "/api/v1/service-accounts/{name}/token", ManagePeople, "Give it another token", || {
        to(service_accounts::renew)
    })
    .gives::<service_accounts::MadeOut>()
    .with(&[201]),
    Route::new(Delete, "/api/v1/service-accounts/{name}", ManagePeople, "Delete a service account", || {
        to(service_accounts::delete)
    })
    .nothing(),
    // Events.
    Route::new(Get, "/api/v1/events", SeeEvents, "Read events in the order in which they were committed", || {
        to(events::list)
    })
    .gives::<events::FeedOut>()
    .asks(&["after", "limit", "type", "tenant"]),
    Route::new(Get, "/api/v1/events/dead-letters", SeeDeadLetters, "List events that a sink did not take", || {
        to(events::dead_letters)
    })
    .pages::<events::DeadLetterOut>(&["sink"]),
    Route::new(
        Post,
        "/api/v1/events/dead-letters/redeliver",
        ManageEvents,
        "Try a sink's dead letters once more",
        || to(events::redeliver),
    )
    .takes::<events::RedeliveryIn>()
    .gives::<events::RedeliveryOut>(),
    // Audit.
    Route::new(Get, "/api/v1/audit", SeeAudit, "Read who changed what, in the order in which it was chained", || {
        to(audit::list)
    })
    .gives::<audit::PageOut>()
    .asks(&["after", "limit", "subject", "actor"]),
    Route::new(Get, "/api/v1/audit/head", SeeAudit, "What the audit comes to now, signed", || to(audit::head))
        .gives::<audit::HeadOut>(),
    Route::new(Get, "/api/v1/audit/heads", SeeAudit, "List heads of the audit that were signed earlier", || {
        to(audit::heads)
    })
    .gives::<audit::HeadsOut>()
    .asks(&["after", "limit"]),
    Route::new(Get, "/.well-known/audit-keys.json", Open, "The keys that heads of the audit are verified with", || {
        to(audit::keys)
    }),
    // Keys.
    Route::new(Get, "/api/v1/keys", Admin, "Show which keys seal how many values, and which sign", || to(keys::status))
        .gives::<keys::StatusOut>(),
    Route::new(Post, "/api/v1/keys/rotate", Admin, "Seal a part of all values anew under the newest key", || {
        to(keys::rotate)
    })
    .takes::<keys::RotationIn>()
    .gives::<keys::RotatedOut>(),
    Route::new(Post, "/api/v1/keys/stamps/rotate", Admin, "Make the next key that signs stamps", || {
        to(keys::rotate_stamps)
    })
    .takes::<keys::StampRotationIn>()
    .gives::<keys::StampKeysOut>(),
    Route::new(Post, "/api/v1/keys/audit/rotate", Admin, "Make the next key that signs heads of the audit", || {
        to(keys::rotate_audit)
    })
    .gives::<keys::AuditKeyOut>(),
    // Usage.
    Route::new(Post, "/api/v1/usage", Broker, "Report usage: a CloudEvent, or a batch of them", || to(usage::report))
        .takes::<usage::UsageEventIn>()
        .gives::<usage::ResultsOut>(),
    Route::new(Get, "/api/v1/usage", SeeCosts, "Show what meters come to in windows of time", || to(usage::gathered))
        .pages::<usage::GatheringOut>(&["tenant", "instance", "meter", "from", "to", "window"]),
    Route::new(Get, "/api/v1/usage/events", SeeCosts, "List what was reported", || to(usage::events))
        .pages::<usage::ReadingOut>(&["tenant", "instance", "meter", "from", "to"]),
    Route::new(Get, "/api/v1/usage/conflicts", SeeBooks, "List events whose keys others have", || to(usage::conflicts))
        .pages::<usage::ConflictOut>(&[]),
];

/// The path of the table that a pattern is; `other` where it is none of it. Metrics take only words that are few.
pub(in crate::http) fn known_path(pattern: &str) -> &'static str {
    ROUTES.iter().chain(PAGES).find(|route| route.path == pattern).map_or("other", |route| route.path)
}

fn is_api(route: &&Route) -> bool {
    route.path.starts_with(API)
}

/// Registers what is outside the management API.
pub(in crate::http) fn register_open(config: &mut web::ServiceConfig) {
    for resource in resources(ROUTES.iter().filter(|route| !is_api(route)), "") {
        config.service(resource);
    }
}

/// Registers the management API. Everything below [`API`] asks for credentials first, whether it exists or not.
pub(in crate::http) fn register_api(config: &mut web::ServiceConfig) {
    let mut api = web::scope(API);
    for resource in resources(ROUTES.iter().filter(is_api), API) {
        api = api.service(resource);
    }
    config.service(api.default_service(to(error::no_such_path)).wrap(from_fn(auth::identify)));
}

/// One resource for each path, which knows what to say to any other method.
fn resources<'a>(routes: impl Iterator<Item = &'a Route>, prefix: &str) -> Vec<Resource> {
    let mut paths: Vec<(&str, Vec<&Route>)> = Vec::new();
    for route in routes {
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, routes)) => routes.push(route),
            None => paths.push((route.path, vec![route])),
        }
    }
    let within = |path: &'a str| path.strip_prefix(prefix).unwrap_or(path);
    paths.into_iter().map(|(path, routes)| resource(within(path), routes)).collect()
}

/// A resource with its routes.
pub(in crate::http) fn resource(path: &str, routes: Vec<&Route>) -> Resource {
    let allow = routes.iter().map(|route| route.method.as_str()).collect::<Vec<_>>().join(", ");
    let mut resource = web::resource(path);
    for route in routes {
        resource = resource.route((route.handler)().method(route.method.http()));
    }
    resource.default_service(to(move || {
        let answer = error::no_such_method(&allow);
        async move { answer }
    }))
}
