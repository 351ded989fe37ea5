//! Services as people look at them: the instances of one's tenants, wherever they were ordered ([`list`]); all that one page tells of
//! one ([`one`]), of its money ([`money`]), and that it changed ([`live`]); and the rotation of a binding by name.
//!
//! Orders and deletions are in [`super::people`]. Invariant: what is told of an instance is told to those who see it, its parameters to
//! those who order for its tenant, and credentials by nothing here.

pub mod list;
pub mod live;
pub mod money;
pub mod one;
mod rotate;
