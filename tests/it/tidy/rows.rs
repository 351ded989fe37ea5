//! Each row of the table of OSB's requirements (`osb/requirements.tsv`) has a test that carries its id, or a reason in
//! `docs/osb.md`. A test carries an id in one of two ways: its name begins with it (`fn auth_02_…`, `fn om_16_17_…`,
//! `fn prv_02_bnd_03_…`), or a text in the file of tests begins with it (`"PRV-02 empty"`, `"UPD-16 CT-02"`), which is how a case
//! of a table names its rows. Whether the test proves the row is for people to judge; the rule sees to it that none is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// The ids of the table: its first column.
pub(crate) fn rows(table: &str) -> Vec<String> {
    table.lines().skip(1).filter_map(|line| line.split('\t').next()).map(str::to_owned).collect()
}

/// The part of a Rust file that is tests: all of it in a folder of tests, else what stands in `mod tests`.
pub(crate) fn tests_of(path: &str, text: &str) -> String {
    if path.contains("tests/") {
        return text.to_owned();
    }
    text.split_once("#[cfg(test)]\nmod ").map(|(_, tests)| tests.to_owned()).unwrap_or_default()
}

/// The ids that tests carry in names and texts.
pub(crate) fn carried(tests: &str) -> BTreeSet<String> {
    let source = Source::parse(tests);
    let mut found: BTreeSet<String> = source.strings.iter().flat_map(|text| in_text(text)).collect();
    let mut is_test = false;
    for line in source.code.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, name)) = line.split_once("fn ") {
            if is_test {
                found.extend(in_name(name.split(['(', '<']).next().unwrap_or_default()));
            }
            is_test = false;
        }
    }
    found
}

/// `PRV-02`: a word of capitals and digits, a hyphen, two digits.
fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(group, number)| {
        group.len() >= 2
            && group.starts_with(|c: char| c.is_ascii_uppercase())
            && group.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            && number.len() == 2
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The ids at the beginning of a text.
fn in_text(text: &str) -> Vec<String> {
    let words = text.split(' ').map(|word| word.trim_end_matches([':', ',']));
    words.take_while(|word| is_id(word)).map(str::to_owned).collect()
}

/// The ids at the beginning of a test's name: a group's word and its numbers, as often as it goes on like that.
fn in_name(name: &str) -> Vec<String> {
    let is_number = |word: &&str| word.len() == 2 && word.bytes().all(|b| b.is_ascii_digit());
    let mut found = Vec::new();
    let mut words = name.split('_').peekable();
    while let Some(group) = words.next().filter(|word| !word.is_empty()) {
        let before = found.len();
        while let Some(number) = words.next_if(is_number) {
            found.push(format!("{}-{number}", group.to_uppercase()));
        }
        if found.len() == before {
            break;
        }
    }
    found.retain(|id| is_id(id));
    found
}

/// What `docs/osb.md` says in its table with the head `| row | why |`, whose lines are `| ROW-01, ROW-02 | why |`.
pub(crate) fn reasons(page: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let table = page.lines().skip_while(|line| *line != "| row | why |").take_while(|line| line.starts_with('|'));
    for line in table {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        if let [ids, why] = cells[..] {
            let ids = ids.split(',').map(str::trim);
            found.extend(ids.filter(|id| is_id(id)).map(|id| (id.to_owned(), why.to_owned())));
        }
    }
    found
}

/// Everything that is wrong between the three.
pub(crate) fn violations(
    rows: &[String],
    carried: &BTreeMap<String, BTreeSet<String>>,
    reasons: &BTreeMap<String, String>,
) -> Vec<String> {
    let known: BTreeSet<&String> = rows.iter().collect();
    let mut found = Vec::new();
    if known.len() != rows.len() {
        found.push("the table names a row twice".to_owned());
    }
    for row in rows {
        match (carried.get(row), reasons.get(row)) {
            (None, None) => found.push(format!("{row} has neither a test nor a reason")),
            (Some(files), Some(_)) => {
                found.push(format!("{row} has a reason to have no test, and a test in {}", list(files)));
            }
            (None, Some(why)) if why.split_whitespace().count() < 4 => {
                found.push(format!("{row} has no reason worth the name: {why:?}"));
            }
            _ => {}
        }
    }
    let stray = carried.iter().filter(|(id, _)| !known.contains(id));
    found.extend(stray.map(|(id, files)| format!("{id} is no row, but stands in {}", list(files))));
    found.extend(reasons.keys().filter(|id| !known.contains(id)).map(|id| format!("{id} has a reason but is no row")));
    found
}

fn list(files: &BTreeSet<String>) -> String {
    files.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

mod tests {
    use super::*;

    #[test]
    fn ids_stand_at_the_beginning_of_names_and_texts() {
        for (name, ids) in [
            ("aa_02_wrong_password", &["AA-02"][..]),
            ("aa_16_17_is_undone", &["AA-16", "AA-17"]),
            ("aa_02_k8s_03_a_field", &["AA-02", "K8S-03"]),
            ("aa_02_in_2_17_bb_03", &["AA-02"]),
            ("rule_of_aa_02", &[]),
            ("nothing_02_", &["NOTHING-02"]),
        ] {
            assert_eq!(in_name(name), ids, "{name}");
        }
        for (text, ids) in [
            ("AA-02", &["AA-02"][..]),
            ("AA-02: {asked}", &["AA-02"]),
            ("AA-02, K8S-03 a field", &["AA-02", "K8S-03"]),
            ("see AA-02", &[]),
            ("AA-2", &[]),
            ("X-02", &[]),
            ("AA-021", &[]),
        ] {
            assert_eq!(in_text(text), ids, "{text}");
        }
    }

    #[test]
    fn only_tests_carry_ids() {
        let text =
            "fn aa_01_helper() {}\n// \"AA-02\"\n#[tokio::test]\nasync fn aa_03_holds() {\n    check(\"AA-04 x\");\n}";
        assert_eq!(carried(text), BTreeSet::from(["AA-03".to_owned(), "AA-04".to_owned()]));
        let source = format!("const A: &str = \"AA-09\";\n#[cfg(test)]\nmod tests {{\n{text}\n}}");
        assert_eq!(carried(&tests_of("src/a.rs", &source)), carried(text));
        assert!(carried(&tests_of("src/a.rs", text)).is_empty(), "there is no module of tests");
        assert_eq!(carried(&tests_of("tests/it/a.rs", text)).len(), 2);
    }

    #[test]
    fn a_row_without_test_or_reason_a_stray_and_an_idle_reason_are_found() {
        let rows = rows("id\tside\nAA-01\tB\nAA-02\tP\nAA-03\tP\nAA-04\tB\n");
        assert_eq!(rows.len(), 4);
        let of = |id: &str| (id.to_owned(), BTreeSet::from(["a.rs".to_owned()]));
        let carried = BTreeMap::from([of("AA-01"), of("AA-02"), of("AA-09")]);
        let page = "| rows | what |\n|---|---|\n| AA-01 | is done otherwise |\n\n\
                    | row | why |\n|---|---|\n| AA-02, AA-08 | for platforms to choose |\n| AA-04 | later |\n\n| AA-01 | is no reason |\n";
        let found = violations(&rows, &carried, &reasons(page)).join("\n");
        assert_eq!(
            found,
            "AA-02 has a reason to have no test, and a test in a.rs\nAA-03 has neither a test nor a reason\n\
             AA-04 has no reason worth the name: \"later\"\nAA-09 is no row, but stands in a.rs\nAA-08 has a reason but is no row"
        );
        let twice = [rows[0].clone(), rows[0].clone()];
        assert_eq!(violations(&twice, &BTreeMap::from([of("AA-01")]), &BTreeMap::new()).len(), 1);
    }
}
