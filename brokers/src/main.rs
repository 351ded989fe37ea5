//! The program `bourse-brokers`: see `cli`.

fn main() {}
