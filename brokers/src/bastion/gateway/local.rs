//! Placeholder while the gateway is being built.
