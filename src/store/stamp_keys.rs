//! Table `stamp_keys`.
