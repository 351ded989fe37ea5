//! Table `instances`.
