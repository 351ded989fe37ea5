//! The gateway of `bastion`, with the real `ssh`, `sftp` and `sshd` around it and an authority in memory beside it.

mod admission;
mod authority;
mod cutting;
mod files;
mod forwarding;
mod host;
mod login;
mod recording;
mod setup;
mod wire;
