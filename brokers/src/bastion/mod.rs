//! `bastion`: an SSH certificate authority. An instance is a bastion with CA keys of its own, a binding a user's certificate.
//!
//! Invariant: a CA's private key is never on disk in clear, and a certificate always names its principals.

pub mod access;
pub mod certificate;
pub mod krl;
