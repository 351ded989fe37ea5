//! Takes a tenant down: what stands in the way is told ([`plan`]), the tenant is suspended, a worker deletes its instances, dependents before
//! what they depend on ([`run`]), and at the end the tenant itself.
//!
//! Invariant: what is left to do follows from the rows of instances each time anew. A process that dies at any line has lost
//! nothing, and a deletion that fails is shown and tried again for as long as it takes: none is ever passed over.

mod plan;
mod run;

pub use plan::{LeftView, OffboardingView};

pub use crate::store::offboardings::Counts;
