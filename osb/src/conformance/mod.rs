//! The conformance suite: judges any service broker over HTTP, requirement by requirement, with nothing but the protocol.
//!
//! What is required stands as data in `osb/requirements.tsv` ([`requirement`]).

pub mod requirement;

pub use requirement::{Level, Row, Side, rows};
