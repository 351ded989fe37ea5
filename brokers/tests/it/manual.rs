//! The commands of `docs/brokers.md`, as the program reads them.

use bourse_brokers::cli::Cli;
use clap::Parser as _;

const PAGE: &str = include_str!("../../../docs/brokers.md");

#[test]
fn each_command_of_the_manual_is_one_that_the_program_takes() {
    let mut found = 0;
    for line in PAGE.lines().filter_map(|line| line.strip_prefix("target/release/")) {
        let words =
            line.split_whitespace().map(|word| word.trim_matches('"').replace("$BOURSE", "http://127.0.0.1:8080"));
        assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        found += 1;
    }
    assert!(found > 0, "the manual shows none");
}
