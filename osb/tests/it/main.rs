//! The tests of `osb` at its edges: the server over raw sockets, the client against servers that misbehave, both against each
//! other, and stamps.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test, too; only functions marked as tests are exempt"
)]

mod answers;
mod backend;
mod broken;
mod client;
mod conformance;
mod exemplar;
mod identity;
mod kit;
mod mangled;
mod properties;
mod proxy;
mod requests;
mod server;
mod stamp;
mod support;
