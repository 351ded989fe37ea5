//! Feeds bytes to `bodies::words`; what is asserted stands there.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::words(data));
