//! Free loopback ports for services that can't be told "port 0".
//!
//! They are taken from below the range from which the kernel serves outgoing connections, so that a port that was free a
//! moment ago isn't given to somebody's client meanwhile. Nothing is reserved: who takes a port may still find it taken
//! and must then ask for another.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 20_000;
const COUNT: u32 = 10_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port on which nobody listens now, and that this process hasn't been given before (within ten thousand calls).
pub(crate) fn free_port() -> u16 {
    // Test processes that run beside each other start at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + start.wrapping_add(step) % COUNT).expect("the range lies below 65536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on loopback between {FIRST} and {}", FIRST + COUNT);
}
