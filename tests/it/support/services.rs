//! Real services, private to this test process: each on a free loopback port, with a directory of its own, started when
//! the first test asks for it and shared by the others. One file a service.
//!
//! They are kept in statics, which are never dropped: the guards end them when the process is gone.

mod nats;
mod postgres;

pub(crate) use nats::{Nats, nats};
pub(crate) use postgres::{Database, Frozen, Postgres, freeze, postgres};

/// How often a start is tried anew: a port that was free can be taken a moment later.
const STARTS_MAX: u32 = 3;
