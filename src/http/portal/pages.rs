//! The table of pages: method, path, who may, what it is. It registers them, and the tests walk it. A form is sent to the address of
//! the page that shows it, so that a reload and a step back always have something to show.

use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, to};

use super::{assets, catalog, change, home, offering, order, services, sign_in, visit};
use crate::domain::permission::Permission::{Open, Order, SeeOfferings, SeeOrders, SignedIn};
use crate::http::route::Method::{Get, Post};
use crate::http::route::Route;
use crate::http::routes::resource;

/// All pages.
pub const PAGES: &[Route] = &[
    Route::new(Get, "/", SignedIn, "Where one begins", || to(home::begin)).with(&[303]),
    Route::new(Get, "/assets/{name}", Open, "Styles, scripts and the icon", || to(assets::show)),
    Route::new(Get, "/sign-in", Open, "Sign in", || to(sign_in::show)),
    Route::new(Post, "/sign-in", Open, "Sign in as the administrator", || to(sign_in::sign_in)).with(&[303]),
    Route::new(Get, "/sign-in/oidc", Open, "On to the identity provider", || to(sign_in::begin)).with(&[303]),
    Route::new(Get, "/sign-in/callback", Open, "Back from the identity provider", || to(sign_in::finish)).with(&[303]),
    Route::new(Post, "/sign-out", SignedIn, "Sign out", || to(sign_in::sign_out)).with(&[303]),
    Route::new(Get, "/account", SignedIn, "Who one is here", || to(home::account)),
    Route::new(Get, "/catalog", SeeOfferings, "Search what can be ordered", || to(catalog::show)).asks(catalog::QUERY),
    Route::new(Get, "/catalog/{offering}", SeeOfferings, "An offering and its plans", || to(offering::show)),
    Route::new(Get, "/catalog/{offering}/order", Order, "The form of an order", || to(order::show)).asks(order::QUERY),
    Route::new(Post, "/catalog/{offering}/order", Order, "Ask what an order comes to, and order", || to(order::send))
        .with(&[200, 303]),
    Route::new(Get, "/services/{tenant}/{name}/change", Order, "The form of a change", || to(change::show))
        .asks(change::QUERY),
    Route::new(Post, "/services/{tenant}/{name}/change", Order, "See what a change comes to, and send it", || {
        to(change::send)
    })
    .with(&[200, 303]),
    Route::new(Get, "/services", SeeOrders, "My services", || to(services::list::show)).asks(services::list::QUERY),
    Route::new(Get, "/services/{tenant}/{name}", SeeOrders, "A service", || to(services::show::show)),
    Route::new(
        Get,
        "/services/{tenant}/{name}/live",
        SeeOrders,
        "That a service changed, as server-sent events",
        || to(services::live::stream),
    )
    .asks(services::live::QUERY),
    Route::new(Get, "/services/{tenant}/{name}/delete", Order, "What a deletion would take", || {
        to(services::delete::show)
    }),
    Route::new(Post, "/services/{tenant}/{name}/delete", Order, "Delete a service", || to(services::delete::delete))
        .with(&[303]),
    Route::new(Get, "/services/{tenant}/{name}/bindings/new", Order, "A form for a binding", || {
        to(services::new_binding::show)
    }),
    Route::new(Post, "/services/{tenant}/{name}/bindings/new", Order, "Bind to a service", || {
        to(services::new_binding::bind)
    })
    .with(&[200, 303]),
    Route::new(Get, "/services/{tenant}/{name}/bindings/{binding}", SeeOrders, "A binding", || {
        to(services::binding::show)
    }),
    Route::new(Post, "/services/{tenant}/{name}/bindings/{binding}", Order, "Show a binding's credentials", || {
        to(services::binding::reveal)
    }),
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
