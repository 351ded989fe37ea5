//! Tenants beyond themselves: brokers that are told of their changes, lists that they come from, a database that knows them, and access
//! that is granted to colleagues.

mod contexts;
mod grants;
mod imports;
mod lookups;
mod members;
