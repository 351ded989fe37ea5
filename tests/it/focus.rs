//! The FOCUS export: what FOCUS 1.0 and 1.2 demand of it, judged by the FinOps Foundation's own validator and by a table of the
//! specification's rules. Nothing here is about amounts; those are the statements'.

mod categories;
mod charges;
mod checker;
mod csv;
mod exported;
mod table;
mod validator;

use bourse::domain::decimal::{Exact, read};
use bourse::domain::focus::Version;

use charges::{all, export};
use checker::{broken, invoices, violations};
use csv::{File, Row};
use table::{Base, Kind, Level, Rule, is, table, value};

#[test]
fn an_export_of_1_0_passes_the_finops_foundations_validator() {
    let verdict = validator::judge(&export(&all(), Version::V1_0), "1.0");
    assert_eq!((verdict.checks, verdict.failed), (133, Vec::new()));
}

#[test]
fn an_export_of_one_kind_of_charge_passes_the_validator_too() {
    // A column that is null throughout, or holds whole numbers only, could be read as another type.
    let charges = all();
    for (category, class, priced) in [
        ("Usage", None, "false"),
        ("Usage", None, "true"),
        ("Usage", Some("Correction"), "false"),
        ("Purchase", None, "false"),
    ] {
        let text = export(&charges, Version::V1_0);
        let file = csv::read(&text).unwrap();
        let fits = |row: &Row| {
            is(row, "ChargeCategory", category) && value(row, "ChargeClass") == class && is(row, "x_Unpriced", priced)
        };
        let place = file.rows.iter().position(fits).expect("there is no such charge");
        let verdict = validator::judge(&export(&charges[place..=place], Version::V1_0), "1.0");
        assert_eq!(verdict.failed, Vec::<String>::new(), "{category} {class:?} {priced}");
    }
}

/// The rules of `focus-validator` 1.0.0 that ask for columns by names that FOCUS 1.0 does not have.
const ASKED_OTHERWISE: [&str; 5] =
    ["InvoiceIssuer_Required", "Provider_Required", "Publisher_Required", "ResourceID_Required", "SkuPriceId_Nullable"];

#[test]
fn the_validator_asks_for_five_columns_by_names_that_the_specification_does_not_have() {
    let verdict = validator::judge(&export(&all(), Version::V1_0Strict), "1.0");
    assert_eq!(verdict.failed, ASKED_OTHERWISE);
}

#[test]
fn the_validator_refuses_what_is_broken() {
    let good = export(&all()[..1], Version::V1_0);
    let changes = [
        (",EUR,", ",EURO,", "BillingCurrency_IsCurrencyCode"),
        ("2026-11-30T23:00:00Z", "2026-11-30T23:00:00", "BillingPeriodEnd_IsDateTime"),
        (",Networking,", ",Network,", "ServiceCategory_Enum"),
        (",Standard,", ",standard,", "PricingCategory_Enum_1.0"),
        (",14.95,", ",a lot,", "ContractedCost_IsDecimal"),
    ];
    let broken = changes.iter().fold(good.clone(), |text, (from, to, _)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    let broken = format!("{}{}", good.lines().next().unwrap(), &broken[good.find("\r\n").unwrap()..]);
    let failed = validator::judge(&broken, "1.0").failed;
    for (_, _, rule) in changes {
        assert!(failed.iter().any(|name| name == rule), "{rule} is not in {failed:?}");
    }
    let without = good.replacen("BilledCost", "Billed", 1);
    let failed = validator::judge(&without, "1.0").failed;
    assert!(failed.iter().any(|name| name == "BilledCost_Required"), "{failed:?}");
}

#[test]
fn an_export_of_1_2_breaks_no_rule_of_the_specification() {
    let file = csv::read(&export(&all(), Version::V1_2)).unwrap();
    assert_eq!(violations(&file), Vec::<String>::new());
    assert_eq!(file.rows.len(), all().len());
}

#[test]
fn the_specifications_columns_are_in_the_table_once_each() {
    let mut columns: Vec<_> = table().map(|rule| (rule.section, rule.column)).collect();
    assert_eq!(columns.len(), 57);
    columns.sort_unstable_by_key(|(_, column)| *column);
    let order: Vec<_> = (1..=57).map(|place| format!("3.{place}")).collect();
    let sections: Vec<_> = columns.iter().map(|(section, _)| (*section).to_owned()).collect();
    assert_eq!(sections, order, "the sections are in alphabetical order");
}

#[test]
fn names_and_tags_come_back_as_they_went_in_but_for_a_quote_before_what_would_be_a_formula() {
    for version in [Version::V1_0, Version::V1_2] {
        let charges = all();
        let file = csv::read(&export(&charges, version)).unwrap();
        for (row, charge) in file.rows.iter().zip(&charges) {
            let guarded = |text: &str| {
                let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
                if formula { format!("'{text}") } else { text.to_owned() }
            };
            assert_eq!(value(row, "SubAccountName"), Some(guarded(&charge.account.name).as_str()));
            assert_eq!(value(row, "x_CostCenter"), Some(guarded(&charge.account.cost_center).as_str()));
            let tags: std::collections::BTreeMap<String, String> =
                serde_json::from_str(value(row, "Tags").unwrap()).unwrap();
            assert_eq!(tags, charge.account.labels);
        }
    }
}

#[test]
fn the_billed_costs_of_an_invoice_are_the_amounts_of_its_statement() {
    let charges = all();
    let sums = invoices(&csv::read(&export(&charges, Version::V1_2)).unwrap());
    for (invoice, sum) in &sums {
        let stated = charges.iter().filter(|charge| charge.statement.as_ref() == Some(invoice));
        assert_eq!(*sum, stated.map(|charge| read(&charge.billed).unwrap()).sum::<Exact>(), "{invoice}");
    }
    assert_eq!(sums.len(), charges::NAMES.len() - 1, "a month that is open has no invoice");
}

/// A row of each kind out of an export that is fine.
fn base(file: &File, base: Base) -> Row {
    let fits = |row: &&Row| match base {
        Base::Correction => is(row, "ChargeClass", "Correction") && is(row, "ChargeCategory", "Usage"),
        Base::Usage => is(row, "ChargeCategory", "Usage") && value(row, "ChargeClass").is_none(),
        Base::Purchase => is(row, "ChargeCategory", "Purchase") && value(row, "ChargeClass").is_none(),
    };
    let fits = |row: &&Row| fits(row) && value(row, "InvoiceId").is_some() && !is(row, "PricingCategory", "Other");
    file.rows.iter().find(fits).expect("there is no such row").clone()
}

fn changed(row: &Row, cells: &[(&str, &str)]) -> Row {
    let mut row = row.clone();
    for (column, value) in cells {
        row.insert((*column).to_owned(), (!value.is_empty()).then(|| (*value).to_owned()));
    }
    row
}

/// Breaks one thing that a rule says and expects it to be told.
#[track_caller]
fn refused(rule: &Rule, row: &Row, told: &str) {
    let found = broken(rule, row);
    assert!(found.iter().any(|says| says.contains(told)), "{}: {told:?} is not in {found:?}", rule.column);
}

#[test]
fn every_rule_of_the_table_can_be_broken() {
    let file = csv::read(&export(&all(), Version::V1_2)).unwrap();
    let usage = base(&file, Base::Usage);
    for rule in table() {
        if !rule.nulls {
            refused(rule, &changed(&usage, &[(rule.column, "")]), "is null");
        }
        let wrong = match rule.kind {
            Kind::Text => " ",
            Kind::Decimal => "1,5",
            Kind::Instant => "2026-11-01T00:00:00+01:00",
            Kind::Currency => "euro",
            Kind::KeyValue => "{\"a\":[]}",
            Kind::Unit => "gigabytes",
        };
        refused(rule, &changed(&usage, &[(rule.column, wrong)]), "is no");
        if !rule.allowed.is_empty() {
            refused(rule, &changed(&usage, &[(rule.column, "Nonsense")]), "is not allowed");
        }
        for condition in rule.conditions {
            let (kind, cells) = condition.broken;
            let good = base(&file, kind);
            // Columns that an export leaves out are null in it, so of a column that must not be null nothing is known before.
            if rule.level != Level::NotOurs {
                assert_eq!(broken(rule, &good), Vec::<String>::new(), "{}", rule.column);
            }
            refused(rule, &changed(&good, cells), condition.says);
        }
    }
}

#[test]
fn every_rule_about_the_whole_file_can_be_broken() {
    let good = csv::read(&export(&all(), Version::V1_2)).unwrap();
    let told = |file: &File, what: &str| {
        let found = violations(file);
        assert!(found.iter().any(|says| says.contains(what)), "{what:?} is not in {found:?}");
    };
    for rule in table().filter(|rule| rule.level != Level::NotOurs) {
        let mut file = good.clone();
        file.columns.retain(|column| column != rule.column);
        told(&file, &format!("{} {}: is missing", rule.section, rule.column));
    }
    for (column, what) in [
        ("BilledCost", "is there twice"),
        ("AvailabilityZone", "stands behind a column of ours"),
        ("Provider", "is neither FOCUS's nor named x_"),
        ("x_cost_center", "is neither FOCUS's nor named x_"),
    ] {
        let mut file = good.clone();
        file.columns.push(column.to_owned());
        told(&file, what);
    }
    for (column, value, what) in [
        ("SkuId", "another", "has more than one SkuId"),
        ("ServiceCategory", "Web", "has more than one ServiceCategory"),
        ("ServiceSubcategory", "Other (Web)", "has more than one ServiceSubcategory"),
        ("BillingAccountId", "another", "has more than one BillingAccountId"),
        ("BillingCurrency", "USD", "has more than one BillingCurrency"),
        ("BillingPeriodStart", "2026-10-01T00:00:00Z", "has more than one BillingPeriodStart"),
    ] {
        let mut file = good.clone();
        let last = file.rows.last_mut().unwrap();
        *last = changed(last, &[(column, value)]);
        told(&file, what);
    }
}
