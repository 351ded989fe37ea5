//! Table `audit`.
