//! The commands of `docs/brokers.md` and `docs/brokers/vnet-ipam.md`, as the program reads them.

use bourse_brokers::cli::Cli;
use clap::Parser as _;

const PAGES: [&str; 2] = [include_str!("../../../docs/brokers.md"), include_str!("../../../docs/brokers/vnet-ipam.md")];

#[test]
fn each_command_of_the_manual_is_one_that_the_program_takes() {
    for page in PAGES {
        assert!(commands(page) > 0, "the page shows none");
    }
}

/// Tries each command of a page, and says how many there are.
fn commands(page: &str) -> usize {
    let mut found = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("target/release/")) {
        let words =
            line.split_whitespace().map(|word| word.trim_matches('"').replace("$BOURSE", "http://127.0.0.1:8080"));
        assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        found += 1;
    }
    found
}
