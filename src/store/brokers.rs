//! Table `brokers`.
