//! The rules, pure: no async, no input or output, no clock, no randomness. Time and ids come in as arguments.

pub mod caller;
