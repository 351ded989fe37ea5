//! The table of pages: method, path, who may, what it is. It registers them, and the tests walk it. A form is sent to the address of
//! the page that shows it, so that a reload and a step back always have something to show.

mod providers;
mod rules;

use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, to};

use super::{
    approvals, assets, catalog, change, costs, home, offering, operate, order, provide, services, sign_in, visit,
};
use crate::domain::permission::Permission::{
    ChangeBrokers, DecideApprovals, ManageBrokers, ManageBudgets, ManageEvents, ManageInstances, ManagePlatforms,
    ManagePolicies, ManageTenants, Open, Order, ReadBinding, ReadOrder, SeeApprovals, SeeAudit, SeeBooks, SeeBrokers,
    SeeBudgets, SeeCosts, SeeDeadLetters, SeeInstances, SeeOfferings, SeePlatforms, SeePolicies, SeeStatements,
    SeeTenants, SignedIn,
};
use crate::http::admin::exports;
use crate::http::route::Method::{Get, Post};
use crate::http::route::Route;
use crate::http::routes::{joined, resource};

/// All pages.
pub const PAGES: &[Route] =
    &joined::<{ PLAIN.len() + rules::TABLE.len() + providers::TABLE.len() }>(&[PLAIN, rules::TABLE, providers::TABLE]);

/// Those that are not in a file of their own.
const PLAIN: &[Route] = &[
    Route::new(Get, "/", SignedIn, "Where one begins", || to(home::begin)).with(&[303]),
    Route::new(Get, "/assets/{name}", Open, "Styles, scripts and the icon", || to(assets::show)),
    Route::new(Get, "/sign-in", Open, "Sign in", || to(sign_in::show)),
    Route::new(Post, "/sign-in", Open, "Sign in as the administrator", || to(sign_in::sign_in)).with(&[303]),
    Route::new(Get, "/sign-in/oidc", Open, "On to the identity provider", || to(sign_in::begin)).with(&[303]),
    Route::new(Get, "/sign-in/callback", Open, "Back from the identity provider", || to(sign_in::finish)).with(&[303]),
    Route::new(Post, "/sign-out", SignedIn, "Sign out", || to(sign_in::sign_out)).with(&[303]),
    Route::new(Get, "/account", SignedIn, "Who one is here", || to(home::account)),
    Route::new(Get, "/catalog", SeeOfferings, "Search what can be ordered", || to(catalog::show)).asks(catalog::QUERY),
    Route::new(Get, "/catalog/{offering}", SeeOfferings, "An offering and its plans", || to(offering::show))
        .asks(offering::QUERY),
    Route::new(Get, "/catalog/{offering}/order", Order, "The form of an order", || to(order::show)).asks(order::QUERY),
    Route::new(Post, "/catalog/{offering}/order", Order, "Ask what an order comes to, and order", || to(order::send))
        .with(&[200, 303]),
    Route::new(Get, "/services/{tenant}/{name}/change", Order, "The form of a change", || to(change::show))
        .asks(change::QUERY),
    Route::new(Post, "/services/{tenant}/{name}/change", Order, "See what a change comes to, and send it", || {
        to(change::send)
    })
    .with(&[200, 303]),
    // My services.
    Route::new(Get, "/services", ReadOrder, "My services", || to(services::list::show)).asks(services::list::QUERY),
    Route::new(Get, "/services/{tenant}/{name}", ReadOrder, "A service", || to(services::show::show)),
    Route::new(
        Get,
        "/services/{tenant}/{name}/live",
        ReadOrder,
        "That a service changed, as server-sent events",
        || to(services::live::stream),
    )
    .asks(services::live::QUERY),
    Route::new(Get, "/services/{tenant}/{name}/delete", Order, "What a deletion would take", || {
        to(services::delete::show)
    }),
    Route::new(Post, "/services/{tenant}/{name}/delete", Order, "Delete a service", || to(services::delete::delete))
        .with(&[303]),
    Route::new(Get, "/services/{tenant}/{name}/bind", Order, "A form for a binding", || {
        to(services::new_binding::show)
    }),
    Route::new(Post, "/services/{tenant}/{name}/bind", Order, "Bind to a service", || to(services::new_binding::bind))
        .with(&[200, 303]),
    Route::new(Get, "/services/{tenant}/{name}/bindings/{binding}", ReadOrder, "A binding", || {
        to(services::binding::show)
    }),
    Route::new(
        Post,
        "/services/{tenant}/{name}/bindings/{binding}",
        ReadBinding,
        "Show a binding's credentials",
        || to(services::binding::reveal),
    ),
    Route::new(Get, "/services/{tenant}/{name}/bindings/{binding}/rotate", Order, "What a rotation does", || {
        to(services::rotate::show)
    }),
    Route::new(Post, "/services/{tenant}/{name}/bindings/{binding}/rotate", Order, "Rotate a binding", || {
        to(services::rotate::rotate)
    })
    .with(&[200, 303]),
    Route::new(
        Get,
        "/services/{tenant}/{name}/bindings/{binding}/revoke",
        Order,
        "Who loses access by a revocation",
        || to(services::revoke::show),
    ),
    Route::new(Post, "/services/{tenant}/{name}/bindings/{binding}/revoke", Order, "Revoke a binding", || {
        to(services::revoke::revoke)
    })
    .with(&[303]),
    // Approvals.
    Route::new(Get, "/approvals", SeeApprovals, "Orders that wait for somebody's yes", || to(approvals::list))
        .asks(approvals::QUERY),
    Route::new(Get, "/approvals/{id}", SeeApprovals, "An order that waits", || to(approvals::show)),
    Route::new(Post, "/approvals/{id}", DecideApprovals, "Say yes or no to an order", || to(approvals::decide))
        .with(&[303]),
    // Costs.
    Route::new(Get, "/costs", SeeCosts, "What was used, and what it costs", || to(costs::show)).asks(costs::QUERY),
    Route::new(Get, "/costs/instances/{id}", SeeCosts, "What an instance costs, and what was reported of it", || {
        to(costs::instance::show)
    })
    .asks(costs::instance::QUERY),
    Route::new(Get, "/costs/focus", SeeBooks, "A month as CSV by FOCUS", || to(exports::focus))
        .asks(&["period", "version", "strict", "tenant"]),
    Route::new(Get, "/costs/statements", SeeStatements, "Months as they are charged", || to(costs::statements::list))
        .asks(costs::statements::QUERY),
    Route::new(Get, "/costs/statements/{tenant}/{month}", SeeStatements, "A tenant's month", || {
        to(costs::statements::show)
    }),
    Route::new(Post, "/costs/statements/{tenant}/{month}", SeeBooks, "Compute a closed month again", || {
        to(costs::statements::verify)
    }),
    Route::new(Get, "/costs/statements/{tenant}/{month}/csv", SeeStatements, "A tenant's month as CSV", || {
        to(costs::statements::as_csv)
    }),
    Route::new(Get, "/costs/statements/{tenant}/{month}/json", SeeStatements, "A tenant's month as JSON", || {
        to(costs::statements::as_json)
    }),
    Route::new(Get, "/costs/budgets", SeeBudgets, "Budgets, and what was spent of them", || to(costs::budgets::list))
        .asks(&["cursor"]),
    Route::new(Get, "/costs/budgets/{name}", SeeBudgets, "A budget", || to(costs::budgets::show)),
    Route::new(Post, "/costs/budgets/{name}", ManageBudgets, "Change a budget", || to(costs::budgets::change))
        .with(&[303]),
    Route::new(Get, "/costs/budgets/{name}/delete", ManageBudgets, "Whether to delete a budget", || {
        to(costs::budgets::sure)
    }),
    Route::new(Post, "/costs/budgets/{name}/delete", ManageBudgets, "Delete a budget", || to(costs::budgets::delete))
        .with(&[303]),
    Route::new(Get, "/costs/add-budget", ManageBudgets, "A form for a new budget", || to(costs::budgets::begin)),
    Route::new(Post, "/costs/add-budget", ManageBudgets, "Add a budget", || to(costs::budgets::add)).with(&[303]),
    // The console of operators.
    Route::new(Get, "/operator", SeePlatforms, "What needs somebody now", || to(operate::overview)),
    Route::new(Get, "/operator/brokers", SeeBrokers, "Brokers, and how they are", || to(operate::brokers::list))
        .asks(&["cursor"]),
    Route::new(Get, "/operator/brokers/{name}", SeeBrokers, "A broker", || to(operate::brokers::show))
        .asks(operate::brokers::QUERY),
    Route::new(Post, "/operator/brokers/{name}", ChangeBrokers, "Fetch a broker's catalog again", || {
        to(operate::brokers::refresh)
    })
    .with(&[303]),
    Route::new(Get, "/operator/brokers/{name}/delete", ManageBrokers, "Whether to delete a broker", || {
        to(operate::brokers::sure)
    }),
    Route::new(Post, "/operator/brokers/{name}/delete", ManageBrokers, "Delete a broker", || {
        to(operate::brokers::delete)
    })
    .with(&[303]),
    Route::new(Get, "/operator/platforms", SeePlatforms, "Platforms", || to(operate::platforms::list))
        .asks(&["cursor"]),
    Route::new(Get, "/operator/platforms/{name}", SeePlatforms, "A platform", || to(operate::platforms::show)),
    Route::new(
        Post,
        "/operator/platforms/{name}",
        ManagePlatforms,
        "Change a platform, or give it one more pair of credentials",
        || to(operate::platforms::change),
    )
    .with(&[200, 303]),
    Route::new(Get, "/operator/tenants", SeeTenants, "Tenants", || to(operate::tenants::list)).asks(&["cursor"]),
    Route::new(Get, "/operator/tenants/{name}", SeeTenants, "A tenant", || to(operate::tenants::show)).asks(&["done"]),
    Route::new(Post, "/operator/tenants/{name}", ManageTenants, "Suspend a tenant, or let it order again", || {
        to(operate::tenants::change)
    })
    .with(&[303]),
    Route::new(Get, "/operator/tenants/{name}/offboard", ManageTenants, "How far a tenant is taken down", || {
        to(operate::offboard::show)
    }),
    Route::new(
        Post,
        "/operator/tenants/{name}/offboard",
        ManageTenants,
        "Take a tenant down, or call that off",
        || to(operate::offboard::change),
    )
    .with(&[303]),
    Route::new(Get, "/operator/identities", SeePlatforms, "Identities that no tenant has", || {
        to(operate::identities::list)
    })
    .asks(&["cursor"]),
    Route::new(Get, "/operator/identities/map", ManageTenants, "Whose an identity is", || {
        to(operate::identities::form)
    })
    .asks(operate::identities::QUERY),
    Route::new(Post, "/operator/identities/map", ManageTenants, "Give an identity to a tenant", || {
        to(operate::identities::map)
    })
    .asks(operate::identities::QUERY)
    .with(&[303]),
    Route::new(Get, "/operator/operations", SeeInstances, "Operations that need a look", || {
        to(operate::operations::list)
    })
    .asks(operate::operations::QUERY),
    Route::new(Get, "/operator/operations/{id}", SeeInstances, "An operation", || to(operate::operations::show)),
    Route::new(Get, "/operator/operations/{id}/cancel", ManageInstances, "Whether to call an operation off", || {
        to(operate::operations::sure)
    }),
    Route::new(Post, "/operator/operations/{id}/cancel", ManageInstances, "Call an operation off", || {
        to(operate::operations::cancel)
    })
    .with(&[303]),
    Route::new(Get, "/operator/instances/{id}/purge", ManageInstances, "Whether to forget an instance", || {
        to(operate::instances::sure)
    }),
    Route::new(Post, "/operator/instances/{id}/purge", ManageInstances, "Forget an instance", || {
        to(operate::instances::purge)
    })
    .with(&[303]),
    Route::new(Get, "/operator/outbox", SeeDeadLetters, "Sinks and dead letters", || to(operate::outbox::show))
        .asks(operate::outbox::QUERY),
    Route::new(Post, "/operator/outbox", ManageEvents, "Send dead letters once more", || {
        to(operate::outbox::redeliver)
    })
    .with(&[303]),
    Route::new(Get, "/operator/policies", SeePolicies, "Policies", || to(operate::policies::list)).asks(&["cursor"]),
    Route::new(Get, "/operator/policies/{name}", SeePolicies, "A policy", || to(operate::policies::show)),
    Route::new(Post, "/operator/policies/{name}", ManagePolicies, "Change a policy, or try another text", || {
        to(operate::policies::write::change)
    })
    .with(&[200, 303]),
    Route::new(Get, "/operator/policies/{name}/simulate", ManagePolicies, "What a policy would refuse", || {
        to(operate::policies::simulate)
    })
    .asks(&["cursor"]),
    Route::new(Get, "/operator/audit", SeeAudit, "Who changed what", || to(operate::audit::list))
        .asks(operate::audit::QUERY),
    // The console of providers.
    Route::new(Get, "/provider", ChangeBrokers, "The brokers that one answers for", || to(provide::begin))
        .asks(&["cursor"]),
    Route::new(Get, "/provider/brokers/{name}", SeeBrokers, "A broker that one answers for", || {
        to(operate::brokers::show)
    })
    .asks(operate::brokers::QUERY),
    Route::new(Post, "/provider/brokers/{name}", ChangeBrokers, "Fetch its catalog again", || {
        to(operate::brokers::refresh)
    })
    .with(&[303]),
];

/// Registers them.
pub(in crate::http) fn register(config: &mut ServiceConfig) {
    let mut paths: Vec<&str> = PAGES.iter().map(|page| page.path).collect();
    paths.dedup();
    for path in paths {
        let here: Vec<&Route> = PAGES.iter().filter(|page| page.path == path).collect();
        let open = here.iter().all(|page| page.permission == Open);
        let resource = resource(path, here);
        if open {
            config.service(resource.wrap(from_fn(visit::open)));
        } else {
            config.service(resource.wrap(from_fn(visit::closed)));
        }
    }
}
