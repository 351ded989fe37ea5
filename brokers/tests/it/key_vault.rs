//! `key-vault` with both drivers: its own vaults, talked to by clients that others wrote, and vaults on a real OpenBao server.

mod canary;
mod clients;
mod conformance;
mod embedded;
mod life;
mod model;
mod openbao;
mod page;
mod room;
mod same_answers;
mod server;
