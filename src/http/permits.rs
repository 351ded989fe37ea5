//! Permissions as types: a handler that takes [`Can<SeeBrokers>`](Can) can't be reached without that permission, and its signature
//! says so. Who has which is in [`Permission::grants`]; the table of routes names the same one, and a test holds the two together.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};

use super::error::Failure;
use crate::app;
use crate::domain::caller::Caller;
use crate::domain::permission::{Permission, Sight};

/// A permission as a type.
pub trait Permit: 'static {
    /// Which.
    const PERMISSION: Permission;
}

/// Somebody who has a permission, and what they may reach by it.
#[derive(Clone, Debug)]
pub struct Can<P> {
    /// Who calls.
    pub caller: Caller,
    /// What they may reach.
    pub sight: Sight,
    permit: PhantomData<fn() -> P>,
}

impl<P: Permit> FromRequest for Can<P> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let found = extensions.get::<Caller>().ok_or_else(|| Failure::from(app::Error::Unauthorized));
        ready(found.and_then(|caller| {
            let forbidden = || app::Error::Forbidden(P::PERMISSION.refusal());
            let sight = P::PERMISSION.sight(caller).ok_or_else(forbidden)?;
            Ok(Self { caller: caller.clone(), sight, permit: PhantomData })
        }))
    }
}

/// One type for each permission, of the same name.
macro_rules! permits {
    ($($name:ident)*) => {$(
        #[doc = concat!("[`Permission::", stringify!($name), "`]")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Permit for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )*};
}

permits! {
    SignedIn SeeBrokers ChangeBrokers RegisterBrokers ManageBrokers SeeReviews SubmitOfferings SeePriceProposals ProposePrices SeeOfferings
    SeePlatforms ManagePlatforms SeeTenants ManageTenants ManageMembers SeeOrders Order ReadOrder ReadBinding SeeInstances ReadInstances
    ShareInstances ManageInstances ManagePrices SeeCosts SeeStatements SeeBooks SeeBudgets ManageBudgets SeeApprovalRules
    ManageApprovalRules SeeQuotas ManageQuotas SeePolicies ManagePolicies SeeApprovals DecideApprovals SeeEvents SeeDeadLetters ManageEvents
    SeeAudit SeePeople ManagePeople
}
