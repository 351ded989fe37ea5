//! The part of the table of routes about brokers and what they offer: registered, judged, priced, reviewed.

use actix_web::web::to;

use super::super::admin::{brokers, conformance, offerings, platforms, proposals, reviews};
use super::{Method, Permission, Route};

use Method::{Delete, Get, Patch, Post, Put};
use Permission::{
    ChangeBrokers, ManageBrokers, ManagePrices, ProposePrices, RegisterBrokers, SeeBrokers, SeeOfferings,
    SeePriceProposals, SeeReviews, SubmitOfferings,
};

/// Its rows.
pub(super) const TABLE: &[Route] = &[
    // Brokers, and what they offer.
    Route::new(Get, "/api/v1/brokers", SeeBrokers, "List brokers", || to(brokers::list))
        .pages::<brokers::BrokerOut>(&[]),
    Route::new(Post, "/api/v1/brokers", ManageBrokers, "Register a broker", || to(brokers::create))
        .takes::<crate::app::registry::NewBroker>()
        .gives::<brokers::BrokerOut>()
        .with(&[201]),
    Route::new(Get, "/api/v1/brokers/{name}", SeeBrokers, "Show a broker", || to(brokers::show))
        .gives::<brokers::BrokerOut>(),
    Route::new(Patch, "/api/v1/brokers/{name}", ChangeBrokers, "Change a broker", || to(brokers::change))
        .takes::<crate::app::registry::BrokerChange>()
        .gives::<brokers::BrokerOut>(),
    Route::new(Delete, "/api/v1/brokers/{name}", ManageBrokers, "Delete a broker", || to(brokers::delete)).nothing(),
    Route::new(Post, "/api/v1/brokers/{name}/refresh", ChangeBrokers, "Fetch a broker's catalog again", || {
        to(brokers::refresh)
    })
    .gives::<brokers::BrokerOut>(),
    Route::new(
        Post,
        "/api/v1/brokers/{name}/credentials",
        ChangeBrokers,
        "Give a broker a pair of credentials to report usage with",
        || to(brokers::add_credentials),
    )
    .gives::<platforms::PairOut>()
    .with(&[201]),
    Route::new(
        Delete,
        "/api/v1/brokers/{name}/credentials/{username}",
        ChangeBrokers,
        "Delete one pair of a broker's credentials",
        || to(brokers::delete_credentials),
    )
    .nothing(),
    Route::new(Get, "/api/v1/offerings", SeeOfferings, "Search what can be ordered", || to(offerings::list))
        .pages::<offerings::OfferingOut>(&["q", "tenant"]),
    Route::new(Get, "/api/v1/offerings/{name}/lifecycle", ManageBrokers, "Show how far an offering has come", || {
        to(offerings::lifecycle)
    })
    .gives::<crate::app::visibility::LifecycleView>(),
    Route::new(Put, "/api/v1/offerings/{name}/lifecycle", ManageBrokers, "Say how far an offering has come", || {
        to(offerings::put_lifecycle)
    })
    .takes::<crate::app::visibility::LifecycleDocument>()
    .gives::<crate::app::visibility::LifecycleView>(),
    Route::new(
        Get,
        "/api/v1/offerings/{name}/plans/{plan}/visibility",
        ManageBrokers,
        "Show who may order a plan",
        || to(offerings::visibility),
    )
    .gives::<crate::app::visibility::VisibilityDocument>(),
    Route::new(
        Put,
        "/api/v1/offerings/{name}/plans/{plan}/visibility",
        ManageBrokers,
        "Say who may order a plan",
        || to(offerings::put_visibility),
    )
    .takes::<crate::app::visibility::VisibilityDocument>()
    .gives::<crate::app::visibility::VisibilityDocument>(),
    // Brokers of providers: judged, priced, reviewed.
    Route::new(
        Put,
        "/api/v1/brokers/{name}",
        RegisterBrokers,
        "Register a broker; who answers for it may, and what it offers is a draft then",
        || to(brokers::register),
    )
    .takes::<crate::app::registry::NewBroker>()
    .gives::<brokers::BrokerOut>()
    .with(&[201]),
    Route::new(
        Post,
        "/api/v1/brokers/{name}/conformance",
        ChangeBrokers,
        "Have a broker judged by the conformance suite",
        || to(conformance::judge),
    )
    .takes::<crate::app::conformance::JudgeRequest>()
    .gives::<conformance::RunOut>()
    .with(&[202]),
    Route::new(
        Get,
        "/api/v1/brokers/{name}/conformance",
        SeeBrokers,
        "Show what the conformance suite found of a broker",
        || to(conformance::show),
    )
    .asks(&["offering"])
    .gives::<conformance::ConformanceOut>(),
    Route::new(
        Get,
        "/api/v1/offerings/{name}/checks",
        SeeReviews,
        "Show what an offering lacks for publication",
        || to(reviews::checks),
    )
    .gives::<reviews::ChecksOut>(),
    Route::new(Post, "/api/v1/offerings/{name}/submit", SubmitOfferings, "Submit an offering for publication", || {
        to(reviews::submit)
    })
    .takes::<reviews::SubmitIn>()
    .gives::<reviews::ReviewOut>(),
    Route::new(Post, "/api/v1/offerings/{name}/publish", ManageBrokers, "Publish what was submitted", || {
        to(reviews::publish)
    })
    .takes::<reviews::DecisionIn>()
    .gives::<reviews::ReviewOut>(),
    Route::new(Post, "/api/v1/offerings/{name}/send-back", ManageBrokers, "Send back what was submitted", || {
        to(reviews::send_back)
    })
    .takes::<reviews::DecisionIn>()
    .gives::<reviews::ReviewOut>(),
    Route::new(Get, "/api/v1/reviews", SeeReviews, "List submissions", || to(reviews::list))
        .pages::<reviews::ReviewOut>(&["state", "offering"]),
    Route::new(Post, "/api/v1/price-proposals", ProposePrices, "Propose prices for offerings of a broker", || {
        to(proposals::create)
    })
    .takes::<proposals::ProposalIn>()
    .gives::<proposals::ProposalOut>()
    .with(&[201]),
    Route::new(Get, "/api/v1/price-proposals", SeePriceProposals, "List proposed prices", || to(proposals::list))
        .pages::<proposals::ProposalOut>(&["state", "broker"]),
    Route::new(Get, "/api/v1/price-proposals/{id}", SeePriceProposals, "Show proposed prices", || to(proposals::show))
        .gives::<proposals::ProposalOut>(),
    Route::new(Post, "/api/v1/price-proposals/{id}/accept", ManagePrices, "Accept proposed prices", || {
        to(proposals::accept)
    })
    .takes::<proposals::DecisionIn>()
    .gives::<proposals::ProposalOut>(),
    Route::new(Post, "/api/v1/price-proposals/{id}/refuse", ManagePrices, "Refuse proposed prices", || {
        to(proposals::refuse)
    })
    .takes::<proposals::DecisionIn>()
    .gives::<proposals::ProposalOut>(),
    Route::new(
        Post,
        "/api/v1/price-proposals/{id}/simulate",
        ManagePrices,
        "What a month would have cost by proposed prices",
        || to(proposals::simulate),
    )
    .takes::<proposals::SimulateIn>()
    .gives::<super::super::admin::prices::SimulationOut>(),
];
