//! Table `sinks`.
