//! Approvals: orders that wait for somebody's yes. What asks for one is found out before the order's transaction ([`ask`]); it is written
//! in that transaction with the order itself; it is decided ([`decide`]), or ends otherwise ([`end`]), under the lock of the instance.
//!
//! Nothing here calls a broker. Invariant: an operation in the phase `waiting_approval` has a pending approval, has never been sent, and
//! is leased to nobody; whichever of a decision, an expiry, a deletion and a cancellation comes first settles it.

mod ask;
mod decide;
mod end;
mod expire;
mod list;
mod look;
mod rules;
mod tell;

pub use decide::Decision;
pub use list::ApprovalFilter;
pub use look::{Outlook, Prospect};
pub use rules::RuleView;

pub use crate::store::approvals::ApprovalView;

pub(in crate::app) use ask::{Asked, needs_time, record};
pub(in crate::app) use end::{How, Withdrawal, call_off};
pub(in crate::app) use rules::{Cache, delete_rules_of};
