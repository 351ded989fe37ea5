//! The driver `netbox` of vnet-ipam, against a small model of NetBox that keeps its rules and loses answers when told to.
//!
//! Held against NetBox 4.6.8 (of 2026-08-11; `netbox/release.yaml`), read in its source:
//! - `POST /api/ipam/prefixes/{id}/available-prefixes/`: `AvailablePrefixesView` over `PrefixLengthSerializer`, answered 201 with
//!   `PrefixSerializer`, one object for one object; 400 for a length that the parent's family lacks; 409 with `{"detail"}` where
//!   nothing of that length is free. The whole of it runs under one advisory lock; the VRF is the parent's;
//! - `GET /api/ipam/prefixes/`: `PrefixFilterSet`, where a parameter that comes several times means any of its values, and one
//!   that is not known is ignored; `NetBoxPagination` with `limit`, `offset`, `count`, `next`, `results`;
//! - `GET`, `PATCH`, `DELETE /api/ipam/prefixes/{id}/`: `PrefixSerializer`, `PrefixStatusChoices`; 204 for a deletion;
//! - `/api/ipam/ip-addresses/`: `IPAddressSerializer`, `IPAddressStatusChoices`;
//! - `CustomFieldsMixin.clean`: a custom field that must be unique refuses a second object with its value by 400;
//! - `TokenAuthentication`: `Token` before a token of the first version, `Bearer` before one of the second (`nbt_…`); 403 else.

pub(crate) mod contract;
mod lost;
mod model;
mod server;
