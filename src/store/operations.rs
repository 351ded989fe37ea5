//! Table `operations`.
