//! The only place of this crate that reads the clock. Everything that depends on time takes it as an argument and is
//! tested with made-up times; only the outermost functions come here.

use std::time::SystemTime;

/// Seconds since 1970, UTC.
pub fn unix_now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the one seam through which the crate sees the time")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
