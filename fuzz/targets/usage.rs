//! Feeds bytes to `bodies::usage`; what is asserted stands there.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::usage(data));
