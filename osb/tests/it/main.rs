//! The tests of `osb` at its edges: the server over raw sockets, the client against servers that misbehave, both against each
//! other, and stamps.

mod identity;
mod server;
mod support;
