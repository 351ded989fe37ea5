//! Who may order which plan, and how far offerings have come: said ([`change`]), asked by orders ([`order`]), and set for what is new in
//! a catalog ([`newcomers`]).
//!
//! Nothing here looks at instances that stand: they are served whatever is said of their plan. Invariant: a change holds for every order
//! that is read after it was committed, in all processes, because the count of changes comes with what each order reads anyway.

mod change;
mod newcomers;
mod order;

pub use change::{Access, LifecycleDocument, LifecycleView, VisibilityDocument};
pub(in crate::app) use newcomers::set_up;
pub(in crate::app) use order::Cache;
