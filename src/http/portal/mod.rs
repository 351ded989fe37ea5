//! The portal: pages for people, made on the server, that call the same use cases as the management API. No page needs a script; what
//! scripts there are ([`assets`]) only save a reload. docs/adr/0017-portal.md says why it is made this way.
//!
//! The way of a request: [`pages`] is the table of what there is → [`visit`] finds out whose browser asks and turns a failure into a
//! page → one handler for each page, which takes the permission it needs in its signature, as in the management API → [`frame`] puts
//! the page's own part between head and foot, made of the parts in [`kit`].
//!
//! Invariants: a page changes nothing when it is read; what changes something is a form of this portal ([`fields`]); nothing on a page
//! comes from another host, and no credential is in an address or in a page that a browser may keep.

pub mod approvals;
pub mod assets;
mod attempts;
pub mod catalog;
pub mod change;
pub mod chart;
pub mod costs;
pub mod documents;
pub mod fields;
pub mod form;
pub mod forms;
pub mod frame;
pub mod home;
pub mod kit;
pub mod offering;
pub mod operate;
pub mod order;
pub mod pages;
pub mod provide;
pub mod services;
pub mod shown;
pub mod sign_in;
pub mod visit;
