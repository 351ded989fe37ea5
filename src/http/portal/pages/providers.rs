//! The part of the table of pages about brokers of providers: registered, changed, judged, priced, submitted and published. Operators have the
//! same pages about a broker as who answers for it, under an address of their own.

use actix_web::web::to;

use super::super::provide;
use crate::domain::permission::Permission::{
    ChangeBrokers, ManageBrokers, ManagePrices, ProposePrices, RegisterBrokers, SeeBrokers, SeePriceProposals,
    SeeReviews, SubmitOfferings,
};
use crate::http::route::Method::{Get, Post};
use crate::http::route::Route;

/// Its rows.
pub(super) const TABLE: &[Route] = &[
    // The console of providers.
    Route::new(Get, "/provider/register-broker", RegisterBrokers, "A form for a new broker", || {
        to(provide::register::show)
    })
    .asks(provide::register::QUERY),
    Route::new(Post, "/provider/register-broker", RegisterBrokers, "Register a broker", || {
        to(provide::register::register)
    })
    .with(&[303]),
    Route::new(Get, "/provider/brokers/{name}/change", ChangeBrokers, "A form for a change of a broker", || {
        to(provide::change::show)
    }),
    Route::new(Post, "/provider/brokers/{name}/change", ChangeBrokers, "Change a broker", || {
        to(provide::change::change)
    })
    .with(&[303]),
    Route::new(Get, "/provider/brokers/{name}/credentials", ChangeBrokers, "Credentials of a broker here", || {
        to(provide::credentials::show)
    }),
    Route::new(
        Post,
        "/provider/brokers/{name}/credentials",
        ChangeBrokers,
        "Give a broker a pair of credentials",
        || to(provide::credentials::add),
    ),
    Route::new(
        Get,
        "/provider/brokers/{name}/credentials/{username}/delete",
        ChangeBrokers,
        "Whether to delete a broker's pair",
        || to(provide::credentials::sure),
    ),
    Route::new(
        Post,
        "/provider/brokers/{name}/credentials/{username}/delete",
        ChangeBrokers,
        "Delete a broker's pair",
        || to(provide::credentials::delete),
    )
    .with(&[303]),
    Route::new(
        Get,
        "/provider/brokers/{name}/conformance",
        SeeBrokers,
        "What the conformance suite found of a broker",
        || to(provide::conformance::show),
    )
    .asks(provide::conformance::QUERY),
    Route::new(Post, "/provider/brokers/{name}/conformance", ChangeBrokers, "Have a broker judged", || {
        to(provide::conformance::judge)
    })
    .with(&[303]),
    Route::new(
        Get,
        "/provider/brokers/{name}/prices",
        SeePriceProposals,
        "What a broker costs, and what was proposed",
        || to(provide::prices::show),
    )
    .asks(provide::prices::QUERY),
    Route::new(Post, "/provider/brokers/{name}/prices", ProposePrices, "Propose prices", || {
        to(provide::prices::propose)
    })
    .asks(provide::prices::QUERY)
    .with(&[303]),
    Route::new(Get, "/provider/offerings/{name}", SeeReviews, "What publication of an offering takes", || {
        to(provide::offering::show)
    }),
    Route::new(Post, "/provider/offerings/{name}", SubmitOfferings, "Submit an offering for publication", || {
        to(provide::offering::submit)
    })
    .with(&[303]),
    // The same for operators, and what they decide.
    Route::new(Get, "/operator/register-broker", RegisterBrokers, "A form for a new broker", || {
        to(provide::register::show)
    })
    .asks(provide::register::QUERY),
    Route::new(Post, "/operator/register-broker", RegisterBrokers, "Register a broker", || {
        to(provide::register::register)
    })
    .with(&[303]),
    Route::new(Get, "/operator/brokers/{name}/change", ChangeBrokers, "A form for a change of a broker", || {
        to(provide::change::show)
    }),
    Route::new(Post, "/operator/brokers/{name}/change", ChangeBrokers, "Change a broker", || {
        to(provide::change::change)
    })
    .with(&[303]),
    Route::new(Get, "/operator/brokers/{name}/credentials", ChangeBrokers, "Credentials of a broker here", || {
        to(provide::credentials::show)
    }),
    Route::new(
        Post,
        "/operator/brokers/{name}/credentials",
        ChangeBrokers,
        "Give a broker a pair of credentials",
        || to(provide::credentials::add),
    ),
    Route::new(
        Get,
        "/operator/brokers/{name}/credentials/{username}/delete",
        ChangeBrokers,
        "Whether to delete a broker's pair",
        || to(provide::credentials::sure),
    ),
    Route::new(
        Post,
        "/operator/brokers/{name}/credentials/{username}/delete",
        ChangeBrokers,
        "Delete a broker's pair",
        || to(provide::credentials::delete),
    )
    .with(&[303]),
    Route::new(
        Get,
        "/operator/brokers/{name}/conformance",
        SeeBrokers,
        "What the conformance suite found of a broker",
        || to(provide::conformance::show),
    )
    .asks(provide::conformance::QUERY),
    Route::new(Post, "/operator/brokers/{name}/conformance", ChangeBrokers, "Have a broker judged", || {
        to(provide::conformance::judge)
    })
    .with(&[303]),
    Route::new(
        Get,
        "/operator/brokers/{name}/prices",
        SeePriceProposals,
        "What a broker costs, and what was proposed",
        || to(provide::prices::show),
    )
    .asks(provide::prices::QUERY),
    Route::new(Post, "/operator/brokers/{name}/prices", ProposePrices, "Propose prices", || {
        to(provide::prices::propose)
    })
    .asks(provide::prices::QUERY)
    .with(&[303]),
    Route::new(Get, "/operator/reviews", SeeReviews, "What was submitted for publication", || {
        to(provide::reviews::list)
    })
    .asks(provide::reviews::QUERY),
    Route::new(Get, "/operator/reviews/{name}", SeeReviews, "An offering that is to be published", || {
        to(provide::reviews::show)
    }),
    Route::new(Post, "/operator/reviews/{name}", ManageBrokers, "Publish an offering, or send it back", || {
        to(provide::reviews::decide)
    })
    .with(&[303]),
    // Prices that were proposed.
    Route::new(Get, "/costs/proposals", SeePriceProposals, "Prices that were proposed", || {
        to(provide::proposals::list)
    })
    .asks(provide::proposals::QUERY),
    Route::new(Get, "/costs/proposals/{id}", SeePriceProposals, "A proposal of prices", || {
        to(provide::proposals::show)
    }),
    Route::new(Post, "/costs/proposals/{id}", ManagePrices, "Accept proposed prices, or refuse them", || {
        to(provide::proposals::decide)
    })
    .with(&[303]),
];
