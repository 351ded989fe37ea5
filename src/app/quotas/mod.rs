//! Quotas: put, read, list and delete them ([`manage`]), take from them in the transaction of an order ([`reserve`]), and give back in the
//! transaction that writes that a broker holds nothing, or less ([`settle`]).
//!
//! Nothing is kept in memory: the number of a tenant's quotas comes with the tenant that each order holds anyway, and where it is
//! zero nothing else is read. Invariant: the order of locks is tenant, quotas by name, instance; what is used is the sum of what is
//! counted for instances.

mod manage;
mod reserve;
mod settle;
mod tell;

pub use manage::QuotaView;
pub use reserve::Outlook;

pub(in crate::app) use manage::delete_of_tenant;

pub(in crate::app) use reserve::{Taken, Wants, adopt, grow, outlook, take};
pub(in crate::app) use settle::{back, lock, release, settle};
